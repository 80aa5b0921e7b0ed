"""The undocumented names of aiortc, aioice and pylibsrtp that this package uses, each with its purpose.

A new version of a library may change these names without notice. tests/rooms/webrtc/test_private_names.py checks each
and says which one is missing.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateName:
    """`owner`: the path of the module, or of the class whose instances have the name."""

    owner: str
    name: str
    purpose: str


PRIVATE_NAMES = (
    PrivateName(owner="aiortc.RTCRtpSender", name="_track_id", purpose="tracks that another server has to recognise"),
    PrivateName(owner="aioice.ice.Connection", name="query_consent", purpose="when a peer is gone"),
    PrivateName(owner="aioice.ice.Connection", name="turn_ssl", purpose="the name of a TURN server"),
    PrivateName(owner="aioice.ice.Connection", name="_query_consent_task", purpose="when a peer is gone"),
    PrivateName(owner="aioice.ice.Connection", name="_nominated", purpose="when a peer is gone"),
    PrivateName(owner="aioice.ice.Connection", name="build_request", purpose="when a peer is gone"),
    *(
        PrivateName(owner="aioice.ice.Connection", name=name, purpose="going on as soon as a pair is nominated")
        for name in (
            *("connect", "sort_check_list", "_local_candidates_end", "_pair_remote_candidate", "_unfreeze_initial"),
            *("_early_checks", "_early_checks_done", "_check_periodic", "_check_list", "_check_list_state"),
        )
    ),
    *(
        PrivateName(owner="aioice.ice.Connection", name=name, purpose="another ICE session of a connection")
        for name in (
            *("_check_list_done", "_closing", "_local_password", "_local_username", "_remote_candidates_end"),
            *("remote_password", "remote_username"),
        )
    ),
    PrivateName(owner="aiortc.RTCIceTransport", name="_recv", purpose="another ICE session of a connection"),
    PrivateName(owner="aioice.ice", name="ICE_COMPLETED", purpose="going on as soon as a pair is nominated"),
    PrivateName(owner="aioice.ice", name="ICE_FAILED", purpose="going on as soon as a pair is nominated"),
    PrivateName(owner="aioice.ice.StunProtocol", name="transactions", purpose="when a peer is gone"),
    PrivateName(owner="aiortc.sdp", name="candidate_from_sdp", purpose="candidates that come after the offer"),
    PrivateName(owner="aioice.stun", name="RETRY_RTO", purpose="when a lost check is repeated"),
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
    PrivateName(owner="aioice.ice", name="StunProtocol", purpose="what strangers send; seats at a shared port"),
    PrivateName(owner="aioice.ice.StunProtocol", name="transactions", purpose="seats at a shared port"),
    PrivateName(owner="aioice.ice.StunProtocol", name="connection_lost", purpose="seats at a shared port"),
    PrivateName(owner="aioice.ice.Connection", name="_protocols", purpose="seats at a shared port"),
    PrivateName(owner="aioice.ice.Connection", name="_use_ipv4", purpose="seats at a shared port"),
    PrivateName(owner="aioice.ice.Connection", name="_use_ipv6", purpose="seats at a shared port"),
    PrivateName(owner="aioice.ice.Connection", name="_transport_policy", purpose="seats at a shared port"),
    PrivateName(owner="aioice.ice", name="random_string", purpose="user names that do not meet at a shared port"),
    PrivateName(owner="aioice.ice", name="server_reflexive_candidate", purpose="asking STUN servers by a shared port"),
    PrivateName(owner="aioice.ice", name="relayed_candidate", purpose="how long a TURN server may take to answer"),
    *(
        PrivateName(owner="aioice.ice.Connection", name=name, purpose="how long a TURN server may take to answer")
        for name in ("turn_server", "turn_username", "turn_password", "turn_transport")
    ),
    PrivateName(owner="aioice.turn", name="create_turn_endpoint", purpose="trying a relay"),
    PrivateName(owner="aiortc.rtcicetransport", name="parse_stun_turn_uri", purpose="trying a relay"),
    PrivateName(owner="aioice.candidate", name="candidate_foundation", purpose="candidates of a shared port"),
    PrivateName(owner="aioice.candidate", name="candidate_priority", purpose="candidates of a shared port"),
    PrivateName(owner="aioice.ice.StunProtocol", name="datagram_received", purpose="dropping what strangers send"),
    PrivateName(owner="aioice.ice.StunProtocol", name="receiver", purpose="dropping what strangers send"),
    PrivateName(owner="aioice.ice.Connection", name="data_received", purpose="how much is kept that is not read yet"),
    PrivateName(owner="aioice.ice.Connection", name="_queue", purpose="how much is kept that is not read yet"),
    PrivateName(owner="aiortc.RTCIceTransport", name="_connection", purpose="whether a viewer has sent a check"),
    PrivateName(
        owner="aiortc.RTCPeerConnection", name="_RTCPeerConnection__connect", purpose="a viewer that leaves at once"
    ),
    PrivateName(owner="aiortc.RTCIceTransport", name="_send", purpose="when a lost handshake is repeated"),
    PrivateName(owner="aiortc.RTCDtlsTransport", name="_do_handshake", purpose="when a lost handshake is repeated"),
    PrivateName(
        owner="aiortc.RTCCertificate", name="_create_ssl_context", purpose="the handshake with RSA certificates"
    ),
    PrivateName(
        owner="aiortc.RTCCertificate", name="generateCertificate", purpose="one certificate for all connections"
    ),
    PrivateName(owner="aiortc.rtcdtlstransport", name="SSL", purpose="one certificate for all connections"),
    PrivateName(owner="aiortc.rtcrtpreceiver", name="RemoteBitrateEstimator", purpose="what a sender never needs"),
    PrivateName(owner="aioice.ice.Connection", name="_nominated", purpose="where a viewer's packets go"),
    PrivateName(owner="aioice.ice.Connection", name="protocol_lost", purpose="when a viewer's socket closes"),
    PrivateName(owner="aioice.turn", name="TurnTransport", purpose="relayed packets"),
    PrivateName(owner="aioice.turn.TurnTransport", name="_TurnTransport__inner_protocol", purpose="relayed packets"),
    PrivateName(owner="aioice.turn.TurnClientUdpProtocol", name="peer_to_channel", purpose="relayed packets"),
    PrivateName(owner="aioice.turn.TurnClientUdpProtocol", name="_send", purpose="relayed packets"),
    PrivateName(owner="aiortc.RTCIceTransport", name="_connection", purpose="where a viewer's packets go"),
    PrivateName(owner="aiortc.rtp", name="AnyRtcpPacket", purpose="the type of an RTCP packet"),
    PrivateName(owner="aiortc.rtp", name="RtcpSrPacket", purpose="reading sender reports"),
    PrivateName(owner="aiortc.rtp", name="RtcpRrPacket", purpose="reading receiver reports"),
    PrivateName(owner="aiortc.rtp", name="RtcpRtpfbPacket", purpose="reading which packets were lost"),
    PrivateName(owner="aiortc.rtp", name="RtcpPsfbPacket", purpose="reading who needs a keyframe"),
    PrivateName(owner="aiortc.rtp", name="RTCP_RTPFB_NACK", purpose="reading which packets were lost"),
    PrivateName(owner="aiortc.rtp", name="RTCP_PSFB_PLI", purpose="reading who needs a keyframe"),
    PrivateName(owner="aiortc.rtp", name="RTCP_PSFB_FIR", purpose="reading who needs a keyframe"),
    PrivateName(
        owner="aiortc.rtcrtpparameters", name="RTCRtpSendParameters", purpose="what was agreed on with a viewer"
    ),
    PrivateName(owner="aiortc.RTCRtpSender", name="send", purpose="sending packets ourselves"),
    PrivateName(owner="aiortc.RTCRtpSender", name="stop", purpose="sending packets ourselves"),
    PrivateName(owner="aiortc.RTCRtpSender", name="_handle_rtcp_packet", purpose="reading what viewers report"),
    PrivateName(owner="aiortc.RTCRtpSender", name="_ssrc", purpose="sending packets ourselves"),
    PrivateName(owner="aiortc.RTCRtpSender", name="_rtx_ssrc", purpose="sending lost packets again"),
    PrivateName(owner="aiortc.RTCDtlsTransport", name="_register_rtp_sender", purpose="reading what viewers report"),
    PrivateName(owner="aiortc.RTCDtlsTransport", name="_unregister_rtp_sender", purpose="reading what viewers report"),
    PrivateName(owner="aiortc.RTCDtlsTransport", name="_handle_rtcp_data", purpose="reports that cannot be read"),
    PrivateName(owner="aioice.ice.Connection", name="data_received", purpose="how much of a viewer is read"),
    PrivateName(owner="aiortc.RTCDtlsTransport", name="_tx_srtp", purpose="protecting packets"),
    PrivateName(owner="pylibsrtp.Session", name="_srtp", purpose="protecting packets"),
    PrivateName(owner="pylibsrtp", name="ffi", purpose="protecting packets"),
    PrivateName(owner="pylibsrtp", name="lib", purpose="protecting packets"),
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
    PrivateName(owner="aioice.ice.Connection", name="_protocols", purpose="counting packets without decrypting them"),
    PrivateName(owner="asyncio.SelectorEventLoop", name="_remove_reader", purpose="counting packets, many at once"),
    PrivateName(owner="aiortc.RTCDtlsTransport", name="_send_rtp", purpose="reports of a viewer that only counts"),
    PrivateName(owner="aiortc.rtp", name="RtcpReceiverInfo", purpose="reports of a viewer that only counts"),
)
