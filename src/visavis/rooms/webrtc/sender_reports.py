"""Sender reports (RTCP SR, RFC 3550) that give the time when media is shown or played, not when a packet was sent."""

from __future__ import annotations

from aiortc import RTCOutboundRtpStreamStats, RTCRtpSender
from aiortc.rtp import AnyRtcpPacket, RtcpSenderInfo, RtcpSrPacket

from visavis.rooms.webrtc import private_names
from visavis.rooms.webrtc.packet_track import PacketTrack
from visavis.rooms.webrtc.receiver_reports import ReceiverReports

NTP_EPOCH_OFFSET_S = 2_208_988_800  # from 1900 to 1970 (RFC 5905)
_NS = 1_000_000_000


def ntp_timestamp(unix_ns: int) -> int:
    """Return a unix time as an NTP timestamp (RFC 5905): seconds since 1900, 32.32 fixed point."""
    seconds, rest_ns = divmod(unix_ns + NTP_EPOCH_OFFSET_S * _NS, _NS)
    return (seconds << 32) | ((rest_ns << 32) // _NS)


def unix_time_s(ntp: int) -> float:
    return ntp / 2**32 - NTP_EPOCH_OFFSET_S


def report_media_time(
    sender: RTCRtpSender, track: PacketTrack, *, wall_clock_at_start_ns: int, answers: ReceiverReports
) -> None:
    """Correct the sender's reports: each gives the unix time of the last packet's position. Each is noted in `answers`.

    So sound and picture have one time base, however long a packet has waited. A report is left out while no packet of
    its kind was sent, and the first report is sent with the first packet. aiortc sends its first one after 0.5 to
    1.5 s; until then a viewer could not align sound and picture.
    """

    def corrected(send: private_names.SendRtcp) -> private_names.SendRtcp:
        async def send_rtcp(packets: list[AnyRtcpPacket]) -> None:
            reports = [p for p in packets if isinstance(p, RtcpSrPacket)]
            if reports and track.position_last_sent is None:
                return
            for report in reports:
                assert track.position_last_sent is not None
                media_ns = track.position_last_sent * _NS // 48_000
                report.sender_info.ntp_timestamp = ntp_timestamp(wall_clock_at_start_ns + media_ns)
                answers.report_sent(report.sender_info.ntp_timestamp)
            await send(packets)

        return send_rtcp

    send = private_names.wrap_rtcp_sending(sender, corrected)

    async def send_first_report() -> None:
        stats = await sender.getStats()
        sent = next(entry for entry in stats.values() if isinstance(entry, RTCOutboundRtpStreamStats))
        counts = RtcpSenderInfo(
            ntp_timestamp=0,  # `send` sets it
            rtp_timestamp=private_names.rtp_timestamp_last_sent(sender),
            packet_count=sent.packetsSent,
            octet_count=sent.bytesSent,
        )
        await send([RtcpSrPacket(ssrc=sent.ssrc, sender_info=counts)])

    track.after_first_packet = send_first_report
