"""A peer that receives and decodes one video and one sound stream, and puts them on one clock by their sender
reports.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import ClassVar

import av
from aiortc import (
    MediaStreamError,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCInboundRtpStreamStats,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from aiortc.rtp import AnyRtcpPacket, RtcpSrPacket

from visavis.rooms.port import MediaKind
from visavis.rooms.webrtc.dtls_settings import apply_dtls_settings
from visavis.rooms.webrtc.ice_settings import apply_ice_settings
from visavis.rooms.webrtc.private import receiving, reports
from visavis.rooms.webrtc.sender_reports import unix_time_s

AUDIO_RATE_HZ = 48_000
VIDEO_RATE_HZ = 90_000


class _RtpClock:
    """Maps one stream's RTP time to the sender's clock by its newest sender report. Before the first report it uses the
    arrival time of the first frame.
    """

    def __init__(self, receiver: RTCRtpReceiver, rate_hz: int) -> None:
        self._receiver, self._rate_hz = receiver, rate_hz
        self._report: tuple[float, int] | None = None
        self._arrival: tuple[float, int] | None = None
        reports.on_rtcp(receiver, self._note_report)

    def _note_report(self, packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpSrPacket):
            self._report = (unix_time_s(packet.sender_info.ntp_timestamp), packet.sender_info.rtp_timestamp)

    @property
    def synchronised(self) -> bool:
        return self._report is not None

    def time_of(self, pts: int, arrived_s: float) -> float:
        """Return the media time of a decoded frame, whose pts counts from the stream's first RTP timestamp."""
        rtp = pts + receiving.first_rtp_timestamp(self._receiver)
        if self._report is None:
            if self._arrival is None:
                self._arrival = (arrived_s, rtp)
            at_s, at_rtp = self._arrival
        else:
            at_s, at_rtp = self._report
        ahead = (rtp - at_rtp + 2**31) % 2**32 - 2**31
        return at_s + ahead / self._rate_hz


class ReceivingPeer:
    """One WebRTC connection that receives. Call `offer`, then `accept`. Whoever has made the peer closes it."""

    rates_hz: ClassVar[dict[MediaKind, int]] = {"video": VIDEO_RATE_HZ, "audio": AUDIO_RATE_HZ}  # as offered, in order

    def __init__(self) -> None:
        self._connection: RTCPeerConnection | None = None  # from `offer` to `aclose`
        self._receivers: dict[MediaKind, RTCRtpReceiver] = {}
        self._clocks: dict[MediaKind, _RtpClock] = {}
        self._settled = asyncio.Event()  # connected, or never to be

    async def offer(self) -> str:
        """Return an SDP offer to receive video and sound, with all candidates."""
        apply_ice_settings()
        apply_dtls_settings()
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self._connection = connection

        @connection.on("connectionstatechange")
        def connection_state_changed() -> None:
            if connection.connectionState in {"connected", "failed", "closed"}:
                self._settled.set()

        for kind, rate_hz in self.rates_hz.items():
            receiver = connection.addTransceiver(kind, direction="recvonly").receiver
            self._receivers[kind] = receiver
            self._clocks[kind] = _RtpClock(receiver, rate_hz)
        await connection.setLocalDescription(await connection.createOffer())
        return connection.localDescription.sdp

    async def accept(self, answer: str) -> None:
        """Apply the SDP answer. Then the connection is established in the background."""
        assert self._connection is not None
        await self._connection.setRemoteDescription(RTCSessionDescription(sdp=answer, type="answer"))

    async def connected(self) -> None:
        """Wait until the connection is established. Raises ConnectionError if it has failed."""
        await self._settled.wait()
        if self._connection is None or self._connection.connectionState != "connected":
            raise ConnectionError("The connection has failed")

    async def pictures(self) -> AsyncIterator[av.VideoFrame]:
        """Every decoded picture until the connection closes. pts: 90 kHz since the first."""
        async for frame in _frames(self._receivers["video"]):
            assert isinstance(frame, av.VideoFrame)
            yield frame

    async def sound(self) -> AsyncIterator[av.AudioFrame]:
        """Every decoded block of sound until the connection closes. pts: 48 kHz since the first."""
        async for frame in _frames(self._receivers["audio"]):
            assert isinstance(frame, av.AudioFrame)
            yield frame

    @property
    def synchronised(self) -> bool:
        """Whether sender reports of both streams have arrived. From then on media times of sound and picture are
        exact.
        """
        return bool(self._clocks) and all(clock.synchronised for clock in self._clocks.values())

    def media_time_s(self, kind: MediaKind, pts: int, *, arrived_s: float) -> float:
        """Return the media time of a received frame: unix time by the newest sender report. Before any report it counts
        from `arrived_s` of the first frame.
        """
        return self._clocks[kind].time_of(pts, arrived_s)

    async def packets_received(self) -> int:
        """Return how many RTP packets have come so far."""
        gathered = [await receiver.getStats() for receiver in self._receivers.values()]
        entries = [entry for report in gathered for entry in report.values()]
        return sum(entry.packetsReceived for entry in entries if isinstance(entry, RTCInboundRtpStreamStats))

    async def aclose(self) -> None:
        """Disconnect; idempotent."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


async def _frames(receiver: RTCRtpReceiver) -> AsyncIterator[object]:
    while True:
        try:
            yield await receiver.track.recv()
        except MediaStreamError:
            return
