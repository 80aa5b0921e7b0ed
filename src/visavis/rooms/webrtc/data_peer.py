"""A peer that answers the offers of another server, and receives on its data channels. It takes no media."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable

import structlog
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCIceTransport,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.sdp import candidate_from_sdp

from visavis.rooms.spec import IceServer, tls_name
from visavis.rooms.webrtc.dtls_settings import apply_dtls_settings
from visavis.rooms.webrtc.ice_settings import TURN_WITHIN_S, apply_ice_settings
from visavis.rooms.webrtc.private import consent, gathering
from visavis.rooms.webrtc.private.restarts import connect_again, restart_ice

CLOSE_WITHIN_S = 3.0
RESTART_WITHIN_S = 10.0
SILENT_WITHIN_S = 10.0  # for which another server may give no sign: a network that is gone for 5 s ends nothing
MAX_CANDIDATES = 64  # of another server, for one connection
RELIABLE = "_reliable"  # the channel of a LiveKit server that loses nothing, by its label

_ICE_LINE = re.compile(r"^a=ice-(ufrag|pwd):(\S+)", re.MULTILINE)

log = structlog.get_logger("visavis.rooms")


def _credentials(sdp: str) -> tuple[str, str]:
    """Return the user name and the password of the ICE session that a description begins or goes on with."""
    found = dict(_ICE_LINE.findall(sdp))
    return found.get("ufrag", ""), found.get("pwd", "")


class DataPeer:
    """`received`: called with each message of a data channel, in order. `opened`: called when the reliable one is open.
    `lost`: called when the connection is lost, or closed; and when the server sees this machine at another address, to
    which it sends nothing until it is told of it.

    Whoever has made the peer closes it.
    """

    def __init__(
        self,
        received: Callable[[bytes], None],
        *,
        opened: Callable[[], None],
        lost: Callable[[], None],
        ice_servers: tuple[IceServer, ...],
    ) -> None:
        apply_ice_settings()
        apply_dtls_settings()
        servers = [RTCIceServer(urls=s.url, username=s.username, credential=s.credential) for s in ice_servers]
        self._connection = RTCPeerConnection(
            RTCConfiguration(iceServers=servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        self._tls_name = tls_name(ice_servers)
        self._candidates = 0  # that the other server has named
        self._lost = lost
        self._user_name: str | None = None  # of the other server, in the present ICE session
        self._restarting: asyncio.Task[None] | None = None

        @self._connection.on("connectionstatechange")
        def connection_state_changed() -> None:
            if self._connection.connectionState in ("failed", "closed"):
                lost()

        @self._connection.on("datachannel")
        def channel_opened(channel: RTCDataChannel) -> None:
            if channel.label == RELIABLE:
                opened()
            channel.on("message", lambda data: received(data) if isinstance(data, bytes) else None)

    async def answer(self, sdp: str) -> str:
        """Return the SDP answer to an offer, with all candidates. Later offers change the same connection: one with
        other ICE credentials looks for another path, and the channels stay as they are. Raises ConnectionError if the
        connection is closing.
        """
        user_name, password = _credentials(sdp)
        restarts = self._user_name not in (None, user_name)
        self._user_name = user_name
        if restarts and self._connection.sctp is not None:
            await self._restart(self._connection.sctp.transport.transport, user_name, password)
        await self._connection.setRemoteDescription(RTCSessionDescription(sdp=sdp, type="offer"))
        if self._connection.sctp is not None and not restarts:
            ice = self._connection.sctp.transport.transport
            gathering.open_own_sockets(ice)
            gathering.name_turn_server(ice, self._tls_name)
            gathering.wait_for_turn_server(ice, within_s=TURN_WITHIN_S)
            consent.watch_consent(ice, expires_s=SILENT_WITHIN_S, moved=self._lost)
        await self._connection.setLocalDescription(await self._connection.createAnswer())
        if restarts and self._connection.sctp is not None:
            self._restarting = asyncio.create_task(self._connect_again(self._connection.sctp.transport.transport))
        return self._connection.localDescription.sdp

    async def _restart(self, ice: RTCIceTransport, user_name: str, password: str) -> None:
        if self._restarting is not None:
            self._restarting.cancel()
            await asyncio.wait([self._restarting])
        self._candidates = 0
        if restart_ice(ice, user_name=user_name, password=password) is None:
            raise ConnectionError("the connection is closing")

    async def _connect_again(self, ice: RTCIceTransport) -> None:
        try:
            async with asyncio.timeout(RESTART_WITHIN_S):
                await connect_again(ice)
        except (ConnectionError, TimeoutError):
            self._lost()

    async def add_candidate(self, candidate: str, *, mid: str | None, index: int | None) -> None:
        """Check one more address of the server: the value of a candidate line. One that is invalid is left out, and one
        beyond the first MAX_CANDIDATES.
        """
        self._candidates += 1
        if self._candidates > MAX_CANDIDATES:
            return
        with contextlib.suppress(ValueError, AssertionError, IndexError, KeyError):
            parsed = candidate_from_sdp(candidate)
            parsed.sdpMid, parsed.sdpMLineIndex = mid, index
            await self._connection.addIceCandidate(parsed)

    async def aclose(self) -> None:
        """Disconnect; takes at most 3 s."""
        if self._restarting is not None:
            self._restarting.cancel()
        try:
            await asyncio.wait_for(self._connection.close(), CLOSE_WITHIN_S)
        except Exception as error:  # noqa: BLE001  # the outermost edge of a peer
            log.warning("peer_close_failed", error=repr(error))
