"""Reads what a viewer sends after its offer: a fragment of SDP (RFC 8840, section 9) with candidates, or with the
credentials of a new ICE session. Writes the answer to the latter. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from visavis.errors import CandidatesRefused
from visavis.rooms.sdp import is_ice_pwd, is_ice_ufrag

MAX_FRAGMENT_BYTES = 16 * 1024
MAX_LINES = 200
_LINE = re.compile(r"[a-z]=.*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """`ice_ufrag`, `ice_pwd`: of the ICE session that the candidates belong to, '' if not named. `candidates`: the
    values of its candidate lines. That no more will come (end-of-candidates) is not kept: the viewer's own checks may
    still tell another address.
    """

    ice_ufrag: str
    ice_pwd: str
    candidates: tuple[str, ...]


def read_fragment(body: str) -> Fragment:
    """Raises `CandidatesRefused` for anything but lines of SDP, for too many lines, and for different ice-ufrags."""
    if len(body) > MAX_FRAGMENT_BYTES or body.count("\n") > MAX_LINES:
        raise CandidatesRefused(f"The candidates are more than {MAX_FRAGMENT_BYTES // 1024} KiB or {MAX_LINES} lines")
    lines = [stripped for line in body.split("\n") if (stripped := line.rstrip("\r "))]
    if not lines:
        raise CandidatesRefused("The body is empty", suggestion="Send a=candidate lines")
    unreadable = next((line for line in lines if not _LINE.fullmatch(line)), None)
    if unreadable is not None:
        raise CandidatesRefused(f"This line is unreadable: {unreadable[:60]}")
    ufrags, pwds, candidates = (
        [line.removeprefix(name) for line in lines if line.startswith(name)]
        for name in ("a=ice-ufrag:", "a=ice-pwd:", "a=candidate:")
    )
    if len(set(ufrags)) > 1 or len(set(pwds)) > 1:
        raise CandidatesRefused("The candidates belong to different ICE sessions", suggestion="Send one ice-ufrag")
    return Fragment(
        ice_ufrag=ufrags[0] if ufrags else "", ice_pwd=pwds[0] if pwds else "", candidates=tuple(candidates)
    )


def read_restart(body: str) -> Fragment:
    """Read the credentials, and perhaps candidates, of a new ICE session. Raises `CandidatesRefused`, also without
    valid credentials.
    """
    fragment = read_fragment(body)
    if not (is_ice_ufrag(fragment.ice_ufrag) and is_ice_pwd(fragment.ice_pwd)):
        raise CandidatesRefused("An ICE restart needs a valid ice-ufrag and ice-pwd")
    return fragment


def write_restart(*, kind: str, mid: str, ice_ufrag: str, ice_pwd: str, candidates: Sequence[str]) -> str:
    """Return the answer to a restart (RFC 9725, section 4.3.3): our side of the new ICE session, with all candidates.
    `kind`, `mid`: of the section by which all media travel.
    """
    lines = [
        "a=ice-options:trickle",
        f"m={kind} 9 UDP/TLS/RTP/SAVPF 0",
        f"a=mid:{mid}",
        f"a=ice-ufrag:{ice_ufrag}",
        f"a=ice-pwd:{ice_pwd}",
        *(f"a=candidate:{candidate}" for candidate in candidates),
        "a=end-of-candidates",
    ]
    return "".join(f"{line}\r\n" for line in lines)
