"""Which picture belongs to which sound: by the sender reports of both streams (RTCP SR, RFC 3550, section 6.4.1). The
room's reports give the time when something is to be shown or played. aiortc tells neither them nor the RTP time of what
it hands on, so this module takes them out of it.
"""

from __future__ import annotations

from aiortc import RTCRtpReceiver
from aiortc.rtp import AnyRtcpPacket, RtcpSrPacket

_WRAP = 2**32  # of RTP timestamps
_NTP_TICKS_PER_S = 2**32


class Reports:
    """Of one stream. Pure. `rate_hz`: of its RTP timestamps."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._newest: tuple[int, float] | None = None

    def take(self, *, rtp_timestamp: int, ntp_timestamp: int) -> None:
        self._newest = rtp_timestamp, ntp_timestamp / _NTP_TICKS_PER_S

    def time_s(self, rtp_timestamp: int) -> float | None:
        """Return when something is to be shown or played, by the sender's clock; None before the first report."""
        if self._newest is None:
            return None
        reported, at_s = self._newest
        ahead = (rtp_timestamp - reported + _WRAP // 2) % _WRAP - _WRAP // 2
        return at_s + ahead / self._rate_hz


class MediaTime:
    """The times of what a receiver gives out."""

    def __init__(self, receiver: RTCRtpReceiver, *, rate_hz: int) -> None:
        self._receiver, self._reports = receiver, Reports(rate_hz)
        handle = receiver._handle_rtcp_packet  # noqa: SLF001

        async def take(packet: AnyRtcpPacket) -> None:
            if isinstance(packet, RtcpSrPacket):
                said = packet.sender_info
                self._reports.take(rtp_timestamp=said.rtp_timestamp, ntp_timestamp=said.ntp_timestamp)
            await handle(packet)

        receiver._handle_rtcp_packet = take  # type: ignore[method-assign]  # noqa: SLF001

    def of(self, pts: int | None) -> float | None:
        """Return the time of a frame, s by the sender's clock; None if it is not known yet."""
        # The pts of frames count from the first RTP timestamp.
        mapper = self._receiver._RTCRtpReceiver__timestamp_mapper  # type: ignore[attr-defined]  # noqa: SLF001
        origin: int | None = mapper._origin  # noqa: SLF001
        return None if pts is None or origin is None else self._reports.time_s(origin + pts)
