"""RTP (RFC 3550) as this package sends it: kinds of media, clocks and header extensions. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from visavis.rooms.port import SILENT_LEVEL, MediaKind

KINDS: tuple[MediaKind, ...] = ("video", "audio")  # in the order of rooms.native
RATES_HZ: dict[MediaKind, int] = {"video": 90_000, "audio": 48_000}  # RFC 7741, RFC 7587
MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
SENT_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
SENT_TIME_HZ = 1 << 18
AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"  # RFC 6464

_ONE_BYTE_PROFILE = 0xBEDE  # RFC 8285, section 4.2
_LONGEST_VALUE = 16
_FIRST_VALUE_AT = 5  # behind the profile, the length and the number


def rtp_time(kind: MediaKind, position: int) -> int:
    """Return the RTP time of a position; the time of position 0 is 0."""
    return position * RATES_HZ[kind] // 48_000 & 0xFFFFFFFF


def sent_time(unix_s: float) -> int:
    """Return a time for the extension SENT_TIME: 24 bits, in units of 2^-18 s."""
    return int(unix_s * SENT_TIME_HZ) & 0xFFFFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderExtension:
    """The extension of a stream's RTP headers, b"" for none. `time_at`, `level_at`: where in it the time of sending and
    the level of the sound are to be written, 0 for nowhere.
    """

    data: bytes = b""
    time_at: int = 0
    level_at: int = 0


def header_extension(ids: Mapping[str, int], mid: str) -> HeaderExtension:
    """Return the extension of a stream's RTP headers. `ids`: the numbers of the extensions that were agreed on, by
    their URIs. A mid of more than 16 bytes is left out: the answer tells the SSRC.
    """
    elements = b""
    time_at = level_at = 0
    if SENT_TIME in ids:
        elements += bytes([ids[SENT_TIME] << 4 | 2, 0, 0, 0])
        time_at = _FIRST_VALUE_AT
    if AUDIO_LEVEL in ids:
        level_at = _FIRST_VALUE_AT + len(elements)
        elements += bytes([ids[AUDIO_LEVEL] << 4, SILENT_LEVEL])
    value = mid.encode()
    if MID in ids and 0 < len(value) <= _LONGEST_VALUE:
        elements += bytes([ids[MID] << 4 | len(value) - 1]) + value
    if not elements:
        return HeaderExtension()
    elements += bytes(-len(elements) % 4)
    data = _ONE_BYTE_PROFILE.to_bytes(2) + (len(elements) // 4).to_bytes(2) + elements
    return HeaderExtension(data=data, time_at=time_at, level_at=level_at)


def is_rtp(datagram: bytes) -> bool:
    """Whether a datagram is an RTP packet, and neither STUN nor DTLS nor RTCP (RFC 7983, RFC 5761)."""
    return len(datagram) >= 12 and 128 <= datagram[0] < 192 and not 192 <= datagram[1] < 224
