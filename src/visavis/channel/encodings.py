"""The encodings of raw audio that a client may name, and their conversion to PCM16. Pure, and without NumPy, which the
service does not load.
"""

from __future__ import annotations

import sys
from array import array
from typing import Literal, get_args

from visavis.errors import OddAudioLength

Encoding = Literal["pcm_s16le", "pcm_f32le", "mulaw", "alaw"]
ENCODINGS: tuple[Encoding, ...] = get_args(Encoding)
USUAL: Encoding = "pcm_s16le"

_FULL_SCALE = 32767.0


def _mulaw_level(code: int) -> int:
    """Return the sample of a byte of µ-law (ITU-T G.711), as 16 bits."""
    code = ~code & 0xFF
    level = (((code & 0x0F) << 3) + 0x84 << (code >> 4 & 7)) - 0x84
    return -level if code & 0x80 else level


def _alaw_level(code: int) -> int:
    """Return the sample of a byte of A-law (ITU-T G.711), as 16 bits."""
    code ^= 0x55
    level, segment = ((code & 0x0F) << 4) + 8, code >> 4 & 7
    if segment:
        level = level + 0x100 << segment - 1
    return level if code & 0x80 else -level


def _halves(levels: list[int]) -> tuple[bytes, bytes]:
    """Return the lower and the upper byte of each level, as tables for `bytes.translate`."""
    return bytes(level & 0xFF for level in levels), bytes(level >> 8 & 0xFF for level in levels)


_COMPANDED: dict[Encoding, tuple[bytes, bytes]] = {
    "mulaw": _halves([_mulaw_level(code) for code in range(256)]),
    "alaw": _halves([_alaw_level(code) for code in range(256)]),
}


def to_pcm16(raw: bytes, encoding: Encoding) -> bytes:
    """Return PCM16, little-endian, of mono audio in an encoding. PCM16 is returned as it is, also if it is cut within a
    sample. Floats beyond -1 to 1 are clipped, and what is no number is silence.

    Raises `OddAudioLength` for floats that are cut within a sample.
    """
    if encoding == "pcm_s16le":
        return raw
    if encoding == "pcm_f32le":
        return _from_floats(raw)
    lower, upper = _COMPANDED[encoding]
    pcm = bytearray(2 * len(raw))
    pcm[0::2], pcm[1::2] = raw.translate(lower), raw.translate(upper)
    return bytes(pcm)


def _from_floats(raw: bytes) -> bytes:
    if len(raw) % 4:
        raise OddAudioLength("pcm_f32le has four bytes per sample, and each message must have whole samples")
    floats = array("f", raw)
    _turn(floats)
    if not -1.0 <= min(floats, default=0.0) <= max(floats, default=0.0) <= 1.0 or sum(floats) != sum(floats):
        floats = array("f", (max(-1.0, min(1.0, one)) if one == one else 0.0 for one in floats))
    levels = array("h", [round(one * _FULL_SCALE) for one in floats])
    _turn(levels)
    return levels.tobytes()


def _turn(numbers: array[float] | array[int]) -> None:
    """Turn numbers from little-endian to the order of this machine, or back."""
    if sys.byteorder == "big":
        numbers.byteswap()
