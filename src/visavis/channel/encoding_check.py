"""Tells when raw audio sounds as if it had another encoding than the one in which it is taken. Pure, and without NumPy.

Speech changes little from sample to sample; read in a wrong encoding it is noise. So an encoding is suspected in which
audio is smooth, while it is rough in the one in which it is taken. Two windows of it must agree. Windows that are
nearly silent, and those that are smooth as they are taken, say nothing. The figures are those with which two spoken
texts at 8 to 48 kHz, loud and soft, were never suspected, and never called by a wrong name
(tests/channel/test_encodings.py).
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise

from visavis.channel.encodings import Encoding, to_pcm16

WINDOW_BYTES = 2048
MOST_WINDOWS = 40  # of a channel: what has come right so long is right
_MOST_OF_MESSAGE = 20  # spread over a long message: each takes 0.2 ms, or one where it is rough
_VOTES = 2
_QUIET = 300.0  # the mean level, of 32768, below which a window says nothing
# Energy of the differences over that of the samples: white noise has 2, and a tone near half the rate up to 4.
_SMOOTH, _TONE = 0.4, 3.0
_SHARE = 0.4  # the most that the roughness in another encoding may be of that in which the audio is taken


def _pcm16(raw: bytes) -> Sequence[float]:
    return struct.unpack(f"<{len(raw) // 2}h", raw)


def _companded(encoding: Encoding) -> Callable[[bytes], Sequence[float]]:
    return lambda raw: _pcm16(to_pcm16(raw, encoding))


def _floats(raw: bytes) -> Sequence[float]:
    values = struct.unpack(f"<{len(raw) // 4}f", raw)
    return [one * 32768.0 for one in values] if all(abs(one) <= 2.0 for one in values) else []


# How a window sounds in each encoding; nothing where it cannot be one. Two are not taken, but can be named.
_READERS: dict[str, Callable[[bytes], Sequence[float]]] = {
    "pcm_s16le": _pcm16,
    "pcm_f32le": _floats,
    "mulaw": _companded("mulaw"),
    "alaw": _companded("alaw"),
    "pcm_s16be": lambda raw: struct.unpack(f">{len(raw) // 2}h", raw),
    "pcm_u8": lambda raw: [(one - 128) * 256.0 for one in raw],
}
_EITHER_ORDER = ("pcm_s16le", "pcm_s16be")  # soft sound is smooth in both


class EncodingCheck:
    """Looks at what comes first on a channel, until it sounds like another encoding."""

    def __init__(self) -> None:
        self._windows_left = MOST_WINDOWS
        self._encoding: Encoding | None = None  # of what was looked at last
        self._rest = b""  # of it, too short for a window
        self._votes: Counter[str] = Counter()
        self._suspected: str | None = None  # set once, and taken once

    def look(self, raw: bytes, encoding: Encoding) -> str | None:
        """Look at a piece as it came, that is taken in `encoding`; return the one that it sounds like, if that is told
        now.
        """
        if not self._windows_left:
            return None
        if encoding == "pcm_s16le" and len(raw) % 2:  # the next piece begins within a sample, where all is noise
            self._windows_left = 0
            return None
        if encoding != self._encoding:
            self._encoding, self._rest = encoding, b""
            self._votes.clear()
        waiting = raw if len(raw) >= WINDOW_BYTES else self._rest + raw
        count = len(waiting) // WINDOW_BYTES
        self._rest = waiting[count * WINDOW_BYTES :]
        for number in range(0, count, max(1, -(-count // _MOST_OF_MESSAGE))):
            window = waiting[number * WINDOW_BYTES : (number + 1) * WINDOW_BYTES]
            name = sounds_like(window, encoding)
            self._windows_left -= 1
            if name is not None:
                self._votes[name] += 1
                if self._votes[name] >= _VOTES:
                    self._windows_left, self._suspected = 0, name
            if self._windows_left <= 0:
                self._windows_left = 0
                break
        return self._suspected

    def take_suspected(self) -> str | None:
        """Return what is suspected, once."""
        taken, self._suspected = self._suspected, None
        return taken


def sounds_like(window: bytes, encoding: Encoding) -> str | None:
    """Return the encoding that a window sounds like, None if it may well be in `encoding`, or says nothing."""
    samples = _READERS[encoding](window)
    taken, loud = _roughness(samples) if samples else (math.inf, True)
    if not loud or taken < _SMOOTH or _TONE < taken < math.inf:
        return None
    smooth = {}
    for name, read in _READERS.items():
        rough, is_loud = _roughness(read(window))
        if name != encoding and rough < min(_SMOOTH, taken * _SHARE):
            smooth[name] = (rough, is_loud)
    if all(name in smooth for name in _EITHER_ORDER):
        return None
    named = {name: rough for name, (rough, is_loud) in smooth.items() if is_loud}
    return min(named, key=lambda name: named[name], default=None)


def _roughness(samples: Sequence[float]) -> tuple[float, bool]:
    """Return the energy of the differences over that of the samples, infinite without any, and whether they are loud
    enough to say something.
    """
    if not samples:
        return math.inf, False
    mean = sum(samples) / len(samples)
    energy = sum((one - mean) ** 2 for one in samples)
    if not energy:
        return math.inf, False
    rough = sum((after - before) ** 2 for before, after in pairwise(samples)) / energy
    return rough, energy >= _QUIET**2 * len(samples)
