"""Reads the candidates that a viewer sends after its offer: a fragment of SDP (RFC 8840, section 9). Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from visavis.errors import CandidatesRefused

MAX_FRAGMENT_BYTES = 16 * 1024
MAX_LINES = 200
_LINE = re.compile(r"[a-z]=.*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragment:
    """`ice_ufrag`: of the ICE session that the candidates belong to, '' if it is not named. `candidates`: the values of
    its candidate lines. That no more will come (end-of-candidates) is not kept: the viewer's own checks may still tell
    another address.
    """

    ice_ufrag: str
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
    ufrags = {line.removeprefix("a=ice-ufrag:") for line in lines if line.startswith("a=ice-ufrag:")}
    if len(ufrags) > 1:
        raise CandidatesRefused("The candidates belong to different ICE sessions", suggestion="Send one ice-ufrag")
    candidates = tuple(line.removeprefix("a=candidate:") for line in lines if line.startswith("a=candidate:"))
    return Fragment(ice_ufrag=ufrags.pop() if ufrags else "", candidates=candidates)
