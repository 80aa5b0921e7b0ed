"""A peer that sends one session's video and sound to one viewer."""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)

from visavis.errors import OfferRefused
from visavis.rooms.port import EncodedPacket, MediaKind
from visavis.rooms.spec import IceServer
from visavis.rooms.webrtc.dtls_settings import apply_dtls_settings
from visavis.rooms.webrtc.ice_settings import apply_ice_settings
from visavis.rooms.webrtc.packet_track import PacketTrack
from visavis.rooms.webrtc.private_names import on_keyframe_request, on_receiver_report, sent_counts
from visavis.rooms.webrtc.receiver_reports import ReceiverReports
from visavis.rooms.webrtc.sender_reports import report_media_time

CLOSE_WITHIN_S = 3.0
CODECS: dict[MediaKind, tuple[str, ...]] = {"video": ("video/VP8", "video/rtx"), "audio": ("audio/opus",)}

log = structlog.get_logger("visavis.rooms")


class SendingPeerEvents(Protocol):
    """Receives the events of a peer. Called in the event loop, in order; must not block."""

    def peer_connected(self) -> None:
        """The peer takes its main medium from now on. Called once. Earlier packets were dropped."""
        ...

    def keyframe_wanted(self) -> None:
        """The viewer requests a keyframe (PLI, FIR), or needs one because pictures were dropped."""
        ...

    def media_sent(self, position: int) -> None:
        """The packet of the main medium with this position has left for the viewer."""
        ...

    def peer_disconnected(self) -> None:
        """The connection has failed, or either side has closed it. Called at least once; the owner closes the peer."""
        ...


class SendingPeer:
    """One WebRTC connection that sends. `answer` is called once. Whoever has made the peer closes it.

    Its main medium is video, or sound for a viewer that takes sound alone.

    `wall_clock_at_start_ns`: unix time of position 0, for the sender reports.
    """

    def __init__(
        self, events: SendingPeerEvents, *, wall_clock_at_start_ns: int, ice_servers: tuple[IceServer, ...]
    ) -> None:
        self._events = events
        self._wall_clock_at_start_ns = wall_clock_at_start_ns
        self._ice_servers = ice_servers
        self._connection: RTCPeerConnection | None = None  # from `answer` to `aclose`
        self._tracks: dict[MediaKind, PacketTrack] = {}
        self._senders: list[RTCRtpSender] = []
        self._reports: dict[MediaKind, ReceiverReports] = {}

    @property
    def main_medium(self) -> MediaKind:
        """Valid after `answer`."""
        return "video" if "video" in self._tracks else "audio"

    async def answer(self, sdp: str, kinds: tuple[MediaKind, ...]) -> str:
        """Return the SDP answer to an offer, with all candidates. The offer has one section of each of `kinds`, in that
        order. Raises `OfferRefused` for an offer that cannot be answered; the peer must be closed then, too.
        """
        apply_ice_settings()
        apply_dtls_settings()
        servers = [RTCIceServer(urls=s.url, username=s.username, credential=s.credential) for s in self._ice_servers]
        connection = RTCPeerConnection(RTCConfiguration(iceServers=servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self._connection = connection

        @connection.on("connectionstatechange")
        def connection_state_changed() -> None:
            if connection.connectionState in ("failed", "closed"):
                self._events.peer_disconnected()

        try:
            # In the order of the offer: aiortc stops the shared transport if it does not belong to the first
            # transceiver.
            for kind in kinds:
                self._add_track(connection, kind)
            await connection.setRemoteDescription(RTCSessionDescription(sdp=sdp, type="offer"))
            await connection.setLocalDescription(await connection.createAnswer())
        except Exception as error:  # aiortc raises many types of errors for SDP that it cannot answer
            raise OfferRefused(f"The offer cannot be answered: {error}") from error
        return connection.localDescription.sdp

    def _add_track(self, connection: RTCPeerConnection, kind: MediaKind) -> None:
        track = self._tracks[kind] = PacketTrack(kind, self)
        transceiver = connection.addTransceiver(track, direction="sendonly")
        transceiver.setCodecPreferences(
            [codec for codec in RTCRtpSender.getCapabilities(kind).codecs if codec.mimeType in CODECS[kind]]
        )
        reports = self._reports[kind] = ReceiverReports()
        self._senders.append(transceiver.sender)
        report_media_time(
            transceiver.sender, track, wall_clock_at_start_ns=self._wall_clock_at_start_ns, answers=reports
        )
        on_receiver_report(
            transceiver.sender,
            lambda report: reports.take(last_report=report.lsr, delay=report.dlsr, fraction_lost=report.fraction_lost),
        )
        if kind == "video":
            on_keyframe_request(transceiver.sender, self._events.keyframe_wanted)

    def send(self, packet: EncodedPacket) -> None:
        """Queue a packet. Never blocks; if the viewer cannot keep up, packets are dropped (`rooms.backlog`)."""
        track = self._tracks.get(packet.kind)
        if track is not None:
            track.put(packet)

    def drop_backlog(self) -> int | None:
        """Drop the queued packets; return the position of the first one of sound."""
        return {kind: track.drop_backlog() for kind, track in self._tracks.items()}.get("audio")

    def sent_counts(self) -> tuple[int, int]:
        """Return how many RTP packets were sent, and the bytes of their payload."""
        counts = [sent_counts(sender) for sender in self._senders]
        return sum(packets for packets, _ in counts), sum(size_bytes for _, size_bytes in counts)

    def dropped(self, kind: MediaKind) -> int:
        """Return how many packets were dropped because the viewer could not keep up."""
        return self._tracks[kind].dropped if kind in self._tracks else 0

    def quality(self) -> tuple[float | None, float]:
        """Return what the viewer last reported: the round trip in ms (None: nothing yet), and the share of the main
        medium's packets that it lost.
        """
        main = self._reports[self.main_medium]
        return main.round_trip_ms, main.lost_share

    # --- events of the tracks
    def track_started(self, kind: MediaKind) -> None:
        if kind == self.main_medium:
            self._events.peer_connected()

    def keyframe_wanted(self) -> None:
        self._events.keyframe_wanted()

    def packet_sent(self, kind: MediaKind, position: int) -> None:
        if kind == self.main_medium:
            self._events.media_sent(position)

    async def aclose(self) -> None:
        """Disconnect; idempotent, takes at most 3 s."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        try:
            await asyncio.wait_for(connection.close(), CLOSE_WITHIN_S)
        except Exception as error:  # noqa: BLE001  # the outermost edge of a peer
            log.warning("peer_close_failed", error=repr(error))
