"""Speech as the channel takes it: mono PCM16 and its sample rate. Reads WAV without any library."""

from __future__ import annotations

import array
import struct
import sys
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from visavis_client.errors import InvalidSound

LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 8_000, 48_000
PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """`pcm`: signed 16-bit little-endian samples of one channel. `sample_rate_hz`: 8,000 to 48,000."""

    pcm: bytes
    sample_rate_hz: int

    @property
    def duration_s(self) -> float:
        return len(self.pcm) / 2 / self.sample_rate_hz


def checked_rate(sample_rate_hz: int | None) -> int:
    """Return the rate. Raises `InvalidSound` if there is none, or one that the channel does not take."""
    if sample_rate_hz is None:
        raise InvalidSound("Raw samples need their sample rate: give sample_rate, in Hz")
    if not LOWEST_RATE_HZ <= sample_rate_hz <= HIGHEST_RATE_HZ:
        raise InvalidSound(f"A sample rate is {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz, not {sample_rate_hz}")
    return sample_rate_hz


def read_sound(source: str | Path | bytes, sample_rate_hz: int | None = None) -> Sound:
    """Return the sound of a WAV file, of the bytes of one, or of raw PCM16 whose rate is given.

    Of several channels the loudest is taken: their sum is silence where two are in opposite phase. Raises
    `InvalidSound`.
    """
    if not isinstance(source, bytes):
        try:
            source = Path(source).read_bytes()
        except OSError as error:
            raise InvalidSound(f"{error.filename} cannot be read: {error.strerror}") from None
        if not source.startswith(b"RIFF"):
            raise InvalidSound("This file is no WAV: decode it first, and give the samples with their sample_rate")
    if source.startswith(b"RIFF") and source[8:12] == b"WAVE":
        return _read_wav(source)
    return Sound(pcm=source, sample_rate_hz=checked_rate(sample_rate_hz))


async def pieces_of(pcm: bytes, size: int) -> AsyncIterator[bytes]:
    """Yield the bytes in pieces of `size`."""
    for at in range(0, len(pcm), size):
        yield pcm[at : at + size]


async def pieces_of_iterable(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def _read_wav(content: bytes) -> Sound:
    layout, data = None, None
    for name, chunk in _chunks(content):
        if name == b"fmt ":
            layout = chunk
        elif name == b"data":
            data = chunk
            break
    if layout is None or len(layout) < 16 or data is None:
        raise InvalidSound("This WAV has no samples, or does not say what they are")
    kind, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", layout)
    if kind == EXTENSIBLE and len(layout) >= 26:
        kind = struct.unpack_from("<H", layout, 24)[0]
    if not channels:
        raise InvalidSound("This WAV has no channel")
    samples = _samples(kind, bits, data)
    if not samples:
        raise InvalidSound("This WAV contains no sound")
    one = max((samples[n::channels] for n in range(channels)), key=lambda channel: sum(map(abs, channel)))
    if sys.byteorder == "big":
        one.byteswap()
    return Sound(pcm=one.tobytes(), sample_rate_hz=checked_rate(rate_hz))


def _chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the chunks of a RIFF file. One that says it is longer than the file ends with it, as streamed WAVs do."""
    at = 12
    while at + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, at)
        yield name, content[at + 8 : at + 8 + size]
        at += 8 + size + size % 2


def _samples(kind: int, bits: int, data: bytes) -> array.array[int]:
    if kind == FLOAT and bits in (32, 64):
        code, width = ("f", 4) if bits == 32 else ("d", 8)
        values = struct.unpack(f"<{len(data) // width}{code}", data[: len(data) // width * width])
        return array.array("h", (_level(value) for value in values))
    if kind != PCM or bits not in (8, 16, 24, 32):
        raise InvalidSound(f"A WAV of kind {kind} with {bits} bits is not read: use PCM of 8 to 32 bits, or float")
    width = bits // 8
    data = data[: len(data) // width * width]
    if width == 1:  # the one width of WAV without a sign
        return array.array("h", ((value - 128) << 8 for value in data))
    # Of each sample the two highest bytes, which come last.
    high = bytearray(len(data) // width * 2)
    high[0::2], high[1::2] = data[width - 2 :: width], data[width - 1 :: width]
    samples = array.array("h", bytes(high))
    if sys.byteorder == "big":
        samples.byteswap()
    return samples


def _level(value: float) -> int:
    """Return a sample of -1 to 1 as 16 bits; what is beyond is clipped, and no number is silence."""
    if value != value:
        return 0
    return round(min(max(value, -1.0), 1.0) * 32767)
