"""RTCP: what the other side of a connection reports, and what we report to it."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from aiortc import RTCDtlsTransport, RTCRtpReceiver, RTCRtpSender
from aiortc.rtp import AnyRtcpPacket

log = structlog.get_logger("visavis.rooms")


def on_feedback(sender: RTCRtpSender, callback: Callable[[AnyRtcpPacket], None]) -> None:
    """Call `callback` with every RTCP packet for the sender, instead of the sender's own handling."""

    async def handle_rtcp_packet(packet: AnyRtcpPacket) -> None:
        callback(packet)

    sender._handle_rtcp_packet = handle_rtcp_packet  # type: ignore[method-assign]


def pass_over_malformed_reports(transport: RTCDtlsTransport) -> None:
    """Let an RTCP packet that cannot be read do nothing. aiortc would end the connection with a traceback."""
    read = transport._handle_rtcp_data

    async def handle_rtcp_data(data: bytes) -> None:
        try:
            await read(data)
        except Exception as error:  # noqa: BLE001  # the parser raises struct.error and others
            log.debug("report_malformed", error=repr(error))

    transport._handle_rtcp_data = handle_rtcp_data  # type: ignore[method-assign]


def on_rtcp(receiver: RTCRtpReceiver, callback: Callable[[AnyRtcpPacket], None]) -> None:
    """Call `callback` with every RTCP packet, before the receiver handles it."""
    handle = receiver._handle_rtcp_packet

    async def handle_rtcp_packet(packet: AnyRtcpPacket) -> None:
        callback(packet)
        await handle(packet)

    receiver._handle_rtcp_packet = handle_rtcp_packet  # type: ignore[method-assign]


async def send_rtcp(transport: RTCDtlsTransport, packet: AnyRtcpPacket) -> None:
    """Send an RTCP packet to the other side. Raises ConnectionError if there is no connection."""
    await transport._send_rtp(bytes(packet))
