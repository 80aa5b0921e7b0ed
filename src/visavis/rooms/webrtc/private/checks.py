"""Connectivity checks of ICE: how soon they are sent, sent again and acted on, for every connection of this process."""

from __future__ import annotations

import asyncio
import functools
import weakref
from collections.abc import Callable

import aioice.ice
import aioice.stun
import structlog
from aioice.ice import StunProtocol
from aiortc import InvalidStateError, RTCIceTransport, RTCPeerConnection

log = structlog.get_logger("visavis.rooms")


def wait_for_checks(*, pace_s: float) -> None:
    """Let a connection go on as soon as a pair is nominated, and set the time between the starts of two checks.

    aioice looks for further checks every 20 ms as long as its peer may send candidates, and goes on at the next look.
    """

    async def connect(connection: aioice.ice.Connection) -> None:
        if not connection._local_candidates_end or None in (connection.remote_username, connection.remote_password):
            raise ConnectionError("candidates were not gathered, or the peer is unknown")
        for candidate in connection._remote_candidates:
            connection._pair_remote_candidate(candidate)
        connection.sort_check_list()
        connection._unfreeze_initial()
        for early_check in connection._early_checks:
            connection.check_incoming(*early_check)
        connection._early_checks.clear()
        connection._early_checks_done = True
        outcome = None
        while outcome is None and connection._check_periodic():
            try:
                async with asyncio.timeout(pace_s):
                    outcome = await connection._check_list_state.get()
            except TimeoutError:
                continue
        if outcome is None:
            waits = bool(connection._check_list)
            outcome = await connection._check_list_state.get() if waits else aioice.ice.ICE_FAILED
        for pair in connection._check_list:
            if pair.task is not None:
                pair.task.cancel()
        if outcome != aioice.ice.ICE_COMPLETED:
            raise ConnectionError("ICE has failed")
        connection._query_consent_task = asyncio.create_task(connection.query_consent())

    aioice.ice.Connection.connect = connect  # type: ignore[method-assign,assignment]


def let_connections_close() -> None:
    """Let a connection be closed before its checks begin. aiortc looks only once whether it is, and then raises in a
    task that nobody waits for.
    """
    connect = RTCPeerConnection._RTCPeerConnection__connect  # type: ignore[attr-defined]

    @functools.wraps(connect)
    async def connect_unless_closed(connection: RTCPeerConnection) -> None:
        try:
            await connect(connection)
        except InvalidStateError as error:  # a transport of it is closed
            log.debug("peer_closed_before_checks", error=repr(error))

    RTCPeerConnection._RTCPeerConnection__connect = connect_unless_closed  # type: ignore[attr-defined]


def set_first_repetition(after_s: float) -> None:
    """Set when a connectivity check without an answer is sent again. Each time after that is twice as long."""
    aioice.stun.RETRY_RTO = after_s


_checked: weakref.WeakSet[aioice.ice.Connection] = weakref.WeakSet()  # those whose peers have sent a check


def limit_addresses(maximum: int) -> None:
    """Set how many addresses of its peer a connection knows: those of the candidates, and those that it learns from
    connectivity checks (RFC 8445, section 7.3.1.3). A check from a further address is answered and then forgotten.
    """
    check = aioice.ice.Connection.check_incoming

    @functools.wraps(check)
    def check_incoming(
        connection: aioice.ice.Connection,
        message: aioice.stun.Message,
        address: tuple[str, int],
        protocol: aioice.ice.StunProtocol,
    ) -> None:
        _checked.add(connection)
        known = connection._remote_candidates
        if len(known) < maximum or any((one._network_host, one.port) == address for one in known):
            check(connection, message, address, protocol)

    aioice.ice.Connection.check_incoming = check_incoming  # type: ignore[method-assign,assignment]


def was_checked(transport: RTCIceTransport) -> bool:
    """Whether the peer has sent a connectivity check. Requires `limit_addresses`."""
    return transport._connection in _checked


def on_first_check(transport: RTCIceTransport, callback: Callable[[], None]) -> None:
    """Call `callback` when the peer sends its first connectivity check."""
    connection = transport._connection
    check = connection.check_incoming

    def check_incoming(message: aioice.stun.Message, address: tuple[str, int], protocol: StunProtocol) -> None:
        connection.check_incoming = check  # type: ignore[method-assign]
        callback()
        check(message, address, protocol)

    connection.check_incoming = check_incoming  # type: ignore[method-assign,assignment]
