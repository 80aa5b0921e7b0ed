"""Recognises sound files by their first bytes. Uses the standard library only, so the service need not load NumPy."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

_CHAIN = 3  # so many frames in a row, or two that fill the data, are no accident: 2**-31 of all pieces of speech
_FRAME_HEADER_BYTES = 6

# MPEG audio layer III (ISO/IEC 11172-3, 13818-3): kbit/s by index, from 1 on; 0 is the free format, 15 is forbidden
_KBPS_MPEG_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBPS_MPEG_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_MPEG_1_RATES_HZ = (44_100, 48_000, 32_000)
_RATE_DIVISORS = {3: 1, 2: 2, 0: 4}  # by the two bits of the version: MPEG-1, MPEG-2, MPEG-2.5


class _Frame(NamedTuple):
    """`kind`: what is the same in every frame of a stream."""

    size_bytes: int
    kind: tuple[int, ...]


def sound_file_of(data: bytes) -> str | None:
    """Return the kind of sound file that begins with `data`, None for anything else. Raw samples have no header."""
    if data[:4] in (b"RIFF", b"RIFX", b"RF64") and data[8:12] == b"WAVE":
        return "WAV"
    if data[:4] == b"FORM" and data[8:12] in (b"AIFF", b"AIFC"):
        return "AIFF"
    if data[:8] == b"caff\0\1\0\0":
        return "CAF"
    if data[:2] == b"\0\0" and data[4:8] == b"ftyp":
        return "M4A"
    if data[:4] == b"fLaC" and data[5:8] == b"\0\0\x22":
        return "FLAC"
    if data[:5] == b"OggS\0":
        return "Ogg"
    if data[:4] == b"\x1aE\xdf\xa3":
        return "WebM"
    if data[:5] == b"#!AMR":
        return "AMR"
    if _is_id3(data) or _is_chain(data, _mp3_frame):
        return "MP3"
    return "AAC" if _is_chain(data, _adts_frame) else None


def _is_id3(data: bytes) -> bool:
    """Whether an ID3v2 tag begins here: its version, its flags, and its length in four times seven bits."""
    if len(data) < 10 or data[:3] != b"ID3":
        return False
    return 2 <= data[3] <= 4 and data[4] < 16 and not data[5] & 0x0F and max(data[6:10]) < 0x80


def _is_chain(data: bytes, read_frame: Callable[[bytes], _Frame | None]) -> bool:
    """Whether `data` begins with frames of one stream: three in a row, or two with which it ends."""
    at, kind = 0, None
    for count in range(_CHAIN):
        if count >= 2 and at + _FRAME_HEADER_BYTES > len(data):
            return True
        frame = read_frame(data[at : at + _FRAME_HEADER_BYTES])
        if frame is None or kind not in (None, frame.kind):
            return False
        at, kind = at + frame.size_bytes, frame.kind
    return True


def _mp3_frame(header: bytes) -> _Frame | None:
    if len(header) < _FRAME_HEADER_BYTES or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:
        return None
    version, bitrate, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version not in _RATE_DIVISORS or bitrate in (0, 15) or rate == 3:
        return None
    rate_hz = _MPEG_1_RATES_HZ[rate] // _RATE_DIVISORS[version]
    kbps = (_KBPS_MPEG_1 if version == 3 else _KBPS_MPEG_2)[bitrate - 1]
    size_bytes = (144_000 if version == 3 else 72_000) * kbps // rate_hz + (header[2] >> 1 & 1)
    return _Frame(size_bytes, (header[1], rate, header[3] >> 6))


def _adts_frame(header: bytes) -> _Frame | None:
    """AAC in ADTS, ISO/IEC 13818-7."""
    if len(header) < _FRAME_HEADER_BYTES or header[0] != 0xFF or header[1] & 0xF6 != 0xF0:
        return None
    size_bytes = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    if size_bytes < 8 or header[2] >> 2 & 15 > 12:
        return None
    return _Frame(size_bytes, (header[1], header[2], header[3] & 0xF0))
