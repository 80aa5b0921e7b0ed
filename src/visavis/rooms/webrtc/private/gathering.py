"""The candidates of a connection: addresses of this machine, seats at a shared port, STUN and TURN servers."""

from __future__ import annotations

import asyncio
import ssl
import weakref
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import aioice.ice
import aioice.stun
import structlog
from aioice import Candidate
from aioice.ice import StunProtocol
from aiortc import RTCIceTransport

log = structlog.get_logger("visavis.rooms")
HostAddresses = Callable[[bool, bool], list[str]]
GatherHost = Callable[["aioice.ice.Connection", int], Coroutine[Any, Any, "list[Candidate] | None"]]
_with_own_sockets: weakref.WeakSet[aioice.ice.Connection] = weakref.WeakSet()
_turn_within_s: weakref.WeakKeyDictionary[aioice.ice.Connection, float] = weakref.WeakKeyDictionary()


def replace_host_addresses(replacement: Callable[[HostAddresses], HostAddresses]) -> None:
    """Replace the function that finds this machine's addresses by `replacement(that function)`."""
    aioice.ice.get_host_addresses = replacement(aioice.ice.get_host_addresses)  # type: ignore[assignment]


def limit_gathering_time(timeout_s: int) -> None:
    """Set how long STUN and TURN servers may take. Candidates of slower servers are left out."""
    gather = aioice.ice.Connection.get_component_candidates

    async def get_component_candidates(
        connection: aioice.ice.Connection, component: int, addresses: list[str]
    ) -> list[Candidate]:
        within_s, turn_server = _turn_within_s.get(connection), connection.turn_server
        if within_s is None or turn_server is None:
            return await gather(connection, component, addresses, timeout=timeout_s)
        connection.turn_server = None  # it is asked here
        direct, relayed = await asyncio.gather(
            gather(connection, component, addresses, timeout=timeout_s),
            _ask_turn_server(connection, component, turn_server, within_s=within_s),
        )
        return direct + relayed

    aioice.ice.Connection.get_component_candidates = get_component_candidates  # type: ignore[method-assign,assignment]


def wait_for_turn_server(transport: RTCIceTransport, *, within_s: float) -> None:
    """Give a connection's TURN server more time than all others have. Called before its candidates are gathered."""
    _turn_within_s[transport._connection] = within_s


async def _ask_turn_server(
    connection: aioice.ice.Connection, component: int, server: tuple[str, int], *, within_s: float
) -> list[Candidate]:
    try:
        async with asyncio.timeout(within_s):
            candidate, protocol = await aioice.ice.relayed_candidate(
                component=component,
                hide_related_address=False,
                protocol_factory=lambda: StunProtocol(connection),
                turn_server=server,
                turn_username=connection.turn_username,
                turn_password=connection.turn_password,
                turn_ssl=connection.turn_ssl,
                turn_transport=connection.turn_transport,
            )
    except Exception as error:  # noqa: BLE001  # a server of others, which may say anything
        log.info("turn_server_left_out", server=f"{server[0]}:{server[1]}", error=repr(error))
        return []
    connection._protocols.append(protocol)
    return [candidate]


def replace_host_gathering(gather_host: GatherHost, *, stun_timeout_s: float) -> None:
    """Let `gather_host` find the host candidates of every connection of this process. Where it returns None, aioice
    does. STUN servers are asked from the first host candidate of IPv4, for at most `stun_timeout_s`.
    """
    gather = aioice.ice.Connection.get_component_candidates

    async def get_component_candidates(
        connection: aioice.ice.Connection, component: int, addresses: list[str], **named: Any
    ) -> list[Candidate]:
        candidates = None
        if connection._transport_policy == aioice.TransportPolicy.ALL and connection not in _with_own_sockets:
            candidates = await gather_host(connection, component)
        if candidates is None:
            return await gather(connection, component, addresses, **named)
        reflexive, relayed = await asyncio.gather(
            _ask_stun_server(connection, timeout_s=stun_timeout_s), gather(connection, component, [], **named)
        )
        return candidates + reflexive + relayed

    aioice.ice.Connection.get_component_candidates = get_component_candidates  # type: ignore[method-assign,assignment]


def open_own_sockets(transport: RTCIceTransport) -> None:
    """Let a connection open sockets of its own, beside the port that others share: two connections to the same address
    could not be told apart there. Called before its candidates are gathered.
    """
    _with_own_sockets.add(transport._connection)


async def _ask_stun_server(connection: aioice.ice.Connection, *, timeout_s: float) -> list[Candidate]:
    protocol = next((one for one in connection._protocols if ":" not in one.local_candidate.host), None)
    if connection.stun_server is None or protocol is None:
        return []
    try:
        async with asyncio.timeout(timeout_s):
            candidate, _ = await aioice.ice.server_reflexive_candidate(protocol, connection.stun_server)
    except (TimeoutError, OSError, aioice.stun.TransactionError) as error:
        log.debug("stun_server_silent", error=repr(error))
        return []
    return [candidate]


def lengthen_user_names(chars: int) -> None:
    """Make the user names of connections at least so long: aioice's four letters meet among some hundred viewers."""
    make = aioice.ice.random_string  # type: ignore[attr-defined]
    aioice.ice.random_string = lambda length: make(max(length, chars))  # type: ignore[attr-defined]


def add_protocols(connection: aioice.ice.Connection, protocols: Sequence[StunProtocol]) -> None:
    """Let a connection send and receive by these too, and close them at its end."""
    connection._protocols += protocols


def protocols_of(transport: RTCIceTransport) -> Sequence[StunProtocol]:
    """Return the sockets of a connection, and its seats at shared ones."""
    return tuple(transport._connection._protocols)


def uses_family(connection: aioice.ice.Connection, version: int) -> bool:
    """Whether a connection uses IPv4 or IPv6."""
    return connection._use_ipv4 if version == 4 else connection._use_ipv6


class _TlsAs(ssl.SSLContext):
    """A client's TLS that asks for the certificate of `name`, whatever address it is connected to."""

    name = ""

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        return super().wrap_bio(incoming, outgoing, server_side, self.name, session)


def name_turn_server(transport: RTCIceTransport, name: str | None) -> None:
    """Tell a connection the name of its TURN server, which it knows by an address: for TLS. Called before its
    candidates are gathered. None: the address is the name.
    """
    if transport._connection.turn_ssl and name is not None:
        context = _TlsAs(ssl.PROTOCOL_TLS_CLIENT)
        context.name = name
        context.load_default_certs()
        transport._connection.turn_ssl = context  # type: ignore[assignment]  # what asyncio takes, too
