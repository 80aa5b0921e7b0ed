"""The addresses that a LiveKit server names for media: its own, and those of STUN and TURN servers. Whoever has made a
session has chosen that server, so the avatar sends nothing to an address that the operator does not allow.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from ipaddress import ip_address

import structlog
from livekit.protocol import rtc

from visavis.errors import RoomUnreachable, RoomUrlRefused, VisavisError
from visavis.outbound.checked_sockets import NotAllowed, allowed_addresses
from visavis.outbound.reach import IsAllowed
from visavis.rooms.spec import IceServer

MAX_ICE_SERVERS = 8
RESOLVED_WITHIN_S = 1.0
PORTS = {"stun": 3478, "turn": 3478, "turns": 5349}
# aiortc uses the first STUN and the first TURN server. Direct UDP is tried, too: TURN shall help where UDP is blocked.
_BEST_FIRST = (("turns", "tcp"), ("turn", "tcp"), ("turn", "udp"), ("stun", None))

_ICE_URL = re.compile(r"(stun|turns?):([^\s:?\[\]]+)(?::([0-9]{1,5}))?(?:\?transport=(udp|tcp))?")
_CANDIDATE_LINE = re.compile(r"^a=candidate:(.*)\r?\n", re.MULTILINE)

log = structlog.get_logger("visavis.rooms")


class ServerAddresses:
    """Lets through the candidates that may be checked, and counts them."""

    def __init__(self, is_allowed: IsAllowed) -> None:
        self._is_allowed = is_allowed
        self._usable = self._over_tcp = self._refused = 0

    def takes(self, candidate: str) -> bool:
        """Whether a candidate may be checked: the value of a candidate line (RFC 8839, section 5.1). Names are left
        out: a server has addresses.
        """
        fields = candidate.split()
        try:
            address, over_tcp = ip_address(fields[4]), fields[2].lower() == "tcp"
        except (IndexError, ValueError):
            return False
        if not self._is_allowed(address):
            self._refused += 1
            return False
        self._over_tcp += over_tcp
        self._usable += not over_tcp
        return not over_tcp

    def without_others(self, sdp: str) -> str:
        """Return an offer or an answer without the candidates that may not be checked."""
        return _CANDIDATE_LINE.sub(lambda line: line[0] if self.takes(line[1]) else "", sdp)

    def problem(self) -> VisavisError | None:
        """Return why no media can reach the server by what it has named so far, None if some may."""
        if self._usable:
            return None
        if self._over_tcp:
            return RoomUnreachable(
                "The LiveKit server takes media by ICE over TCP alone, and the avatar sends them by UDP",
                suggestion="Give the server a UDP port (rtc.udp_port, without force_tcp)",
            )
        if self._refused:
            return RoomUrlRefused("All addresses that the LiveKit server names for media are private")
        return None


async def checked_servers(named: Iterable[rtc.ICEServer], is_allowed: IsAllowed) -> tuple[IceServer, ...]:
    """Return the STUN and TURN servers that a LiveKit server names, those that help most first. Each has the address
    that was checked in place of its name. Those that are not allowed or cannot be found are left out.
    """
    wanted = [(url, server) for server in named for url in server.urls][:MAX_ICE_SERVERS]
    found = await asyncio.gather(*(_checked(url, server, is_allowed) for url, server in wanted))
    ranked = [one for one in found if one is not None]
    return tuple(server for _, server in sorted(ranked, key=lambda one: one[0]))


async def _checked(url: str, server: rtc.ICEServer, is_allowed: IsAllowed) -> tuple[int, IceServer] | None:
    parts = _ICE_URL.fullmatch(url)
    if parts is None:
        return None
    scheme, host, port = parts[1], parts[2], int(parts[3] or PORTS[parts[1]])
    transport = None if scheme == "stun" else parts[4] or ("tcp" if scheme == "turns" else "udp")
    if (scheme, transport) not in _BEST_FIRST:
        return None
    try:
        async with asyncio.timeout(RESOLVED_WITHIN_S):
            addresses = await allowed_addresses(host, port, is_allowed)
    except (OSError, NotAllowed) as error:  # TimeoutError among them
        log.info(
            "livekit_ice_server_left_out", url=url, why="not allowed" if isinstance(error, NotAllowed) else "not found"
        )
        return None
    address = next((str(one) for one in addresses if one.version == 4), None)  # aiortc takes no others
    if address is None:
        return None
    checked = IceServer(
        url=f"{scheme}:{address}:{port}" + (f"?transport={transport}" if transport else ""),
        username=server.username or None,
        credential=server.credential or None,
        tls_name=host if scheme == "turns" else None,
    )
    return _BEST_FIRST.index((scheme, transport)), checked
