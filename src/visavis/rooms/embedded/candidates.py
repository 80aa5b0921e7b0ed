"""Selects the ICE candidates of a viewer to which this server sends connectivity checks. Pure.

A candidate is an address to which we send packets before it has sent any to us, and everybody with the room's token may
name some. So only a few are kept, and only such as a viewer can have. A viewer without a kept candidate still connects
if it reaches this server: its own checks tell us its address (RFC 8445, section 7.3.1.3).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# A viewer has one relay candidate for each TURN server, and one srflx and some host candidates for each interface.
MAX_OF_EACH_TYPE = 4
TYPES = ("host", "srflx", "relay")
# Lower ports belong to services. NATs and TURN servers do not give them to viewers (RFC 4787, REQ-3; RFC 8656, section
# 7.2), and browsers refuse such candidates, too.
MIN_PORT = 1024

# RFC 8839, section 5.1: foundation, component, transport, priority, address, port, type
_CANDIDATE = re.compile(
    r"([A-Za-z0-9+/]{1,32}) 1 (?i:udp) ([0-9]{1,10}) ([0-9a-fA-F.:]{2,45}) ([0-9]{1,5}) typ ([a-z]{4,5})(?: .*)?"
)

_REFUSED_NETWORKS = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "127.0.0.0/8",  # loopback: a viewer on this machine reaches us
        "169.254.0.0/16",  # link-local; also the metadata services of clouds
        "192.0.0.0/24",  # protocol assignments
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "::/96",  # unspecified, loopback, and IPv4 addresses within IPv6, like the next four
        "::ffff:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2002::/16",
        "fe80::/10",  # link-local, without an interface
        "ff00::/8",  # multicast
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    foundation: str
    priority: int
    address: str
    port: int
    type: str

    def __str__(self) -> str:
        return f"{self.foundation} 1 udp {self.priority} {self.address} {self.port} typ {self.type}"


def keep_candidates(offered: Iterable[str], kept_before: Sequence[Candidate] = ()) -> tuple[Candidate, ...]:
    """Return the candidates to check: of each type those with the highest priority. `offered`: the values of candidate
    lines. `kept_before`: those of earlier calls for the same viewer, which count too and are not returned again.

    Left out are candidates that cannot be checked (TCP, host names such as those of mDNS, the component of RTCP,
    unreadable ones) and addresses and ports that no viewer can have.
    """
    known = {(candidate.address, candidate.port) for candidate in kept_before}
    kept: dict[tuple[str, int], Candidate] = {}
    for line in offered:
        candidate = _read(line)
        if candidate is not None and (candidate.address, candidate.port) not in known:
            kept.setdefault((candidate.address, candidate.port), candidate)
    left = {kind: MAX_OF_EACH_TYPE - sum(one.type == kind for one in kept_before) for kind in TYPES}
    ordered = sorted(kept.values(), key=lambda candidate: -candidate.priority)
    return tuple(
        candidate
        for kind in TYPES
        for candidate in [candidate for candidate in ordered if candidate.type == kind][: left[kind]]
    )


def _read(line: str) -> Candidate | None:
    found = _CANDIDATE.fullmatch(line)
    if found is None:
        return None
    foundation, priority, address, port, kind = found.groups()
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return None
    if kind not in TYPES or not MIN_PORT <= int(port) <= 65535 or not 0 < int(priority) < 2**31:
        return None
    if any(ip in network for network in _REFUSED_NETWORKS):
        return None
    return Candidate(foundation=foundation, priority=int(priority), address=str(ip), port=int(port), type=kind)
