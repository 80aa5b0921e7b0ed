"""RTP (RFC 3550) as this package sends it: kinds of media, clocks and header extensions. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from visavis.rooms.port import MediaKind

KINDS: tuple[MediaKind, ...] = ("video", "audio")  # in the order of rooms.native
RATES_HZ: dict[MediaKind, int] = {"video": 90_000, "audio": 48_000}  # RFC 7741, RFC 7587
MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
SENT_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"

_ONE_BYTE_PROFILE = 0xBEDE  # RFC 8285, section 4.2
_LONGEST_VALUE = 16


def rtp_time(kind: MediaKind, position: int) -> int:
    """Return the RTP time of a position; the time of position 0 is 0."""
    return position * RATES_HZ[kind] // 48_000 & 0xFFFFFFFF


def sent_time(unix_s: float) -> int:
    """Return a time for the extension SENT_TIME: 24 bits, in units of 2^-18 s."""
    return int(unix_s * (1 << 18)) & 0xFFFFFF


def header_extension(ids: Mapping[str, int], mid: str) -> tuple[bytes, int]:
    """Return the extension of a stream's RTP headers, b"" for none, and where the time of sending is to be written in
    it, 0 for nowhere. `ids`: the numbers of the extensions that were agreed on, by their URIs. A mid of more than 16
    bytes is left out: the answer tells the SSRC.
    """
    elements = b""
    time_at = 0
    if SENT_TIME in ids:
        elements += bytes([ids[SENT_TIME] << 4 | 2, 0, 0, 0])
        time_at = 5  # behind the profile, the length and the number
    value = mid.encode()
    if MID in ids and 0 < len(value) <= _LONGEST_VALUE:
        elements += bytes([ids[MID] << 4 | len(value) - 1]) + value
    if not elements:
        return b"", 0
    elements += bytes(-len(elements) % 4)
    return _ONE_BYTE_PROFILE.to_bytes(2) + (len(elements) // 4).to_bytes(2) + elements, time_at


def is_rtp(datagram: bytes) -> bool:
    """Whether a datagram is an RTP packet, and neither STUN nor DTLS nor RTCP (RFC 7983, RFC 5761)."""
    return len(datagram) >= 12 and 128 <= datagram[0] < 192 and not 192 <= datagram[1] < 224
