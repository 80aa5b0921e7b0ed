"""The undocumented names of aiortc, aioice and pylibsrtp that this package uses, each with its purpose.

A new version of a library may change these names without notice. tests/rooms/webrtc/test_private_names.py checks each
and says which one is missing. Only this module accesses the private attributes among them.
"""

from __future__ import annotations

import asyncio
import functools
import math
import random
import socket
import ssl
import struct
import time
import weakref
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import aioice.ice
import aioice.stun
import aiortc.rtcrtpreceiver
import pylibsrtp
import structlog
from aioice import Candidate
from aioice.ice import StunProtocol
from aioice.turn import TurnTransport
from aiortc import RTCCertificate, RTCDtlsTransport, RTCIceTransport, RTCRtpReceiver, RTCRtpSender
from aiortc.rtcdtlstransport import SSL as DTLS  # type: ignore[attr-defined]
from aiortc.rtcrtpparameters import RTCRtpSendParameters
from aiortc.rtp import AnyRtcpPacket

HostAddresses = Callable[[bool, bool], list[str]]
GatherHost = Callable[["aioice.ice.Connection", int], Coroutine[Any, Any, "list[Candidate] | None"]]

_COMPONENT = 1  # the only one, because RTP and RTCP share it
_checked: weakref.WeakSet[aioice.ice.Connection] = weakref.WeakSet()  # those whose peers have sent a check
_round_trips_s: weakref.WeakKeyDictionary[aioice.ice.Connection, float] = weakref.WeakKeyDictionary()
_with_own_sockets: weakref.WeakSet[aioice.ice.Connection] = weakref.WeakSet()
RESTART_USER_NAME_CHARS, PASSWORD_CHARS = 8, 22  # as long as those of a new connection, at a shared port
_LAST_STUN_BYTE = 3  # the first byte of DTLS and RTP is greater (RFC 7983, section 7)

log = structlog.get_logger("visavis.rooms")


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
    PrivateName(owner="aioice.turn", name="create_turn_endpoint", purpose="trying a relay"),
    PrivateName(owner="aiortc.rtcicetransport", name="parse_stun_turn_uri", purpose="trying a relay"),
    PrivateName(owner="aioice.candidate", name="candidate_foundation", purpose="candidates of a shared port"),
    PrivateName(owner="aioice.candidate", name="candidate_priority", purpose="candidates of a shared port"),
    PrivateName(owner="aioice.ice.StunProtocol", name="datagram_received", purpose="dropping what strangers send"),
    PrivateName(owner="aioice.ice.StunProtocol", name="receiver", purpose="dropping what strangers send"),
    PrivateName(owner="aioice.ice.Connection", name="data_received", purpose="how much is kept that is not read yet"),
    PrivateName(owner="aioice.ice.Connection", name="_queue", purpose="how much is kept that is not read yet"),
    PrivateName(owner="aiortc.RTCIceTransport", name="_connection", purpose="whether a viewer has sent a check"),
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


# --- ICE, for every connection of this process


class _Consent:
    """Takes the answers to the consent checks of one connection, in the place of aioice's transactions. An answer to
    any check counts, however long it was on its way.
    """

    def __init__(self, key: bytes, first_answered: Callable[[float], None]) -> None:
        self._key = key
        self._loop = asyncio.get_running_loop()
        self.given_at_s = self._asked_at_s = self._loop.time()
        self._first_answered: Callable[[float], None] | None = first_answered
        self._sent: deque[tuple[aioice.ice.StunProtocol, bytes]] = deque()

    def response_received(self, message: aioice.stun.Message, address: tuple[str, int]) -> None:
        if message.message_class is aioice.stun.Class.RESPONSE and message.check_message_integrity(self._key):
            self.given_at_s = self._loop.time()
            if self._first_answered is not None:
                self._first_answered(self.given_at_s - self._asked_at_s)
                self._first_answered = None

    def ask(self, pair: aioice.ice.CandidatePair, request: aioice.stun.Message) -> None:
        request.add_message_integrity(self._key)
        pair.protocol.transactions[request.transaction_id] = self  # type: ignore[assignment]
        self._sent.append((pair.protocol, request.transaction_id))
        pair.protocol.send_stun(request, pair.remote_addr)

    def forget(self, *, keep: int = 0) -> None:
        """Take no answers any more, except to the last `keep` checks."""
        while len(self._sent) > keep:
            protocol, transaction_id = self._sent.popleft()
            if transaction_id in protocol.transactions:
                del protocol.transactions[transaction_id]  # not pop: a seat at a shared port notes what is deleted


def replace_consent_checks(*, interval_s: float, expires_s: float) -> None:
    """Set the time between consent checks of a peer, and how long it may give no answer until it is gone (RFC 7675).

    aioice waits half a second for each answer, so a peer with a longer round trip never has consent.
    """

    async def query_consent(connection: aioice.ice.Connection) -> None:
        assert connection.remote_password is not None
        consent = _Consent(connection.remote_password.encode(), functools.partial(_note_round_trip, connection))
        try:
            while asyncio.get_running_loop().time() < consent.given_at_s + expires_s:
                for pair in connection._nominated.values():  # at once: the first answer may take nearly `expires_s`
                    consent.ask(pair, connection.build_request(pair, nominate=False))
                consent.forget(keep=math.ceil(2 * expires_s / interval_s))
                await asyncio.sleep(interval_s * (0.8 + 0.4 * random.random()))
        finally:
            consent.forget()
        connection._query_consent_task = None
        await connection.close()

    aioice.ice.Connection.query_consent = query_consent  # type: ignore[method-assign,assignment]


def _note_round_trip(connection: aioice.ice.Connection, seconds: float) -> None:
    _round_trips_s[connection] = seconds


def checked_round_trip_s(transport: RTCIceTransport) -> float | None:
    """Return how long the peer's answer to the first consent check took: that check leaves before any media. At least
    so long, if the first one got lost. Requires `replace_consent_checks`.
    """
    return _round_trips_s.get(transport._connection)


def wait_for_checks(*, pace_s: float) -> None:
    """Let a connection go on as soon as a pair is nominated, and set the time between the starts of two checks.

    aioice looks for further checks every 20 ms as long as its peer may send candidates, and goes on at the next look.
    """

    async def connect(connection: aioice.ice.Connection) -> None:
        if not connection._local_candidates_end or None in (connection.remote_username, connection.remote_password):
            raise ConnectionError("candidates were not gathered, or the peer is unknown")
        for candidate in connection._remote_candidates:
            connection._pair_remote_candidate(candidate)
        connection.sort_check_list()
        connection._unfreeze_initial()
        for early_check in connection._early_checks:
            connection.check_incoming(*early_check)
        connection._early_checks.clear()
        connection._early_checks_done = True
        outcome = None
        while outcome is None and connection._check_periodic():
            try:
                async with asyncio.timeout(pace_s):
                    outcome = await connection._check_list_state.get()
            except TimeoutError:
                continue
        if outcome is None:
            waits = bool(connection._check_list)
            outcome = await connection._check_list_state.get() if waits else aioice.ice.ICE_FAILED
        for pair in connection._check_list:
            if pair.task is not None:
                pair.task.cancel()
        if outcome != aioice.ice.ICE_COMPLETED:
            raise ConnectionError("ICE has failed")
        connection._query_consent_task = asyncio.create_task(connection.query_consent())

    aioice.ice.Connection.connect = connect  # type: ignore[method-assign,assignment]


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalIce:
    """Our side of an ICE session. `candidates`: the values of candidate lines."""

    user_name: str
    password: str
    candidates: tuple[str, ...]


def restart_ice(transport: RTCIceTransport, *, user_name: str, password: str) -> LocalIce | None:
    """Begin another ICE session in the place of the one of an established connection (RFC 8445, section 9), with the
    peer's new credentials; return ours. None if the connection is closing. aiortc has no restart.

    Media keep to the path of before until another pair is nominated. The caller tells the new user name to shared ports
    (`protocols_of`), adds the peer's candidates, and then calls `connect_again`.
    """
    connection = transport._connection
    if connection._closing:
        return None
    if connection._query_consent_task is not None:
        connection._query_consent_task.cancel()
        connection._query_consent_task = None
    for pair in connection._check_list:
        if pair.task is not None:
            pair.task.cancel()
    connection._check_list, connection._check_list_state, connection._check_list_done = [], asyncio.Queue(), False
    connection._early_checks.clear()
    connection._early_checks_done = False
    connection._remote_candidates, connection._remote_candidates_end = [], False
    transport.iceGatherer._remote_candidates_end = False
    make = aioice.ice.random_string  # type: ignore[attr-defined]
    connection._local_username, connection._local_password = make(RESTART_USER_NAME_CHARS), make(PASSWORD_CHARS)
    connection.remote_username, connection.remote_password = user_name, password
    # aiortc sends and receives only with a nominated pair, and closes the connection without one.
    nominated, connection._nominated = connection._nominated, type(connection._nominated)()
    _round_trips_s.pop(connection, None)

    async def receive() -> bytes:
        received = await connection._queue.get()
        if received is None:
            raise ConnectionError("the connection is closed")
        return received[0]

    async def send(data: bytes) -> None:
        pair = connection._nominated.get(_COMPONENT) or nominated.get(_COMPONENT)
        if pair is not None and not connection._closing:
            await pair.protocol.send_data(data, pair.remote_addr)

    transport._recv, transport._send = receive, send
    return LocalIce(
        user_name=connection.local_username,
        password=connection.local_password,
        candidates=tuple(candidate.to_sdp() for candidate in connection.local_candidates),
    )


async def connect_again(transport: RTCIceTransport) -> None:
    """Wait until a pair of the new ICE session is nominated. Raises ConnectionError if the connection closes before."""
    await transport._connection.connect()


def protocols_of(transport: RTCIceTransport) -> Sequence[StunProtocol]:
    """Return the sockets of a connection, and its seats at shared ones."""
    return tuple(transport._connection._protocols)


def set_first_repetition(after_s: float) -> None:
    """Set when a connectivity check without an answer is sent again. Each time after that is twice as long."""
    aioice.stun.RETRY_RTO = after_s


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
        _checked.add(connection)
        known = connection._remote_candidates
        if len(known) < maximum or any((one._network_host, one.port) == address for one in known):
            check(connection, message, address, protocol)

    aioice.ice.Connection.check_incoming = check_incoming  # type: ignore[method-assign,assignment]


def was_checked(transport: RTCIceTransport) -> bool:
    """Whether the peer has sent a connectivity check. Requires `limit_addresses`."""
    return transport._connection in _checked


def on_first_check(transport: RTCIceTransport, callback: Callable[[], None]) -> None:
    """Call `callback` when the peer sends its first connectivity check."""
    connection = transport._connection
    check = connection.check_incoming

    def check_incoming(message: aioice.stun.Message, address: tuple[str, int], protocol: StunProtocol) -> None:
        connection.check_incoming = check  # type: ignore[method-assign]
        callback()
        check(message, address, protocol)

    connection.check_incoming = check_incoming  # type: ignore[method-assign,assignment]


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


# --- seats of connections at a port that they share (media_ports.py)


def replace_host_gathering(gather_host: GatherHost, *, stun_timeout_s: float) -> None:
    """Let `gather_host` find the host candidates of every connection of this process. Where it returns None, aioice
    does. STUN servers are asked from the first host candidate of IPv4, for at most `stun_timeout_s`.
    """
    gather = aioice.ice.Connection.get_component_candidates

    async def get_component_candidates(
        connection: aioice.ice.Connection, component: int, addresses: list[str], **named: Any
    ) -> list[Candidate]:
        candidates = None
        if connection._transport_policy == aioice.TransportPolicy.ALL and connection not in _with_own_sockets:
            candidates = await gather_host(connection, component)
        if candidates is None:
            return await gather(connection, component, addresses, **named)
        reflexive, relayed = await asyncio.gather(
            _ask_stun_server(connection, timeout_s=stun_timeout_s), gather(connection, component, [], **named)
        )
        return candidates + reflexive + relayed

    aioice.ice.Connection.get_component_candidates = get_component_candidates  # type: ignore[method-assign,assignment]


def open_own_sockets(transport: RTCIceTransport) -> None:
    """Let a connection open sockets of its own, beside the port that others share: two connections to the same address
    could not be told apart there. Called before its candidates are gathered.
    """
    _with_own_sockets.add(transport._connection)


async def _ask_stun_server(connection: aioice.ice.Connection, *, timeout_s: float) -> list[Candidate]:
    protocol = next((one for one in connection._protocols if ":" not in one.local_candidate.host), None)
    if connection.stun_server is None or protocol is None:
        return []
    try:
        async with asyncio.timeout(timeout_s):
            candidate, _ = await aioice.ice.server_reflexive_candidate(protocol, connection.stun_server)
    except (TimeoutError, OSError, aioice.stun.TransactionError) as error:
        log.debug("stun_server_silent", error=repr(error))
        return []
    return [candidate]


class _TlsAs(ssl.SSLContext):
    """A client's TLS that asks for the certificate of `name`, whatever address it is connected to."""

    name = ""

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        return super().wrap_bio(incoming, outgoing, server_side, self.name, session)


def name_turn_server(transport: RTCIceTransport, name: str | None) -> None:
    """Tell a connection the name of its TURN server, which it knows by an address: for TLS. Called before its
    candidates are gathered. None: the address is the name.
    """
    if transport._connection.turn_ssl and name is not None:
        context = _TlsAs(ssl.PROTOCOL_TLS_CLIENT)
        context.name = name
        context.load_default_certs()
        transport._connection.turn_ssl = context  # type: ignore[assignment]  # what asyncio takes, too


def lengthen_user_names(chars: int) -> None:
    """Make the user names of connections at least so long: aioice's four letters meet among some hundred viewers."""
    make = aioice.ice.random_string  # type: ignore[attr-defined]
    aioice.ice.random_string = lambda length: make(max(length, chars))  # type: ignore[attr-defined]


def add_protocols(connection: aioice.ice.Connection, protocols: Sequence[StunProtocol]) -> None:
    """Let a connection send and receive by these too, and close them at its end."""
    connection._protocols += protocols


def uses_family(connection: aioice.ice.Connection, version: int) -> bool:
    """Whether a connection uses IPv4 or IPv6."""
    return connection._use_ipv4 if version == 4 else connection._use_ipv6


def is_authentic(protocol: StunProtocol, response: bytes) -> bool:
    """Whether the peer of a connection has signed a STUN response."""
    password = protocol.receiver.remote_password
    try:
        return password is not None and aioice.stun.parse_message(response).check_message_integrity(password.encode())
    except Exception as error:  # noqa: BLE001  # the parser raises struct.error and others
        log.debug("datagram_malformed", error=repr(error))
        return False


# --- DTLS, for every connection of this process


def share_certificate(*, suites: Sequence[str], valid_s: float) -> None:
    """Let all connections that begin within `valid_s` have one certificate with its settings: to make both takes a
    third of what a viewer's joining takes. `suites`: the cipher suites of the handshake, OpenSSL's names, in the order
    of preference.
    """
    generate, create = RTCCertificate.generateCertificate, RTCCertificate._create_ssl_context
    newest: tuple[float, RTCCertificate] | None = None
    made: weakref.WeakKeyDictionary[RTCCertificate, Any] = weakref.WeakKeyDictionary()

    def generate_certificate(_: type[RTCCertificate]) -> RTCCertificate:
        nonlocal newest
        now_s = time.monotonic()
        if newest is None or now_s >= newest[0] + valid_s:
            newest = now_s, generate()
        return newest[1]

    @functools.wraps(create)
    def create_ssl_context(certificate: RTCCertificate, *args: Any, **named: Any) -> Any:
        context = made.get(certificate)
        if context is None:
            context = made[certificate] = create(certificate, *args, **named)
            context.set_cipher_list(":".join(suites).encode())
            context.set_session_cache_mode(DTLS.SESS_CACHE_OFF)  # otherwise it keeps every handshake
        return context

    RTCCertificate.generateCertificate = classmethod(generate_certificate)  # type: ignore[method-assign,assignment]
    RTCCertificate._create_ssl_context = create_ssl_context  # type: ignore[method-assign,assignment]
    RTCCertificate.getFingerprints = functools.lru_cache(4)(RTCCertificate.getFingerprints)  # type: ignore[method-assign]


class _Flight:
    """The last datagram of a handshake: sent again until another one takes its place. The other side drops what it gets
    twice (RFC 6347, section 4.1.2.6).
    """

    def __init__(self, send: Callable[[bytes], Coroutine[Any, Any, None]], after_s: Sequence[float]) -> None:
        self._send, self._after_s = send, after_s
        self._data = b""
        self._sent = asyncio.Event()

    async def send(self, data: bytes) -> None:
        self._data = data
        self._sent.set()
        await self._send(data)

    async def repeat(self) -> None:
        while True:
            await self._sent.wait()
            self._sent.clear()
            for wait_s in self._after_s:
                try:
                    async with asyncio.timeout(wait_s):  # wait_for of Python 3.11 may lose a cancellation
                        await self._sent.wait()
                    break
                except TimeoutError:
                    try:
                        await self._send(self._data)
                    except ConnectionError:
                        return


def repeat_handshakes(after_s: Sequence[float]) -> None:
    """Repeat the flights of a DTLS handshake, `after_s` after each other. OpenSSL does so after 1 s, and cannot be told
    to do so earlier.
    """
    handshake = RTCDtlsTransport._do_handshake

    @functools.wraps(handshake)
    async def do_handshake(transport: RTCDtlsTransport) -> None:
        ice = transport.transport
        send = ice._send
        flight = _Flight(send, after_s)
        ice._send = flight.send
        repeating = asyncio.create_task(flight.repeat())
        try:
            await handshake(transport)
        finally:
            ice._send = send
            repeating.cancel()
            await asyncio.wait([repeating])

    RTCDtlsTransport._do_handshake = do_handshake  # type: ignore[method-assign,assignment]


# --- sending


def take_over_sending(
    sender: RTCRtpSender, *, started: Callable[[RTCRtpSendParameters], None], stopped: Callable[[], None]
) -> None:
    """Let the sender send nothing itself. It calls `started` with what was agreed on when its connection is
    established, and `stopped` when the connection is about to close, but only after `started`.
    """
    transport: RTCDtlsTransport | None = None

    async def send(parameters: RTCRtpSendParameters) -> None:
        nonlocal transport
        if transport is None:
            transport = sender.transport
            transport._register_rtp_sender(sender, parameters)
            started(parameters)

    async def stop() -> None:
        nonlocal transport
        if transport is not None:
            transport._unregister_rtp_sender(sender)
            stopped()
            transport = None

    sender.send = send  # type: ignore[method-assign]
    sender.stop = stop  # type: ignore[method-assign]


def name_track(sender: RTCRtpSender, track_id: str) -> None:
    """Set the id of the sender's track, as the description tells it. Called before the description is made."""
    sender._track_id = track_id


def synchronisation_sources(sender: RTCRtpSender) -> tuple[int, int]:
    """Return the SSRC of the sender's packets, and that of those which it sends again."""
    return sender._ssrc, sender._rtx_ssrc


def on_feedback(sender: RTCRtpSender, callback: Callable[[AnyRtcpPacket], None]) -> None:
    """Call `callback` with every RTCP packet for the sender, instead of the sender's own handling."""

    async def handle_rtcp_packet(packet: AnyRtcpPacket) -> None:
        callback(packet)

    sender._handle_rtcp_packet = handle_rtcp_packet  # type: ignore[method-assign]


def filter_datagrams(transport: RTCIceTransport, lets_in: Callable[[bytes], bool]) -> None:
    """Drop the datagrams of a connection, STUN excepted, for which `lets_in` returns false."""
    connection = transport._connection
    receive = connection.data_received

    def data_received(data: bytes, component: int) -> None:
        if lets_in(data):
            receive(data, component)

    connection.data_received = data_received  # type: ignore[method-assign]


def pass_over_malformed_reports(transport: RTCDtlsTransport) -> None:
    """Let an RTCP packet that cannot be read do nothing. aiortc would end the connection with a traceback."""
    read = transport._handle_rtcp_data

    async def handle_rtcp_data(data: bytes) -> None:
        try:
            await read(data)
        except Exception as error:  # noqa: BLE001  # the parser raises struct.error and others
            log.debug("report_malformed", error=repr(error))

    transport._handle_rtcp_data = handle_rtcp_data  # type: ignore[method-assign]


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """Where a connection's datagrams go: the pair of candidates that ICE has selected. `socket`: the descriptor of the
    socket, None if a TURN server relays. `send` sends a datagram; `waiting_bytes` tells how much was given to it that
    has not left this process yet.
    """

    socket: int | None
    host: str
    port: int
    send: Callable[[bytes], None]
    waiting_bytes: Callable[[], int]


def follow_path(transport: RTCDtlsTransport, changed: Callable[[Path | None], None]) -> None:
    """Call `changed` now and whenever the path of an established connection changes; with None before its socket is
    closed.
    """
    connection = transport.transport._connection

    def tell() -> None:
        pair = connection._nominated.get(_COMPONENT)
        changed(None if pair is None else _path_of(pair))

    class Nominated(dict[int, aioice.ice.CandidatePair]):
        def __setitem__(self, component: int, pair: aioice.ice.CandidatePair) -> None:
            super().__setitem__(component, pair)
            tell()

        def clear(self) -> None:
            super().clear()
            tell()

    lost = connection.protocol_lost

    def protocol_lost(protocol: aioice.ice.StunProtocol) -> None:
        pair = connection._nominated.get(_COMPONENT)
        if pair is not None and pair.protocol is protocol:
            changed(None)
        lost(protocol)

    connection._nominated = Nominated(connection._nominated)
    connection.protocol_lost = protocol_lost  # type: ignore[method-assign]
    tell()


def _path_of(pair: aioice.ice.CandidatePair) -> Path:
    transport, (host, port) = pair.protocol.transport, pair.remote_addr
    if isinstance(transport, TurnTransport):
        return Path(socket=None, host=host, port=port, **_relayed(transport, (host, port)))
    opened = transport.get_extra_info("socket")
    return Path(
        socket=None if opened is None else opened.fileno(),
        host=host,
        port=port,
        send=lambda data: transport.sendto(data, (host, port)),
        waiting_bytes=lambda: 0,  # the kernel takes a datagram or drops it
    )


def _relayed(transport: TurnTransport, address: tuple[str, int]) -> dict[str, Callable[..., Any]]:
    client = transport._TurnTransport__inner_protocol  # type: ignore[attr-defined]

    def send(data: bytes) -> None:
        channel = client.peer_to_channel.get(address)
        if channel is None:
            transport.sendto(data, address)  # binds a channel; consent checks keep it bound
        elif not client.transport.is_closing():
            client._send(struct.pack("!HH", channel, len(data)) + data)

    return {"send": send, "waiting_bytes": client.transport.get_write_buffer_size}


# --- SRTP


def protect_function() -> int:
    """Return the address of libsrtp's function that protects an RTP packet: `srtp_protect(srtp_t, void *, int *)`."""
    function = pylibsrtp.ffi.addressof(pylibsrtp.lib, "srtp_protect")  # type: ignore[attr-defined]
    return int(pylibsrtp.ffi.cast("uintptr_t", function))  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """The SRTP of a connection's outgoing packets. `srtp`: the address of libsrtp's session, which exists as long as
    this object. `protect_rtcp` protects an RTCP packet.
    """

    srtp: int
    protect_rtcp: Callable[[bytes], bytes]
    session: pylibsrtp.Session


def srtp_address(session: pylibsrtp.Session) -> int:
    """Return the address of libsrtp's session; it is valid as long as `session` exists."""
    return int(pylibsrtp.ffi.cast("uintptr_t", session._srtp[0]))  # type: ignore[attr-defined]


def protection_of(transport: RTCDtlsTransport) -> Protection:
    """Return the SRTP of an established connection."""
    session = transport._tx_srtp
    return Protection(srtp=srtp_address(session), protect_rtcp=session.protect_rtcp, session=session)


# --- receiving


def delay_bit_rate_estimators() -> None:
    """Let a receiver of video make its estimator when the first packet comes. It has a thousand counters, and a peer
    that only sends never uses them.
    """
    estimator = aiortc.rtcrtpreceiver.RemoteBitrateEstimator  # type: ignore[attr-defined]

    class LateEstimator:
        def __init__(self) -> None:
            self._estimator: Any = None

        def add(self, *args: Any, **named: Any) -> Any:
            if self._estimator is None:
                self._estimator = estimator()
            return self._estimator.add(*args, **named)

    aiortc.rtcrtpreceiver.RemoteBitrateEstimator = LateEstimator  # type: ignore[attr-defined,assignment]


def on_rtcp(receiver: RTCRtpReceiver, callback: Callable[[AnyRtcpPacket], None]) -> None:
    """Call `callback` with every RTCP packet, before the receiver handles it."""
    handle = receiver._handle_rtcp_packet

    async def handle_rtcp_packet(packet: AnyRtcpPacket) -> None:
        callback(packet)
        await handle(packet)

    receiver._handle_rtcp_packet = handle_rtcp_packet  # type: ignore[method-assign]


def first_rtp_timestamp(receiver: RTCRtpReceiver) -> int:
    """Return the RTP time from which the receiver counts the pts of its frames. Requires that a frame has come."""
    timestamp: int = receiver._RTCRtpReceiver__timestamp_mapper._origin  # type: ignore[attr-defined]
    return timestamp


def on_datagram(transport: RTCDtlsTransport, callback: Callable[[bytes], bool]) -> None:
    """Call `callback` with every datagram that reaches a connection. Those for which it returns true go no further."""

    def shown(receive: Callable[[bytes, tuple[Any, ...]], None]) -> Callable[[bytes, tuple[Any, ...]], None]:
        def datagram_received(data: bytes, address: tuple[Any, ...]) -> None:
            if not callback(data):
                receive(data, address)

        return datagram_received

    for protocol in transport.transport._connection._protocols:
        protocol.datagram_received = shown(protocol.datagram_received)  # type: ignore[method-assign,assignment]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSocket:
    """A socket of an established connection, which the caller reads and closes. `deliver` passes on what it has read
    and does not want to keep: the datagram, and the address of its sender.
    """

    socket: socket.socket
    deliver: Callable[[bytes, tuple[Any, ...]], None]


def take_over_reading(transport: RTCDtlsTransport) -> list[ReadSocket]:
    """Let the caller read the sockets of an established connection, whenever it likes, instead of the event loop."""
    loop = asyncio.get_running_loop()
    taken = []
    for protocol in transport.transport._connection._protocols:
        opened = protocol.transport.get_extra_info("socket").dup()
        loop._remove_reader(protocol.transport.get_extra_info("socket").fileno())  # type: ignore[attr-defined]
        taken.append(ReadSocket(socket=opened, deliver=protocol.datagram_received))
    return taken


async def send_rtcp(transport: RTCDtlsTransport, packet: AnyRtcpPacket) -> None:
    """Send an RTCP packet to the other side. Raises ConnectionError if there is no connection."""
    await transport._send_rtp(bytes(packet))
