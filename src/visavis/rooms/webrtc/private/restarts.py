"""Another ICE session in the place of the one of an established connection."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import aioice.ice
import aioice.stun
from aiortc import RTCIceTransport

from visavis.rooms.webrtc.private.consent import forget_round_trip

_COMPONENT = 1  # the only one, because RTP and RTCP share it
RESTART_USER_NAME_CHARS, PASSWORD_CHARS = 8, 22  # as long as those of a new connection, at a shared port


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalIce:
    """Our side of an ICE session. `candidates`: the values of candidate lines."""

    user_name: str
    password: str
    candidates: tuple[str, ...]


def restart_ice(transport: RTCIceTransport, *, user_name: str, password: str) -> LocalIce | None:
    """Begin another ICE session in the place of the one of an established connection (RFC 8445, section 9), with the
    peer's new credentials; return ours. None if the connection is closing. aiortc has no restart.

    Media keep to the path of before until another pair is nominated. The caller tells the new user name to shared ports
    (`protocols_of`), adds the peer's candidates, and then calls `connect_again`.
    """
    connection = transport._connection
    if connection._closing:
        return None
    if connection._query_consent_task is not None:
        connection._query_consent_task.cancel()
        connection._query_consent_task = None
    for pair in connection._check_list:
        if pair.task is not None:
            pair.task.cancel()
    connection._check_list, connection._check_list_state, connection._check_list_done = [], asyncio.Queue(), False
    connection._early_checks.clear()
    connection._early_checks_done = False
    connection._remote_candidates, connection._remote_candidates_end = [], False
    transport.iceGatherer._remote_candidates_end = False
    make = aioice.ice.random_string  # type: ignore[attr-defined]
    connection._local_username, connection._local_password = make(RESTART_USER_NAME_CHARS), make(PASSWORD_CHARS)
    connection.remote_username, connection.remote_password = user_name, password
    # aiortc sends and receives only with a nominated pair, and closes the connection without one.
    nominated, connection._nominated = connection._nominated, type(connection._nominated)()
    forget_round_trip(connection)

    async def receive() -> bytes:
        received = await connection._queue.get()
        if received is None:
            raise ConnectionError("the connection is closed")
        return received[0]

    async def send(data: bytes) -> None:
        pair = connection._nominated.get(_COMPONENT) or nominated.get(_COMPONENT)
        if pair is not None and not connection._closing:
            await pair.protocol.send_data(data, pair.remote_addr)

    transport._recv, transport._send = receive, send
    return LocalIce(
        user_name=connection.local_username,
        password=connection.local_password,
        candidates=tuple(candidate.to_sdp() for candidate in connection.local_candidates),
    )


async def connect_again(transport: RTCIceTransport) -> None:
    """Wait until a pair of the new ICE session is nominated. Raises ConnectionError if the connection closes before."""
    await transport._connection.connect()
