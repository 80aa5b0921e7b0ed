"""Turns sound samples of any usual form into PCM16 mono, and softens their edges. Pure.

The service has no array library on purpose, so this is `array` and `struct`; a second of sound takes some milliseconds.
"""

from __future__ import annotations

import struct
import sys
from array import array
from dataclasses import dataclass

PCM, FLOAT = 1, 3  # the formats of a WAV file that are read
_WIDTHS = {PCM: (8, 16, 24, 32), FLOAT: (32, 64)}


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleFormat:
    kind: int = PCM
    bits: int = 16
    channels: int = 1

    @property
    def is_known(self) -> bool:
        return self.bits in _WIDTHS.get(self.kind, ()) and 1 <= self.channels <= 8

    @property
    def frame_bytes(self) -> int:
        """Bytes of one instant, all channels."""
        return self.bits // 8 * self.channels


def to_pcm16_mono(data: bytes, form: SampleFormat) -> bytes:
    """Convert whole frames to PCM16 little-endian; channels are averaged."""
    if form == SampleFormat():
        return data
    samples = _to_integers(data, form)
    if form.channels > 1:
        count = form.channels
        samples = [sum(samples[at : at + count]) // count for at in range(0, len(samples), count)]
    return _packed(array("h", samples))


def _to_integers(data: bytes, form: SampleFormat) -> list[int]:
    if form.kind == FLOAT:
        code = "f" if form.bits == 32 else "d"
        floats = struct.unpack(f"<{len(data) * 8 // form.bits}{code}", data)
        return [_clipped(value) for value in floats]
    if form.bits == 8:
        return [(value - 128) << 8 for value in data]
    if form.bits == 16:
        return _unpacked(data).tolist()
    if form.bits == 24:
        return [
            (high - 256 if high > 127 else high) << 8 | low for low, high in zip(data[1::3], data[2::3], strict=True)
        ]
    return [value >> 16 for value in struct.unpack(f"<{len(data) // 4}i", data)]


def _clipped(value: float) -> int:
    if value != value:  # NaN
        return 0
    return int(max(-1.0, min(1.0, value)) * 32767)


def _unpacked(pcm: bytes) -> array[int]:
    samples = array("h")
    samples.frombytes(pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def _packed(samples: array[int]) -> bytes:
    if sys.byteorder == "big":
        samples.byteswap()
    return samples.tobytes()


def faded_in(pcm: bytes, *, begin: int, over: int) -> bytes:
    """Return PCM16 that rises from silence over `over` samples, of which `begin` have come before."""
    samples = _unpacked(pcm)
    for at in range(min(len(samples), over - begin)):
        samples[at] = samples[at] * (begin + at) // over
    return _packed(samples)


def faded_out(pcm: bytes) -> bytes:
    """Return PCM16 that falls to silence over all of its samples."""
    samples = _unpacked(pcm)
    for at, value in enumerate(samples):
        samples[at] = value * (len(samples) - 1 - at) // len(samples)
    return _packed(samples)
