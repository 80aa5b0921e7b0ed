"""A peer that answers the offers of another server, and receives on its data channels. It takes no media."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import structlog
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.sdp import candidate_from_sdp

from visavis.rooms.spec import IceServer, tls_name
from visavis.rooms.webrtc.dtls_settings import apply_dtls_settings
from visavis.rooms.webrtc.ice_settings import apply_ice_settings
from visavis.rooms.webrtc.private import gathering

CLOSE_WITHIN_S = 3.0
MAX_CANDIDATES = 64  # of another server, for one connection
RELIABLE = "_reliable"  # the channel of a LiveKit server that loses nothing, by its label

log = structlog.get_logger("visavis.rooms")


class DataPeer:
    """`received`: called with each message of a data channel, in order. `opened`: called when the reliable one is open.

    Whoever has made the peer closes it.
    """

    def __init__(
        self,
        received: Callable[[bytes], None],
        *,
        opened: Callable[[], None],
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

        @self._connection.on("datachannel")
        def channel_opened(channel: RTCDataChannel) -> None:
            if channel.label == RELIABLE:
                opened()
            channel.on("message", lambda data: received(data) if isinstance(data, bytes) else None)

    async def answer(self, sdp: str) -> str:
        """Return the SDP answer to an offer, with all candidates. Later offers change the same connection."""
        await self._connection.setRemoteDescription(RTCSessionDescription(sdp=sdp, type="offer"))
        if self._connection.sctp is not None:
            ice = self._connection.sctp.transport.transport
            gathering.open_own_sockets(ice)
            gathering.name_turn_server(ice, self._tls_name)
        await self._connection.setLocalDescription(await self._connection.createAnswer())
        return self._connection.localDescription.sdp

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
        try:
            await asyncio.wait_for(self._connection.close(), CLOSE_WITHIN_S)
        except Exception as error:  # noqa: BLE001  # the outermost edge of a peer
            log.warning("peer_close_failed", error=repr(error))
