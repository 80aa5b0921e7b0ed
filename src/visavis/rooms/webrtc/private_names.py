"""The undocumented names of aiortc and aioice that this package uses, each with its purpose.

A new version of a library may change these names without notice. tests/rooms/webrtc/test_private_names.py checks each
and says which one is missing. Only this module accesses the private attributes among them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import aioice.ice
import structlog
from aiortc import RTCCertificate, RTCDtlsTransport, RTCRtpReceiver, RTCRtpSender
from aiortc.rtp import AnyRtcpPacket, RtcpReceiverInfo, RtcpRrPacket, RtcpSrPacket

SendRtcp = Callable[[list[AnyRtcpPacket]], Coroutine[Any, Any, None]]
OnRtp = Callable[[bytes, int], Coroutine[Any, Any, None]]
HostAddresses = Callable[[bool, bool], list[str]]

_LAST_STUN_BYTE = 3  # the first byte of DTLS and RTP is greater (RFC 7983, section 7)

log = structlog.get_logger("visavis.rooms")


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateName:
    """`owner`: the path of the module, or of the class whose instances have the name."""

    owner: str
    name: str
    purpose: str


PRIVATE_NAMES = (
    PrivateName(owner="aioice.ice", name="CONSENT_INTERVAL", purpose="the time between consent checks of a peer"),
    PrivateName(owner="aioice.ice", name="CONSENT_FAILURES", purpose="after how many unanswered checks a peer is gone"),
    PrivateName(owner="aioice.ice", name="get_host_addresses", purpose="loopback addresses if there are no others"),
    PrivateName(
        owner="aioice.ice.Connection",
        name="get_component_candidates",
        purpose="how long STUN and TURN servers may take to answer",
    ),
    PrivateName(
        owner="aioice.ice.Connection", name="check_incoming", purpose="how many addresses are learnt from checks"
    ),
    PrivateName(
        owner="aioice.ice.Connection", name="_remote_candidates", purpose="how many addresses are learnt from checks"
    ),
    PrivateName(
        owner="aioice.candidate.Candidate", name="_network_host", purpose="how many addresses are learnt from checks"
    ),
    PrivateName(owner="aioice.ice", name="StunProtocol", purpose="dropping what strangers send"),
    PrivateName(owner="aioice.ice.StunProtocol", name="datagram_received", purpose="dropping what strangers send"),
    PrivateName(owner="aioice.ice.StunProtocol", name="receiver", purpose="dropping what strangers send"),
    PrivateName(owner="aioice.ice.Connection", name="data_received", purpose="how much is kept that is not read yet"),
    PrivateName(owner="aioice.ice.Connection", name="_queue", purpose="how much is kept that is not read yet"),
    PrivateName(
        owner="aiortc.RTCCertificate", name="_create_ssl_context", purpose="the handshake with RSA certificates"
    ),
    PrivateName(owner="aiortc.rtp", name="AnyRtcpPacket", purpose="the type of an RTCP packet"),
    PrivateName(owner="aiortc.rtp", name="RtcpSrPacket", purpose="writing and reading sender reports"),
    PrivateName(owner="aiortc.rtp", name="RtcpRrPacket", purpose="reading receiver reports"),
    PrivateName(owner="aiortc.rtp", name="RtcpReceiverInfo", purpose="reading receiver reports"),
    PrivateName(owner="aiortc.rtp", name="RtcpSenderInfo", purpose="writing sender reports"),
    PrivateName(owner="aiortc.RTCRtpSender", name="_send_rtcp", purpose="correcting the time in sender reports"),
    PrivateName(
        owner="aiortc.RTCRtpSender",
        name="_RTCRtpSender__rtp_timestamp",
        purpose="the RTP time of the last sent packet, for the first sender report",
    ),
    PrivateName(owner="aiortc.RTCRtpSender", name="_send_keyframe", purpose="receiving PLI and FIR"),
    PrivateName(owner="aiortc.RTCRtpSender", name="_handle_rtcp_packet", purpose="reading receiver reports"),
    PrivateName(owner="aiortc.RTCRtpSender", name="_ssrc", purpose="reading receiver reports"),
    PrivateName(owner="aiortc.RTCRtpSender", name="_RTCRtpSender__packet_count", purpose="counting what was sent"),
    PrivateName(owner="aiortc.RTCRtpSender", name="_RTCRtpSender__octet_count", purpose="counting what was sent"),
    PrivateName(owner="aiortc.RTCRtpReceiver", name="_handle_rtcp_packet", purpose="reading sender reports"),
    PrivateName(
        owner="aiortc.RTCRtpReceiver",
        name="_RTCRtpReceiver__timestamp_mapper",
        purpose="the RTP time of a stream's first packet",
    ),
    PrivateName(
        owner="aiortc.rtcrtpreceiver.TimestampMapper",
        name="_origin",
        purpose="the RTP time of a stream's first packet",
    ),
    PrivateName(owner="aiortc.RTCDtlsTransport", name="_rx_srtp", purpose="counting packets without decrypting them"),
    PrivateName(
        owner="aiortc.RTCDtlsTransport", name="_handle_rtp_data", purpose="counting packets without decoding them"
    ),
)


# --- ICE, for every connection of this process


def set_consent_checks(*, interval_s: int, failures: int) -> None:
    """Set the time between consent checks of a peer, and after how many unanswered checks the peer is gone
    (RFC 7675).
    """
    aioice.ice.CONSENT_INTERVAL = interval_s
    aioice.ice.CONSENT_FAILURES = failures


def replace_host_addresses(replacement: Callable[[HostAddresses], HostAddresses]) -> None:
    """Replace the function that finds this machine's addresses by `replacement(that function)`."""
    aioice.ice.get_host_addresses = replacement(aioice.ice.get_host_addresses)  # type: ignore[assignment]


def limit_gathering_time(timeout_s: int) -> None:
    """Set how long STUN and TURN servers may take. Candidates of slower servers are left out."""
    gather = aioice.ice.Connection.get_component_candidates
    aioice.ice.Connection.get_component_candidates = functools.partialmethod(gather, timeout=timeout_s)  # type: ignore[assignment,method-assign]


def limit_addresses(maximum: int) -> None:
    """Set how many addresses of its peer a connection knows: those of the candidates, and those that it learns from
    connectivity checks (RFC 8445, section 7.3.1.3). A check from a further address is answered and then forgotten.
    """
    check = aioice.ice.Connection.check_incoming

    @functools.wraps(check)
    def check_incoming(
        connection: aioice.ice.Connection,
        message: aioice.stun.Message,
        address: tuple[str, int],
        protocol: aioice.ice.StunProtocol,
    ) -> None:
        known = connection._remote_candidates
        if len(known) < maximum or any((one._network_host, one.port) == address for one in known):
            check(connection, message, address, protocol)

    aioice.ice.Connection.check_incoming = check_incoming  # type: ignore[method-assign,assignment]


def limit_unread(*, datagrams: int, size_bytes: int) -> None:
    """Set how many datagrams wait in a connection until they are read, and how long they may be. Further and longer
    ones are dropped. Anybody can send datagrams to a connection, even before its handshake reads the first.
    """
    received = aioice.ice.Connection.data_received

    @functools.wraps(received)
    def data_received(connection: aioice.ice.Connection, data: bytes, component: int) -> None:
        if len(data) <= size_bytes and connection._queue.qsize() < datagrams:
            received(connection, data, component)

    aioice.ice.Connection.data_received = data_received  # type: ignore[method-assign,assignment]


def refuse_strangers() -> None:
    """Drop datagrams that only a stranger sends: malformed ones, and data from an address that has not passed a
    connectivity check. One empty datagram would end a connection, and one DTLS alert its handshake.
    """
    received = aioice.ice.StunProtocol.datagram_received

    @functools.wraps(received)
    def datagram_received(protocol: aioice.ice.StunProtocol, data: bytes, address: tuple[Any, ...]) -> None:
        if not data:
            return
        known = protocol.receiver._remote_candidates
        if data[0] > _LAST_STUN_BYTE and all((one._network_host, one.port) != address[:2] for one in known):
            return
        try:
            received(protocol, data, address)
        except Exception as error:  # noqa: BLE001  # the parser raises struct.error and others
            log.debug("datagram_malformed", error=repr(error))

    aioice.ice.StunProtocol.datagram_received = datagram_received  # type: ignore[method-assign,assignment]


# --- DTLS, for every connection of this process


def set_cipher_suites(suites: Sequence[str]) -> None:
    """Set the cipher suites of the handshake: OpenSSL's names, in the order of preference."""
    create = RTCCertificate._create_ssl_context

    @functools.wraps(create)
    def create_ssl_context(certificate: RTCCertificate, *args: Any, **named: Any) -> Any:
        context = create(certificate, *args, **named)
        context.set_cipher_list(":".join(suites).encode())
        return context

    RTCCertificate._create_ssl_context = create_ssl_context  # type: ignore[method-assign,assignment]


# --- sending


def wrap_rtcp_sending(sender: RTCRtpSender, wrapped: Callable[[SendRtcp], SendRtcp]) -> SendRtcp:
    """Replace the sender's function that sends RTCP by `wrapped(that function)`; return the new one."""
    send = wrapped(sender._send_rtcp)
    sender._send_rtcp = send  # type: ignore[method-assign,assignment]
    return send


def rtp_timestamp_last_sent(sender: RTCRtpSender) -> int:
    timestamp: int = sender._RTCRtpSender__rtp_timestamp  # type: ignore[attr-defined]
    return timestamp


def on_keyframe_request(sender: RTCRtpSender, callback: Callable[[], None]) -> None:
    """Call `callback` at every PLI and FIR, instead of aiortc's own encoder, which is not used."""
    sender._send_keyframe = callback  # type: ignore[method-assign]


def sent_counts(sender: RTCRtpSender) -> tuple[int, int]:
    """Return how many RTP packets were sent, and the bytes of their payload."""
    packets: int = sender._RTCRtpSender__packet_count  # type: ignore[attr-defined]
    size_bytes: int = sender._RTCRtpSender__octet_count  # type: ignore[attr-defined]
    return packets, size_bytes


def on_receiver_report(sender: RTCRtpSender, callback: Callable[[RtcpReceiverInfo], None]) -> None:
    """Call `callback` with every report of the viewer about this stream."""

    def take(packet: AnyRtcpPacket) -> None:
        if isinstance(packet, RtcpRrPacket | RtcpSrPacket):
            for report in packet.reports:
                if report.ssrc == sender._ssrc:
                    callback(report)

    on_rtcp(sender, take)


# --- receiving


def on_rtcp(receiver: RTCRtpReceiver | RTCRtpSender, callback: Callable[[AnyRtcpPacket], None]) -> None:
    """Call `callback` with every RTCP packet, before the receiver or sender handles it."""
    handle = receiver._handle_rtcp_packet

    async def handle_rtcp_packet(packet: AnyRtcpPacket) -> None:
        callback(packet)
        await handle(packet)

    receiver._handle_rtcp_packet = handle_rtcp_packet  # type: ignore[method-assign]


def first_rtp_timestamp(receiver: RTCRtpReceiver) -> int:
    """Return the RTP time from which the receiver counts the pts of its frames. Requires that a frame has come."""
    timestamp: int = receiver._RTCRtpReceiver__timestamp_mapper._origin  # type: ignore[attr-defined]
    return timestamp


class _RtcpOnlySrtp:
    """Replaces a connection's SRTP: it decrypts RTCP, but leaves RTP encrypted."""

    def __init__(self, srtp: Any) -> None:
        self.unprotect_rtcp = srtp.unprotect_rtcp

    def unprotect(self, data: bytes) -> bytes:
        return data


def on_encrypted_rtp(transport: RTCDtlsTransport, callback: OnRtp) -> None:
    """Call `callback` with every RTP packet of a connected transport, still encrypted, instead of its receivers."""
    transport._rx_srtp = _RtcpOnlySrtp(transport._rx_srtp)  # type: ignore[assignment]
    transport._handle_rtp_data = callback  # type: ignore[method-assign,assignment]
