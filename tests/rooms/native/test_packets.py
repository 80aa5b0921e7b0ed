"""The C functions that send packets: what leaves for each viewer, byte by byte."""

from __future__ import annotations

import ctypes
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from pylibsrtp import Error, Policy
from pylibsrtp import Session as SrtpSession

from visavis.engine.native import check_layout, load_library
from visavis.rooms import native
from visavis.rooms.webrtc.private.sending import protect_function, srtp_address
from visavis.rooms.webrtc.rtp import AUDIO_LEVEL, MID, SENT_TIME, HeaderExtension, header_extension

LONGEST_IP_PACKET = 1280
IPV6_UDP_TURN = 40 + 8 + 4
CAPACITY = 64
PROFILES = (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, Policy.SRTP_PROFILE_AEAD_AES_128_GCM)


@dataclass
class Rtp:
    """A packet that was received and decrypted."""

    data: bytes

    @property
    def header(self) -> tuple[int, int, int, int, int]:
        return struct.unpack_from("!BBHLL", self.data)

    @property
    def marker(self) -> bool:
        return bool(self.header[1] & 0x80)

    @property
    def payload_type(self) -> int:
        return self.header[1] & 0x7F

    @property
    def sequence(self) -> int:
        return self.header[2]

    @property
    def timestamp(self) -> int:
        return self.header[3]

    @property
    def ssrc(self) -> int:
        return self.header[4]

    @property
    def extension(self) -> bytes:
        if not self.header[0] & 0x10:
            return b""
        return self.data[12 : 16 + 4 * int.from_bytes(self.data[14:16])]

    @property
    def payload(self) -> bytes:
        return self.data[12 + len(self.extension) :]


@dataclass
class Sender:
    """A store of packets, and what was put into it."""

    kind: int = native.VIDEO
    next_packet: int = 0
    pictures: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.memory = [(native.Packet * CAPACITY)(), (native.Packet * CAPACITY)()]
        stores = [native.Store(packets=ctypes.addressof(memory), capacity=CAPACITY) for memory in self.memory]
        self.session = native.Session(protect=protect_function(), stores=(native.Store * 2)(*stores))
        self.batch = native.Batch()

    def picture(self, size: int, *, timestamp: int = 0, keyframe: bool = False) -> range:
        """Put a picture of random bytes into the store; return its packets."""
        self.pictures.append(os.urandom(size))
        first = self.next_packet
        self.next_packet = native.put_picture(
            self.session.stores[native.VIDEO],
            first,
            self.pictures[-1],
            timestamp=timestamp,
            picture_id=len(self.pictures),
            keyframe=keyframe,
        )
        return range(first, self.next_packet)

    def send(self, packets: range, *viewers: Viewer, time: int = 0) -> int:
        pointers = (ctypes.c_void_p * len(viewers))(*(ctypes.addressof(viewer.struct) for viewer in viewers))
        return native.send(self.session, pointers, self.kind, packets, time=time, batch=self.batch)

    def resend(self, viewer: Viewer, lost: list[int], *, time: int = 0) -> list[bytes]:
        end = self.next_packet
        return native.resend(self.session, viewer.struct, self.kind, lost, end=end, time=time, batch=self.batch)


class Viewer:
    """A viewer on this machine, with the keys of its connection."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        profile: int = PROFILES[0],
        sequence: int = 100,
        resend_type: int = 97,
        extension: HeaderExtension | None = None,
        relayed: bool = False,
    ) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.receiving, self.sending = (socket.socket(family, socket.SOCK_DGRAM) for _ in range(2))
        self.receiving.bind((host, 0))
        self.receiving.settimeout(5)
        key = os.urandom(46)
        self.encrypting, self.decrypting = (
            SrtpSession(self._policy(key, direction, profile))
            for direction in (Policy.SSRC_ANY_OUTBOUND, Policy.SSRC_ANY_INBOUND)
        )
        srtp = srtp_address(self.encrypting)
        self.struct = native.Viewer(srtp=srtp, socket=native.NO_SOCKET if relayed else self.sending.fileno())
        assert native.set_address(self.struct, host, self.receiving.getsockname()[1])
        extension = extension or HeaderExtension()
        for number, stream in enumerate(self.struct.streams):
            stream.ssrc, stream.resend_ssrc = 1000 + number, 2000 + number
            stream.payload_type, stream.resend_payload_type = 96 + 15 * number, resend_type
            stream.timestamp_offset, stream.next_sequence, stream.next_resend_sequence = 2**32 - 90, sequence, 7
            stream.extension_size = len(extension.data)
            stream.time_at, stream.level_at = extension.time_at, extension.level_at
            stream.extension[: len(extension.data)] = extension.data
            stream.first = -1

    @staticmethod
    def _policy(key: bytes, direction: int, profile: int) -> Policy:
        policy = Policy(key=key, ssrc_type=direction, srtp_profile=profile)
        policy.allow_repeat_tx = True
        policy.window_size = 1024
        return policy

    def receive(self, count: int) -> list[Rtp]:
        """Return the next packets that arrive."""
        return [Rtp(self.decrypting.unprotect(self.receiving.recv(2048))) for _ in range(count)]

    def receives_nothing(self) -> bool:
        self.receiving.setblocking(False)
        try:
            self.receiving.recv(2048)
        except BlockingIOError:
            return True
        finally:
            self.receiving.settimeout(5)
        return False

    def close(self) -> None:
        self.receiving.close()
        self.sending.close()


@pytest.fixture
def viewer() -> Iterator[Viewer]:
    made = Viewer()
    yield made
    made.close()


def picture_of(packets: list[Rtp]) -> bytes:
    """Return the picture that a viewer puts together of packets with a descriptor of four bytes."""
    return b"".join(packet.payload[4:] for packet in packets)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_picture_arrives_in_order_with_its_marker_and_its_time(profile: int) -> None:
    sender, viewer = Sender(), Viewer(profile=profile, sequence=65_534)
    packets = sender.picture(4000, timestamp=1000, keyframe=True)
    assert sender.send(packets, viewer) == 1
    received = viewer.receive(len(packets))
    assert len(received) == 4
    assert [packet.sequence for packet in received] == [65_534, 65_535, 0, 1]
    assert [packet.marker for packet in received] == [False, False, False, True]
    assert {packet.timestamp for packet in received} == {910}, "1000, and the offset of the viewer"
    assert {packet.ssrc for packet in received} == {1000} and {packet.payload_type for packet in received} == {96}
    assert [packet.payload[:4].hex() for packet in received] == ["90808001", "80808001", "80808001", "80808001"]
    assert picture_of(received) == sender.pictures[0]
    sizes = [len(packet.payload) for packet in received]
    assert max(sizes) - min(sizes) <= 1, "parts of one size"
    assert viewer.struct.streams[native.VIDEO].packets == 4
    assert viewer.struct.streams[native.VIDEO].bytes == 4000 + 4 * 4
    viewer.close()


@pytest.mark.parametrize("profile", PROFILES)
def test_the_longest_packet_fits_a_path_of_1280_bytes(profile: int) -> None:
    extension = header_extension({MID: 1, SENT_TIME: 2, AUDIO_LEVEL: 3}, "m" * 16)
    sender, viewer = Sender(), Viewer(profile=profile, extension=extension)
    packets = sender.picture(30_000, keyframe=True)
    assert len(packets) > 20
    sender.send(packets, viewer)
    direct = [viewer.receiving.recv(2048) for _ in packets]
    sender.resend(viewer, [100])
    again = viewer.receiving.recv(2048)
    assert max(map(len, [*direct, again])) + IPV6_UDP_TURN <= LONGEST_IP_PACKET
    assert max(map(len, direct)) + IPV6_UDP_TURN > LONGEST_IP_PACKET - 30, "and no smaller than needed"
    viewer.close()


def test_sound_is_one_packet_each_and_one_that_is_too_long_is_left_out(viewer: Viewer) -> None:
    sender = Sender(kind=native.SOUND)
    store = sender.session.stores[native.SOUND]
    for number, block in enumerate((b"one", b"two")):
        sender.next_packet = native.put_sound(store, sender.next_packet, block, timestamp=960 * number, level=0)
    too_long = bytes(native.PAYLOAD_MAX_BYTES + 1)
    assert native.put_sound(store, sender.next_packet, too_long, timestamp=0, level=0) == 2
    sender.send(range(2), viewer)
    received = viewer.receive(2)
    assert [packet.payload for packet in received] == [b"one", b"two"]
    assert [(packet.timestamp + 90) % 2**32 for packet in received] == [0, 960]
    assert {packet.ssrc for packet in received} == {1001} and {packet.payload_type for packet in received} == {111}


def test_a_picture_that_fills_more_than_half_of_the_store_is_left_out() -> None:
    sender = Sender()
    assert len(sender.picture(CAPACITY * native.PAYLOAD_MAX_BYTES)) == 0
    assert len(sender.picture(100)) == 1


def test_a_viewer_begins_with_a_keyframe_and_goes_on_without_a_gap(viewer: Viewer) -> None:
    sender = Sender()
    stream = viewer.struct.streams[native.VIDEO]
    assert sender.send(sender.picture(100), viewer) == 0
    assert viewer.receives_nothing()
    sender.send(sender.picture(100, keyframe=True), viewer)
    sender.send(sender.picture(100), viewer)
    assert [packet.sequence for packet in viewer.receive(2)] == [100, 101]
    stream.first = -1  # it could not keep up
    assert sender.send(sender.picture(100), viewer) == 0
    sender.send(sender.picture(100, keyframe=True), viewer)
    assert [packet.sequence for packet in viewer.receive(1)] == [102]
    assert sender.resend(viewer, [101]) == [] and viewer.receives_nothing(), "it was given up with what came after it"


def test_viewers_that_came_at_different_times_have_numbers_of_their_own() -> None:
    sender, first, second = Sender(), Viewer(sequence=5), Viewer(sequence=30_000)
    sender.send(sender.picture(3000, keyframe=True), first, second)
    late = Viewer(sequence=77, host="::1")
    assert sender.send(sender.picture(3000, keyframe=True), first, second, late) == 3
    for viewer, sequences in ((first, range(5, 11)), (second, range(30_000, 30_006)), (late, range(77, 80))):
        received = viewer.receive(len(sequences))
        assert [packet.sequence for packet in received] == list(sequences)
        assert picture_of(received[-3:]) == sender.pictures[-1]
        viewer.close()


def test_lost_packets_are_sent_again_on_their_own_stream(viewer: Viewer) -> None:
    sender = Sender()
    sender.send(sender.picture(5000, timestamp=90, keyframe=True), viewer)
    received = {packet.sequence: packet for packet in viewer.receive(5)}
    sender.resend(viewer, [103, 101])
    for repeated, lost, sequence in zip(viewer.receive(2), (103, 101), (7, 8), strict=True):
        assert (repeated.ssrc, repeated.payload_type, repeated.sequence) == (2000, 97, sequence)
        assert repeated.timestamp == received[lost].timestamp and repeated.marker == received[lost].marker
        assert repeated.payload == lost.to_bytes(2) + received[lost].payload
    assert viewer.struct.streams[native.VIDEO].resent == 2


def test_without_a_stream_of_their_own_lost_packets_come_again_byte_by_byte() -> None:
    sender = Sender()
    viewer = Viewer(resend_type=0, extension=header_extension({SENT_TIME: 3}, ""), profile=PROFILES[1])
    sender.send(sender.picture(3000, keyframe=True), viewer, time=0x123456)
    first = [viewer.receiving.recv(2048) for _ in range(3)]
    sender.resend(viewer, [101], time=0x654321)
    assert viewer.receiving.recv(2048) == first[1], "another time would be another packet with the same key stream"
    assert Rtp(viewer.decrypting.unprotect(first[1])).extension.hex() == "bede000132123456"
    with pytest.raises(Error, match="replay"):
        viewer.decrypting.unprotect(first[1])
    viewer.close()


def test_packets_that_were_never_sent_or_are_forgotten_are_passed_over(viewer: Viewer) -> None:
    sender = Sender()
    for _ in range(CAPACITY + 10):
        sender.send(sender.picture(10, keyframe=True), viewer)
    viewer.receive(CAPACITY + 10)
    newest = 100 + CAPACITY + 9
    sender.resend(viewer, [99, 100, newest - CAPACITY, newest + 1, newest + 30_000, 0])
    assert viewer.receives_nothing()
    sender.resend(viewer, [newest - CAPACITY + 1, newest])
    assert [int.from_bytes(packet.payload[:2]) for packet in viewer.receive(2)] == [newest - CAPACITY + 1, newest]


def test_a_flood_of_reports_gets_no_more_than_was_sent(viewer: Viewer) -> None:
    sender = Sender()
    stream = viewer.struct.streams[native.VIDEO]
    sender.send(sender.picture(20_000, keyframe=True), viewer)
    sent = stream.packets
    for _ in range(100):
        sender.resend(viewer, [100 + number for number in range(sent)])
    assert stream.resent == 64 + sent, "what every viewer may lose at the beginning, and each packet once"
    assert stream.refused == 100 * sent - stream.resent
    for _ in range(5):
        sender.send(sender.picture(100), viewer)
    for _ in range(100):
        sender.resend(viewer, [100])
    assert stream.resent == 64 + sent + 5
    for _ in range(1000):
        sender.send(sender.picture(100), viewer)
    assert stream.resends_left == 512, "however long nothing was lost"


def test_a_packet_is_sent_again_once_in_a_round_trip_however_often_it_is_asked_for(viewer: Viewer) -> None:
    sender = Sender()
    sender.send(sender.picture(5000, keyframe=True), viewer)
    viewer.receive(5)
    viewer.struct.streams[0].resend_after = 1000
    resent = []
    for time in (0xFFFF00, 0xFFFFFF, 500, 744, 745, 1744):  # the clock has 24 bits: 1,000 units later it is 744
        before = viewer.struct.streams[0].resent
        sender.resend(viewer, [101], time=time)
        resent.append(viewer.struct.streams[0].resent - before)
    assert resent == [1, 0, 0, 1, 0, 1]
    sender.resend(viewer, [101, 102, 103], time=1745)
    again = [int.from_bytes(one.payload[:2]) for one in viewer.receive(5)]
    assert again == [101, 101, 101, 102, 103]
    assert viewer.struct.streams[0].refused == 0


def test_the_headers_tell_the_mid_and_the_time_of_sending() -> None:
    sender, viewer = Sender(), Viewer(extension=header_extension({MID: 4, SENT_TIME: 2}, "10"))
    sender.send(sender.picture(10, keyframe=True), viewer, time=0xABCDEF)
    assert viewer.receive(1)[0].extension.hex() == "bede0002" + "22abcdef" + "413130" + "00"
    viewer.close()
    viewer = Viewer(extension=header_extension({MID: 4}, "10"))
    sender.send(sender.picture(10, keyframe=True), viewer, time=0xABCDEF)
    assert viewer.receive(1)[0].extension.hex() == "bede0001" + "413130" + "00"
    viewer.close()
    assert header_extension({MID: 4}, "m" * 17) == header_extension({}, "10") == HeaderExtension()


def test_the_headers_of_sound_tell_how_loud_it_is() -> None:
    sender = Sender(kind=native.SOUND)
    viewer = Viewer(resend_type=0, extension=header_extension({MID: 4, SENT_TIME: 3, AUDIO_LEVEL: 2}, "1"))
    store = sender.session.stores[native.SOUND]
    for number, level in enumerate((0, 23, 127)):
        sender.next_packet = native.put_sound(store, number, b"block", timestamp=0, level=level)
    sender.send(range(3), viewer, time=0xABCDEF)
    sent = [packet.extension.hex() for packet in viewer.receive(3)]
    assert sent == ["bede0002" + "32abcdef" + "20" + level + "4031" for level in ("80", "97", "7f")]
    viewer.close()
    assert header_extension({AUDIO_LEVEL: 2}, "").level_at == 5


def test_what_is_relayed_is_sealed_and_left_to_the_caller() -> None:
    sender, viewer = Sender(), Viewer(relayed=True)
    packets = sender.picture(3000, keyframe=True)
    assert sender.send(packets, viewer) == 0
    sealed = native.seal(sender.session, viewer.struct, native.VIDEO, packets, time=0, batch=sender.batch)
    received = [Rtp(viewer.decrypting.unprotect(datagram)) for datagram in sealed]
    assert picture_of(received) == sender.pictures[0]
    again = [Rtp(viewer.decrypting.unprotect(datagram)) for datagram in sender.resend(viewer, [101])]
    assert [packet.payload[2:] for packet in again] == [received[1].payload]
    viewer.close()


def test_a_viewer_whose_socket_is_full_loses_packets_and_the_others_do_not(viewer: Viewer) -> None:
    """A connected pair of local sockets, because loopback never fills a socket's buffer."""
    sender, stuck = Sender(), Viewer()
    reading, writing = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    stuck.struct.socket, stuck.struct.address_size = writing.fileno(), 0
    writing.setblocking(False)
    sent = 0
    while not stuck.struct.streams[native.VIDEO].dropped:
        packets = sender.picture(2000, keyframe=True)
        sender.send(packets, stuck, viewer)
        assert [packet.payload for packet in viewer.receive(2)]
        sent += 2
    assert stuck.struct.streams[native.VIDEO].packets == sent
    for opened in (reading, writing):
        opened.close()
    stuck.close()


def test_a_viewer_that_takes_sound_alone_gets_no_pictures(viewer: Viewer) -> None:
    sender = Sender()
    viewer.struct.streams[native.VIDEO].payload_type = 0
    assert sender.send(sender.picture(100, keyframe=True), viewer) == 0
    sender.resend(viewer, [100])
    assert viewer.receives_nothing()


def test_more_packets_than_a_system_call_takes_arrive_all(viewer: Viewer) -> None:
    sender = Sender()
    first, last = sender.picture(30_000, keyframe=True), sender.picture(30_000)
    assert first.stop - first.start < native.BATCH < last.stop - first.start
    sender.send(range(first.start, last.stop), viewer)
    assert picture_of(viewer.receive(last.stop - first.start)) == b"".join(sender.pictures)


def test_a_packet_that_cannot_be_protected_does_not_leave(viewer: Viewer) -> None:
    policy = Policy(key=os.urandom(30), ssrc_type=Policy.SSRC_SPECIFIC, ssrc_value=5)
    other = SrtpSession(policy)
    viewer.struct.srtp = srtp_address(other)
    sender = Sender()
    assert sender.send(sender.picture(100, keyframe=True), viewer) == 0
    assert viewer.receives_nothing()


def test_packets_that_the_kernel_refuses_are_lost_and_no_more(viewer: Viewer) -> None:
    sender, unreachable = Sender(), Viewer()
    assert native.set_address(unreachable.struct, "::1", 9)  # by a socket of IPv4
    assert sender.send(sender.picture(3000, keyframe=True), unreachable, viewer) == 1
    assert unreachable.struct.streams[native.VIDEO].dropped == 3
    assert picture_of(viewer.receive(3)) == sender.pictures[0]
    unreachable.close()


def test_a_host_that_is_no_address_is_refused(viewer: Viewer) -> None:
    for host in ("example.com", "", "fe80::1%eth0", "1.2.3"):
        assert not native.set_address(viewer.struct, host, 1)


def test_the_structs_are_those_that_were_compiled() -> None:
    class Viewer(ctypes.Structure):
        _fields_ = [*native.Viewer._fields_, ("name", ctypes.c_int32)]

    class Store(ctypes.Structure):
        _fields_ = [("packets", ctypes.c_void_p), ("size", ctypes.c_int64)]

    with pytest.raises(ImportError, match="another struct Viewer"):
        check_layout(load_library(), [Viewer], report="visavis_packets_layout")
    with pytest.raises(ImportError, match=r"another struct Store: Store\.size"):
        check_layout(load_library(), [Store], report="visavis_packets_layout")
    with pytest.raises(ImportError, match="older than this program"):
        check_layout(ctypes.CDLL(None), native.STRUCTS, report="visavis_packets_layout")
