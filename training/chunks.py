"""The input of training steps: pieces of recordings, each time with another speaker, tempo, microphone and noise.

The recordings are stored as bands (features.py). Changing bands costs almost nothing, so every use of a piece differs:
the frequency axis is stretched (vocal tract), time is stretched, and a microphone or a telephone, a room, a noise
floor, music or other voices are added. Pieces of one voice are joined to a speech; sometimes there is no speech at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visavis.engine.audio import mel as logmel
from visavis.engine.motion.frame import MOUTH_COUNT
from visavis.engine.speech.acoustic import SPHINX_BANDS, SPHINX_HIGH_HZ, SPHINX_LOW_HZ
from visavis.engine.speech.visemes import SILENCE

from .augment import no_speech
from .corpus import load_clean, targets_of
from .features import BANDS, MEL, bands_of, features_of

CHUNK_STEPS, WARM_STEPS = 320, 24
SPEECH_STEPS = 2 * CHUNK_STEPS - WARM_STEPS  # a speech: two chunks that overlap by WARM_STEPS
TARGETS = MOUTH_COUNT + 2
SOUNDS = 150  # pieces of music and noise that are kept in memory
_WARPS = np.exp(np.linspace(np.log(0.82), np.log(1.22), 33))


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording. `bands`: float16 (n, BANDS); `visemes`: uint8 (n,); `curves`: float16 (n, TARGETS)."""

    bands: NDArray[np.float16]
    visemes: NDArray[np.uint8]
    curves: NDArray[np.float16]


def load_recordings(path: Path) -> dict[str, list[Recording]]:
    """Return the recordings of a file that `corpus.save_clean` wrote, by voice. Their bands are computed once and
    stored beside the file.
    """
    kept = path.with_suffix(".bands.npz")
    if not kept.exists() or kept.stat().st_mtime < path.stat().st_mtime:
        voices, bands, visemes, curves = [], [], [], []
        for voice, all_said in load_clean(path).items():
            for spoken in all_said:
                rows = bands_of(spoken.pcm)
                viseme, curve = targets_of(spoken, len(rows))
                voices.append(voice)
                bands.append(rows.astype(np.float16))
                visemes.append(viseme)
                curves.append(curve)
        ends = np.cumsum([len(rows) for rows in bands])
        np.savez(
            kept,
            voices=np.array(voices),
            bands=np.concatenate(bands),
            visemes=np.concatenate(visemes),
            curves=np.concatenate(curves),
            ends=ends,
        )
    with np.load(kept) as box:
        voices, bands, visemes, curves, ends = (box[name] for name in ("voices", "bands", "visemes", "curves", "ends"))
    out: dict[str, list[Recording]] = {}
    for voice, a, b in zip(voices, np.concatenate([[0], ends[:-1]]), ends, strict=True):
        out.setdefault(str(voice), []).append(Recording(bands[a:b], visemes[a:b], curves[a:b]))
    return out


_BANKS = ((logmel.MEL_BANDS, logmel.LOW_HZ, logmel.HIGH_HZ), (SPHINX_BANDS, SPHINX_LOW_HZ, SPHINX_HIGH_HZ))


def _centres_hz(count: int, low_hz: float, high_hz: float) -> NDArray[np.float64]:
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (low_hz, high_hz))
    return 700 * (10 ** (np.linspace(low, high, count + 2)[1:-1] / 2595) - 1)


def _warping(factor: float) -> NDArray[np.float32]:
    """Return the matrix that stretches the frequency axis of bands, float32 (BANDS, BANDS): every band gets the value
    at `factor` times its frequency.
    """
    matrix = np.zeros((BANDS, BANDS), np.float32)
    first = 0
    for count, low_hz, high_hz in _BANKS:
        centres_hz = _centres_hz(count, low_hz, high_hz)
        # Limited, so that the top band stays within the range.
        read_hz = np.minimum(centres_hz * factor, centres_hz + (centres_hz[-1] - centres_hz) * 0.8)
        at = np.clip(np.interp(read_hz, centres_hz, np.arange(count)), 0, count - 1)
        below = np.minimum(at.astype(int), count - 2)
        for k in range(count):
            matrix[first + below[k], first + k] += 1 - (at[k] - below[k])
            matrix[first + below[k] + 1, first + k] += at[k] - below[k]
        first += count
    return matrix


def _knots(rng: np.random.Generator, spread_db: float) -> NDArray[np.float32]:
    """Return a smooth random gain of the bands, dB (BANDS,), the same for both filter banks."""
    values = rng.normal(0, spread_db, 6)
    sphinx = np.interp(np.linspace(0.06, 0.97, SPHINX_BANDS), np.linspace(0, 1, 6), values)
    return np.concatenate(
        [np.interp(np.linspace(0, 1, logmel.MEL_BANDS), np.linspace(0, 1, 6), values), sphinx]
    ).astype(np.float32)


def _telephone(rng: np.random.Generator) -> NDArray[np.float32]:
    """Return the gain of a telephone, dB (BANDS,)."""
    low_hz, high_hz = rng.uniform(150, 350), rng.uniform(3200, 4000)
    hz = np.concatenate([_centres_hz(*bank) for bank in _BANKS])
    gain_db = -24 * np.maximum(0, np.log2(low_hz / hz)) - 60 * np.maximum(0, np.log2(hz / high_hz))
    return np.maximum(gain_db, -70).astype(np.float32)


def _room(bands: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return bands with the reverberation of a room, which decays by 60 dB in 0.1 to 0.7 s."""
    power = np.exp(bands / _UNIT / logmel.NATS_TO_DB)
    falls = np.float32(10 ** (-6.0 / (rng.uniform(0.1, 0.7) * 100)))
    answer = np.float32(10 ** (-rng.uniform(3, 18) / 10) * (1 - falls))
    tail = np.zeros(BANDS, np.float32)
    for now in power:
        own = answer * now
        now += tail
        tail = falls * (tail + own)
    return (np.log(power + np.float32(1e-10)) * logmel.NATS_TO_DB * _UNIT).astype(np.float32)


# One dB in the unit of each band.
_UNIT = np.concatenate(
    [np.ones(logmel.MEL_BANDS, np.float32), np.full(SPHINX_BANDS, 1 / logmel.NATS_TO_DB, np.float32)]
)


def _sum(bands: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the bands of the sum of two sounds."""
    to_nats = 1 / (_UNIT * logmel.NATS_TO_DB)
    return np.logaddexp(bands * to_nats, others * to_nats) / to_nats


class Pieces:
    """Draws training pieces: a voice by its weight, then pieces of that voice."""

    def __init__(
        self, voices: dict[str, list[Recording]], weight_of: dict[str, float], rng: np.random.Generator
    ) -> None:
        self._voices = [voices[name] for name in voices]
        weights = np.array([weight_of[name] for name in voices])
        self._chances = weights / weights.sum()
        self._rng = rng
        self._warps = [_warping(factor) for factor in _WARPS]
        self._order: dict[int, list[int]] = {}
        self._sounds = [bands_of(no_speech(SPEECH_STEPS / 100 + 0.1, rng).pcm)[:SPEECH_STEPS] for _ in range(SOUNDS)]

    def _next(self, voice: int) -> Recording:
        order = self._order.get(voice)
        if not order:
            order = self._order[voice] = self._rng.permutation(len(self._voices[voice])).tolist()
        return self._voices[voice][order.pop()]

    def _speech(self) -> tuple[NDArray[np.float32], NDArray[np.uint8], NDArray[np.float32]]:
        """Return (bands (SPEECH_STEPS, BANDS), visemes, curves) of one voice, varied as another person elsewhere."""
        rng = self._rng
        voice = int(rng.choice(len(self._chances), p=self._chances))
        tempo = float(np.exp(rng.uniform(np.log(0.8), np.log(1.25)))) if rng.random() < 0.6 else 1.0
        need = int(SPEECH_STEPS * tempo) + 2
        parts: list[Recording] = []
        count = 0
        while count < need:
            part = self._next(voice)
            if not parts and len(part.visemes) > 400 and rng.random() < 0.5:  # begin within the recording
                first = int(rng.integers(0, len(part.visemes) // 2))
                part = Recording(part.bands[first:], part.visemes[first:], part.curves[first:])
            parts.append(part)
            count += len(part.visemes)
        bands = np.concatenate([part.bands for part in parts])[:need].astype(np.float32)
        visemes = np.concatenate([part.visemes for part in parts])[:need]
        curves = np.concatenate([part.curves for part in parts])[:need].astype(np.float32)
        if tempo != 1.0:
            at = np.minimum(np.arange(SPEECH_STEPS) * tempo, need - 2)
            low = at.astype(int)
            share = (at - low).astype(np.float32)[:, None]
            bands = bands[low] * (1 - share) + bands[low + 1] * share
            curves = curves[low] * (1 - share) + curves[low + 1] * share
            visemes = visemes[np.rint(at).astype(int)]
        bands, visemes, curves = bands[:SPEECH_STEPS], visemes[:SPEECH_STEPS], curves[:SPEECH_STEPS]
        if rng.random() < 0.8:
            bands = bands @ self._warps[rng.integers(len(self._warps))]
        if rng.random() < 0.3:  # a room with more or less contrast over time
            mean = bands.mean(axis=0)
            bands = mean + (bands - mean) * np.float32(rng.uniform(0.85, 1.15))
        if rng.random() < 0.8:
            bands = bands + _knots(rng, 4.0) * _UNIT
        if rng.random() < 0.3:
            bands = _room(bands, rng)
        speech_db = float(np.percentile(bands[:, : logmel.MEL_BANDS], 90))
        if (chance := rng.random()) < 0.3:
            bands = _sum(bands, self._other(chance < 0.12, speech_db - rng.uniform(4, 25)))
        if rng.random() < 0.08:
            bands = bands + _telephone(rng) * _UNIT
        if rng.random() < 0.04:  # no speech
            bands, visemes, curves = (
                self._sounds[rng.integers(SOUNDS)],
                np.full_like(visemes, SILENCE),
                np.zeros_like(curves),
            )
        elif rng.random() < 0.7:
            floor_db = (
                _knots(rng, 5.0)
                + speech_db
                - rng.uniform(12, 45)
                + 2.0 * rng.normal(size=(len(bands), BANDS)).astype(np.float32)
            )
            bands = _sum(bands, floor_db * _UNIT)
        return bands, visemes, curves

    def _other(self, voices: bool, level_db: float) -> NDArray[np.float32]:
        """Return music or noise, or three voices at once if `voices`, at a level, (SPEECH_STEPS, BANDS)."""
        rng = self._rng
        if not voices:
            other = self._sounds[rng.integers(SOUNDS)]
        else:
            several = [self._next(int(rng.integers(len(self._voices)))).bands.astype(np.float32) for _ in range(3)]
            other = np.resize(several[0], (SPEECH_STEPS, BANDS))
            for more in several[1:]:
                other = _sum(other, np.resize(more, (SPEECH_STEPS, BANDS)))
        return other + (level_db - float(np.percentile(other[:, : logmel.MEL_BANDS], 90))) * _UNIT

    def batch(
        self, size: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
        """Return (features (size, CHUNK_STEPS, WIDTH), visemes, curves, weight) of chunks, two from each speech. The
        first WARM_STEPS of the second chunk have the weight 0.
        """
        speeches = [self._speech() for _ in range(size // 2)]
        x = features_of(np.stack([bands for bands, _, _ in speeches]))
        v = np.stack([visemes for _, visemes, _ in speeches]).astype(np.int64)
        c = np.stack([curves for _, _, curves in speeches])
        self._mask(x)
        halves = slice(0, CHUNK_STEPS), slice(SPEECH_STEPS - CHUNK_STEPS, SPEECH_STEPS)
        weight = np.ones((size, CHUNK_STEPS), np.float32)
        weight[size // 2 :, :WARM_STEPS] = 0
        return *(np.concatenate([array[:, half] for half in halves]) for array in (x, v, c)), weight

    def _mask(self, x: NDArray[np.float32]) -> None:
        """Set some bands and some frames to 0, in some chunks (Park et al. 2019)."""
        rng = self._rng
        for row in x:
            if rng.random() < 0.5:
                first = int(rng.integers(0, MEL - 7))
                row[:, first : first + int(rng.integers(2, 7))] = 0
            for _ in range(int(rng.integers(0, 3))):
                first = int(rng.integers(0, len(row) - 6))
                row[first : first + int(rng.integers(1, 5)), :MEL] = 0


assert SILENCE == 0
