"""The C functions that send packets: they put a header in front of a session's packets for each viewer, protect them
and pass them to the viewer's socket, without an object for each packet and viewer.

They are compiled together with the kernels of `engine.native`, and called in the same way: the caller keeps all memory
alive during a call, and every call releases the interpreter lock. packets.h describes the structs.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

from visavis.engine.native import check_layout, load_library

PAYLOAD_MAX_BYTES = 1164
BATCH = 32  # datagrams of one system call
NO_SOCKET = -1
_EXTENSION_MAX, _DATAGRAM_MAX, _RESENT_KEPT = 32, 1360, 256
VIDEO, SOUND = 0, 1  # kinds

_P, _I, _I64 = ctypes.c_void_p, ctypes.c_int32, ctypes.c_int64
_U8, _U16, _U32 = ctypes.c_uint8, ctypes.c_uint16, ctypes.c_uint32


class Packet(ctypes.Structure):
    """See packets.h."""

    _fields_ = [
        ("timestamp", _U32),
        ("sent_time", _U32),
        ("size", _U16),
        ("marker", _U8),
        ("begins", _U8),
        ("level", _U8),
        ("payload", _U8 * PAYLOAD_MAX_BYTES),
    ]


class Store(ctypes.Structure):
    """See packets.h."""

    _fields_ = [("packets", _P), ("capacity", _I64)]


class Session(ctypes.Structure):
    """See packets.h."""

    _fields_ = [("protect", _P), ("stores", Store * 2)]


class Resent(ctypes.Structure):
    """See packets.h."""

    _fields_ = [("number", _U32), ("time", _U32)]


class Stream(ctypes.Structure):
    """See packets.h."""

    _fields_ = [
        ("ssrc", _U32),
        ("resend_ssrc", _U32),
        ("timestamp_offset", _U32),
        ("sequence_offset", _U16),
        ("next_sequence", _U16),
        ("next_resend_sequence", _U16),
        ("payload_type", _U8),
        ("resend_payload_type", _U8),
        ("extension_size", _U8),
        ("time_at", _U8),
        ("level_at", _U8),
        ("extension", _U8 * _EXTENSION_MAX),
        ("resends_left", _I),
        ("resend_after", _U32),
        *((name, _I64) for name in ("first", "packets", "bytes", "dropped", "resent", "refused")),
        ("newest_resent", Resent * _RESENT_KEPT),
    ]


class Viewer(ctypes.Structure):
    """See packets.h."""

    _fields_ = [
        ("srtp", _P),
        ("socket", _I),
        ("address_size", _I),
        ("address", _U8 * 32),
        ("streams", Stream * 2),
    ]


class Batch(ctypes.Structure):
    """See packets.h."""

    _fields_ = [("count", _I), ("sizes", _I * (BATCH + 3)), ("datagrams", (_U8 * _DATAGRAM_MAX) * BATCH)]

    def take(self, count: int) -> list[bytes]:
        """Return the first `count` datagrams."""
        return [ctypes.string_at(self.datagrams[k], self.sizes[k]) for k in range(count)]


STRUCTS: tuple[type[ctypes.Structure], ...] = (Packet, Store, Session, Resent, Stream, Viewer, Batch)


def put_picture(
    store: Store, next_packet: int, picture: bytes, *, timestamp: int, picture_id: int, keyframe: bool
) -> int:
    """Cut a picture (VP8) into packets from `next_packet` on. Return the packet after its last one; `next_packet` if
    the picture does not fit into half of the store.
    """
    size = len(picture)
    pointer = ctypes.byref(store)
    return int(_library.visavis_put_picture(pointer, next_packet, picture, size, timestamp, picture_id, int(keyframe)))


def put_sound(store: Store, next_packet: int, block: bytes, *, timestamp: int, level: int) -> int:
    """Make a block of sound (Opus) the packet `next_packet`. Return the packet after it; `next_packet` if the block is
    longer than a packet. `level`: see `EncodedPacket`.
    """
    return int(_library.visavis_put_sound(ctypes.byref(store), next_packet, block, len(block), timestamp, level))


def send(
    session: Session,
    viewers: ctypes.Array[ctypes.c_void_p],
    kind: int,
    packets: range,
    *,
    time: int,
    batch: Batch,
) -> int:
    """Send packets to all viewers that have a socket; return how many viewers got any. `viewers`: pointers to `Viewer`.
    `time`: now, the low 24 bits in units of 2^-18 s.
    """
    pointers = ctypes.byref(session), viewers
    return int(
        _library.visavis_send(*pointers, len(viewers), kind, packets.start, packets.stop, time, ctypes.byref(batch))
    )


def seal(session: Session, viewer: Viewer, kind: int, packets: range, *, time: int, batch: Batch) -> list[bytes]:
    """Return the datagrams of at most BATCH packets for one viewer. The caller sends them."""
    pointers = ctypes.byref(session), ctypes.byref(viewer)
    return batch.take(_library.visavis_seal(*pointers, kind, packets.start, packets.stop, time, ctypes.byref(batch)))


def resend(
    session: Session,
    viewer: Viewer,
    kind: int,
    lost: Sequence[int],
    *,
    end: int,
    time: int,
    batch: Batch,
) -> list[bytes]:
    """Send lost packets again; return the datagrams for the caller to send if the viewer has no socket. `lost`: at most
    BATCH sequence numbers. `end`: the packet after the newest one.
    """
    numbers = (_U16 * len(lost))(*lost)
    pointers = ctypes.byref(session), ctypes.byref(viewer)
    sealed = _library.visavis_resend(*pointers, kind, end, numbers, len(lost), time, ctypes.byref(batch))
    return batch.take(sealed) if viewer.socket == NO_SOCKET else []


def set_address(viewer: Viewer, host: str, port: int) -> bool:
    """Set the address of a viewer; return whether `host` is an address in figures."""
    return bool(_library.visavis_set_address(ctypes.byref(viewer), host.encode(), port))


def _load() -> ctypes.CDLL:
    library = load_library()
    check_layout(library, STRUCTS, report="visavis_packets_layout")
    library.visavis_put_picture.argtypes = [_P, _I64, ctypes.c_char_p, _I64, _U32, _I, _I]
    library.visavis_put_sound.argtypes = [_P, _I64, ctypes.c_char_p, _I64, _U32, _I]
    library.visavis_put_picture.restype = library.visavis_put_sound.restype = _I64
    library.visavis_send.argtypes = [_P, _P, _I, _I, _I64, _I64, _U32, _P]
    library.visavis_seal.argtypes = [_P, _P, _I, _I64, _I64, _U32, _P]
    library.visavis_resend.argtypes = [_P, _P, _I, _I64, _P, _I, _U32, _P]
    library.visavis_set_address.argtypes = [_P, ctypes.c_char_p, _I]
    for name in ("send", "seal", "resend", "set_address"):
        getattr(library, f"visavis_{name}").restype = _I
    return library


_library = _load()
