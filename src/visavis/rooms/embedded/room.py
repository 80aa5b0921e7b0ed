"""The embedded room: viewers join by WHEP, each over a WebRTC connection of this process, and all get the
same packets.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Literal

import structlog
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)

from visavis.errors import OfferRefused, RoomFull
from visavis.rooms.embedded.ice import hurry_gathering, settle_ice
from visavis.rooms.embedded.offer import CheckedOffer, check_offer
from visavis.rooms.embedded.viewer import PacketTrack, hear_keyframe_requests, stamp_with_media_clock
from visavis.rooms.port import EncodedPacket, RoomEvents
from visavis.rooms.spec import IceServer

JOIN_WITHIN_S = 15.0  # an answered offer that has not connected by then is forgotten
CLOSE_WITHIN_S = 3.0
MAX_VIEWERS = 50  # with those whose offer is being answered
NTP_EPOCH_OFFSET_S = 2_208_988_800  # from 1900 to 1970 (RFC 5905)

log = structlog.get_logger("visavis.room")


@dataclass(slots=True, eq=False)
class _Viewer:
    """One viewer, and the listener of its two tracks. `joined` from the first packet taken, `gone` once it is being
    closed.
    """

    viewer_id: str
    room: EmbeddedRoom
    connection: RTCPeerConnection
    tracks: list[PacketTrack] = field(default_factory=list)
    joined: bool = False
    gone: bool = False
    deadline: asyncio.TimerHandle | None = None

    def sending(self, kind: str) -> None:
        if kind == "video":
            self.room._viewer_is_there(self)

    def keyframe_wanted(self, *, joining: bool) -> None:
        self.room._events.keyframe_wanted(joining=joining)

    def video_sent(self) -> None:
        self.room._video_sent()


class EmbeddedRoom:
    """Both halves of the port: implements `rooms.port.EncodedSink` and `rooms.port.ViewerEntrance`.

    `wall_clock_at_start_ns`: unix time of the performance's position 0, for the viewers' sender reports.
    """

    takes: Literal["encoded"] = "encoded"

    def __init__(
        self, events: RoomEvents, *, wall_clock_at_start_ns: int, ice_servers: tuple[IceServer, ...] = ()
    ) -> None:
        self._events = events
        self._origin_ns = wall_clock_at_start_ns
        self._ice_servers = [
            RTCIceServer(urls=s.url, username=s.username, credential=s.credential) for s in ice_servers
        ]
        self._viewers: dict[str, _Viewer] = {}
        self._closing: set[asyncio.Task[None]] = set()  # owned: aclose waits for them
        self._first_frame_sent = False
        self._closed = False

    # --- media
    @property
    def watched(self) -> bool:
        return any(viewer.joined for viewer in self._viewers.values())

    def publish(self, item: EncodedPacket) -> None:
        for viewer in self._viewers.values():
            for track in viewer.tracks:
                if track.kind == item.kind:
                    track.put(item)

    def drop_backlog(self) -> None:
        for viewer in self._viewers.values():
            for track in viewer.tracks:
                track.drop()

    def _ntp_at(self, position: int) -> int:
        """Return the NTP timestamp (RFC 5905: 32.32 fixed point) of a position."""
        ns = self._origin_ns + position * 1_000_000_000 // 48_000 + NTP_EPOCH_OFFSET_S * 1_000_000_000
        seconds, rest_ns = divmod(ns, 1_000_000_000)
        return (seconds << 32) | ((rest_ns << 32) // 1_000_000_000)

    # --- viewers
    async def offer(self, *, viewer_id: str, sdp: str) -> str:
        checked = check_offer(sdp)
        if self._closed:
            raise OfferRefused("The room is closed")
        if len(self._viewers) >= MAX_VIEWERS:
            raise RoomFull(
                f"{MAX_VIEWERS} viewers are in the room, as many as it takes", suggestion="Try again when one has left"
            )
        if viewer_id in self._viewers:
            raise OfferRefused("This viewer is already in the room")
        settle_ice()
        connection = RTCPeerConnection(
            RTCConfiguration(iceServers=self._ice_servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE)
        )
        viewer = _Viewer(viewer_id, self, connection)
        self._viewers[viewer_id] = viewer
        try:
            answer = await self._answer(viewer, checked)
        except BaseException as error:
            self._forget(viewer)
            if isinstance(error, Exception):  # aiortc raises many kinds for SDP that it cannot answer
                raise OfferRefused(f"The offer cannot be answered: {error}") from error
            raise
        viewer.deadline = asyncio.get_running_loop().call_later(JOIN_WITHIN_S, self._give_up, viewer)
        return answer

    async def _answer(self, viewer: _Viewer, offer: CheckedOffer) -> str:
        connection = viewer.connection

        @connection.on("connectionstatechange")
        def connection_state_changed() -> None:
            if connection.connectionState in ("failed", "closed"):
                self._forget(viewer)

        # In the offer's order: aiortc stops the shared transport when the first section's is not the first
        # transceiver's.
        for kind in offer.kinds:
            track = PacketTrack(kind, viewer)
            transceiver = connection.addTransceiver(track, direction="sendonly")
            wanted = ("video/VP8", "video/rtx") if kind == "video" else ("audio/opus",)
            transceiver.setCodecPreferences(
                [c for c in RTCRtpSender.getCapabilities(kind).codecs if c.mimeType in wanted]
            )
            stamp_with_media_clock(transceiver.sender, track, self._ntp_at)
            if kind == "video":
                hear_keyframe_requests(transceiver.sender, lambda: viewer.keyframe_wanted(joining=False))
            viewer.tracks.append(track)
        await connection.setRemoteDescription(RTCSessionDescription(sdp=offer.sdp, type="offer"))
        hurry_gathering(connection)
        await connection.setLocalDescription(await connection.createAnswer())
        return connection.localDescription.sdp

    def _viewer_is_there(self, viewer: _Viewer) -> None:
        if viewer.joined or viewer.gone:
            return
        viewer.joined = True
        if viewer.deadline:
            viewer.deadline.cancel()
        self._events.viewer_joined(viewer.viewer_id, self._count())
        self._events.keyframe_wanted(joining=True)

    def _video_sent(self) -> None:
        if not self._first_frame_sent:
            self._first_frame_sent = True
            self._events.first_frame_sent()

    def _give_up(self, viewer: _Viewer) -> None:
        if not viewer.joined:
            self._forget(viewer)

    def _forget(self, viewer: _Viewer) -> None:
        """Close a viewer's connection in the background, and tell once that it has left."""
        if viewer.gone:
            return
        viewer.gone = True
        self._viewers.pop(viewer.viewer_id, None)
        if viewer.deadline:
            viewer.deadline.cancel()
        if viewer.joined:
            self._events.viewer_left(viewer.viewer_id, self._count())
        task = asyncio.get_running_loop().create_task(self._close(viewer))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close(self, viewer: _Viewer) -> None:
        try:
            await asyncio.wait_for(viewer.connection.close(), CLOSE_WITHIN_S)
        except Exception as error:
            log.warning("viewer_close_failed", viewer_id=viewer.viewer_id, error=repr(error))

    def _count(self) -> int:
        return sum(viewer.joined for viewer in self._viewers.values())

    async def remove_viewer(self, viewer_id: str) -> bool:
        viewer = self._viewers.get(viewer_id)
        if viewer is None:
            return False
        self._forget(viewer)
        return True

    async def aclose(self) -> None:
        self._closed = True
        for viewer in list(self._viewers.values()):
            self._forget(viewer)
        if self._closing:
            await asyncio.wait(self._closing, timeout=CLOSE_WITHIN_S + 0.5)
