"""A peer that connects one viewer to the send path of a session."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import structlog
from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCIceTransport,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.rtcrtpparameters import RTCRtpSendParameters
from aiortc.rtp import (
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    AnyRtcpPacket,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSrPacket,
)
from aiortc.sdp import candidate_from_sdp

from visavis.errors import IceRestartUnavailable, OfferRefused
from visavis.rooms.port import AudienceFigures, MediaKind
from visavis.rooms.spec import IceServer
from visavis.rooms.webrtc import media_ports
from visavis.rooms.webrtc.dtls_settings import apply_dtls_settings
from visavis.rooms.webrtc.ice_settings import apply_ice_settings
from visavis.rooms.webrtc.inbound_gate import MAX_LOST, InboundGate
from visavis.rooms.webrtc.private import checks, consent, datagrams, gathering, paths, reports, restarts, sending
from visavis.rooms.webrtc.receiver_reports import ReceiverReports
from visavis.rooms.webrtc.rtp import header_extension
from visavis.rooms.webrtc.send_path import SendPath
from visavis.rooms.webrtc.viewer_link import StreamTerms, ViewerLink

CLOSE_WITHIN_S = 3.0
RESTART_WITHIN_S = 8.0  # a viewer that has asked for another ICE session and does not connect in it is gone
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

    def peer_disconnected(self) -> None:
        """The connection has failed, or either side has closed it. Called at least once; the owner closes the peer."""
        ...


class SendingPeer:
    """One WebRTC connection to a viewer of `path`. `answer` is called once. Whoever has made the peer closes it.

    Its main medium is video, or sound for a viewer that takes sound alone.

    `wall_clock_at_start_ns`: unix time of position 0, for the sender reports. `checked` is called when the viewer has
    sent its first connectivity check: it has the answer, and is about to connect.
    """

    def __init__(
        self,
        events: SendingPeerEvents,
        path: SendPath,
        *,
        wall_clock_at_start_ns: int,
        ice_servers: tuple[IceServer, ...],
        checked: Callable[[], None] = lambda: None,
    ) -> None:
        self._events, self._path = events, path
        self._wall_clock_at_start_ns = wall_clock_at_start_ns
        self._ice_servers, self._checked = ice_servers, checked
        self._connection: RTCPeerConnection | None = None  # from `answer` to `aclose`
        self._reconnecting: asyncio.Task[None] | None = None  # from `restart_ice` until another path is found
        self._link: ViewerLink | None = None  # set when the connection is established
        self._gate = InboundGate()
        self._gate_told = False  # that it has refused something, in the log
        self._lost_refused = 0  # lost packets that a report named too many of
        self._dropped_before: dict[MediaKind, int] = {}  # by the send path, before the connection was established
        self._reports: dict[MediaKind, ReceiverReports] = {}  # of the kinds that the viewer takes

    @property
    def main_medium(self) -> MediaKind:
        """Valid after `answer`."""
        return "video" if "video" in self._reports else "audio"

    async def answer(self, sdp: str, kinds: tuple[MediaKind, ...]) -> str:
        """Return the SDP answer to an offer, with all candidates. The offer has one section of each of `kinds`, in that
        order. Raises `OfferRefused` for an offer that cannot be answered; the peer must be closed then, too.
        """
        connection = self._open_connection()
        try:
            # In the order of the offer: aiortc stops the shared transport if it does not belong to the first
            # transceiver.
            for kind in kinds:
                self._add_stream(connection, kind)
            datagrams.filter_datagrams(_ice_of(connection), self._lets_in)
            checks.on_first_check(_ice_of(connection), self._checked)
            reports.pass_over_malformed_reports(connection.getSenders()[0].transport)
            await connection.setRemoteDescription(RTCSessionDescription(sdp=sdp, type="offer"))
            await connection.setLocalDescription(await connection.createAnswer())
        except Exception as error:  # aiortc raises many types of errors for SDP that it cannot answer
            raise OfferRefused(f"The offer cannot be answered: {error}") from error
        return connection.localDescription.sdp

    def _open_connection(self) -> RTCPeerConnection:
        apply_ice_settings()
        apply_dtls_settings()
        servers = [RTCIceServer(urls=s.url, username=s.username, credential=s.credential) for s in self._ice_servers]
        connection = RTCPeerConnection(RTCConfiguration(iceServers=servers, bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self._connection = connection

        @connection.on("connectionstatechange")
        def connection_state_changed() -> None:
            if connection.connectionState in ("failed", "closed"):
                self._events.peer_disconnected()

        return connection

    async def add_candidates(self, candidates: Sequence[str]) -> None:
        """Check further addresses of the viewer: the values of candidate lines, which must be valid."""
        if self._connection is not None:
            for candidate in candidates:
                await _ice_of(self._connection).addRemoteCandidate(candidate_from_sdp(candidate))

    async def restart_ice(self, *, user_name: str, password: str, candidates: Sequence[str]) -> restarts.LocalIce:
        """Look for another path to the viewer, with its new credentials and candidates; return ours. Media keep to the
        path of before until there is another one. Raises `IceRestartUnavailable` without an established connection.
        """
        if self._connection is None or self._link is None:
            raise IceRestartUnavailable
        ice = _ice_of(self._connection)
        while (before := self._reconnecting) is not None:  # another restart may have begun another one meanwhile
            before.cancel()
            await asyncio.wait([before])
            if self._reconnecting is before:
                self._reconnecting = None
        local = restarts.restart_ice(ice, user_name=user_name, password=password)
        if local is None:
            raise IceRestartUnavailable
        media_ports.rename_seats(gathering.protocols_of(ice), local.user_name)
        await self.add_candidates(candidates)
        self._reconnecting = asyncio.get_running_loop().create_task(self._reconnect(ice))
        return local

    async def _reconnect(self, ice: RTCIceTransport) -> None:
        try:
            async with asyncio.timeout(RESTART_WITHIN_S):
                await restarts.connect_again(ice)
        except (ConnectionError, TimeoutError):
            self._events.peer_disconnected()
        else:
            self._events.keyframe_wanted()  # the viewer has missed pictures

    @property
    def was_checked(self) -> bool:
        """Whether the viewer has sent a connectivity check: it has the answer and reaches this machine."""
        return self._connection is not None and checks.was_checked(_ice_of(self._connection))

    @property
    def begins_at_once(self) -> bool:
        """Whether the viewer needs no further keyframe to begin with."""
        return self._link is not None and self._path.begins_at_once(self._link)

    def _add_stream(self, connection: RTCPeerConnection, kind: MediaKind) -> RTCRtpSender:
        transceiver = connection.addTransceiver(kind, direction="sendonly")
        transceiver.setCodecPreferences(
            [codec for codec in RTCRtpSender.getCapabilities(kind).codecs if codec.mimeType in CODECS[kind]]
        )
        self._reports[kind] = ReceiverReports()
        sender = transceiver.sender
        sending.take_over_sending(
            sender,
            started=lambda parameters: self._start(kind, sender, parameters),
            stopped=lambda: self._stop(kind),
        )
        reports.on_feedback(sender, lambda packet: self._take_feedback(kind, packet, sender))
        return sender

    def _start(self, kind: MediaKind, sender: RTCRtpSender, parameters: RTCRtpSendParameters) -> None:
        if self._link is None:
            link = self._link = ViewerLink(
                sending.protection_of(sender.transport),
                name=parameters.rtcp.cname or "",
                wall_clock_at_start_ns=self._wall_clock_at_start_ns,
                position_sent=self._path.position_sent,
                reports=self._reports,
                keyframe_wanted=self._events.keyframe_wanted,
            )
            self._dropped_before = self._path.dropped
            paths.follow_path(sender.transport, link.follow)
        ssrc, resend_ssrc = sending.synchronisation_sources(sender)
        codec, *others = parameters.codecs
        assert codec.payloadType is not None
        resend = (other for other in others if other.parameters.get("apt") == codec.payloadType)
        ids = {extension.uri: extension.id for extension in parameters.headerExtensions}
        terms = StreamTerms(
            ssrc=ssrc,
            resend_ssrc=resend_ssrc,
            payload_type=codec.payloadType,
            resend_payload_type=next((other.payloadType for other in resend), None),
            extension=header_extension(ids, parameters.muxId),
        )
        self._link.open(kind, terms)
        self._path.add(self._link)
        if kind == self.main_medium:
            self._events.peer_connected()

    def _stop(self, kind: MediaKind) -> None:
        if self._link is not None and self._link.close(kind):
            self._path.remove(self._link)

    def _take_feedback(self, kind: MediaKind, packet: AnyRtcpPacket, sender: RTCRtpSender) -> None:
        """Take what the viewer reports. Values come from a stranger."""
        match packet:
            case RtcpRtpfbPacket(fmt=fmt, lost=lost) if fmt == RTCP_RTPFB_NACK:
                if self._link is not None:
                    self._lost_refused += max(0, len(lost) - MAX_LOST)
                    self._path.resend(self._link, kind, [number & 0xFFFF for number in lost[:MAX_LOST]])
            case RtcpPsfbPacket(fmt=fmt) if fmt in (RTCP_PSFB_PLI, RTCP_PSFB_FIR):
                self._events.keyframe_wanted()
            case RtcpRrPacket(reports=received) | RtcpSrPacket(reports=received):
                for report in received:
                    if report.ssrc == sending.synchronisation_sources(sender)[0]:
                        self._reports[kind].take(
                            last_report=report.lsr, delay=report.dlsr, fraction_lost=report.fraction_lost
                        )
                round_trip_ms = self._reports[kind].round_trip_ms
                if self._link is not None and round_trip_ms is not None:
                    self._link.note_round_trip(round_trip_ms)

    def _lets_in(self, datagram: bytes) -> bool:
        let_in = self._gate.lets_in(datagram, time.monotonic())
        if not let_in and not self._gate_told:
            self._gate_told = True
            log.info("viewer_datagrams_refused", first_bytes=datagram[:2].hex(), size_bytes=len(datagram))
        return let_in

    def resend_counts(self) -> tuple[int, int]:
        """Return how many lost packets were sent again, and how many requests were refused because the viewer made too
        many: lost packets, and datagrams that were not read.
        """
        resent, refused = (0, 0) if self._link is None else self._link.resend_counts()
        return resent, refused + self._lost_refused + self._gate.refused

    def sent_counts(self) -> tuple[int, int]:
        """Return how many RTP packets were sent, and the bytes of their payload."""
        return (0, 0) if self._link is None else self._link.sent_counts()

    def dropped(self, kind: MediaKind) -> int:
        """Return how many packets were dropped because the viewer or the event loop could not keep up."""
        if self._link is None or kind not in self._reports:
            return 0
        return self._link.dropped(kind) + self._path.dropped[kind] - self._dropped_before[kind]

    def add_to(self, figures: AudienceFigures) -> AudienceFigures:
        """Return the figures of a room with what was sent here."""
        packets, size_bytes = self.sent_counts()
        resent, refused = self.resend_counts()
        return replace(
            figures,
            packets_sent=figures.packets_sent + packets,
            bytes_sent=figures.bytes_sent + size_bytes,
            packets_resent=figures.packets_resent + resent,
            requests_refused=figures.requests_refused + refused,
            dropped_blocks=figures.dropped_blocks + self.dropped("audio"),
            dropped_pictures=figures.dropped_pictures + self.dropped("video"),
        )

    def quality(self) -> tuple[float | None, float]:
        """Return what the viewer last reported: the round trip in ms (None: nothing yet), and the share of the main
        medium's packets that it lost.
        """
        main = self._reports[self.main_medium]
        return main.round_trip_ms, main.lost_share

    @property
    def checked_ms(self) -> float | None:
        """The round trip in ms before any media was sent."""
        seconds = None if self._connection is None else consent.checked_round_trip_s(_ice_of(self._connection))
        return None if seconds is None else seconds * 1000

    async def aclose(self) -> None:
        """Disconnect; idempotent, takes at most 3 s."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._reconnecting is not None:
            self._reconnecting.cancel()
        try:
            await asyncio.wait_for(connection.close(), CLOSE_WITHIN_S)
        except Exception as error:  # noqa: BLE001  # the outermost edge of a peer
            log.warning("peer_close_failed", error=repr(error))
        finally:
            if self._link is not None:
                self._path.remove(self._link)


def _ice_of(connection: RTCPeerConnection) -> RTCIceTransport:
    """Return the transport that all media of a connection share."""
    ice: RTCIceTransport = connection.getSenders()[0].transport.transport
    return ice
