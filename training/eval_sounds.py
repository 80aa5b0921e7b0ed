"""Test sounds other than clean speech: distorted speech, speech with other sounds behind it, and sounds without speech.

All are made from clean speech or synthesised, with fixed seeds, at 16 kHz.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import soxr
from numpy.typing import NDArray

from visavis.engine.audio.files import to_pcm16
from visavis.engine.audio.mel import RATE_HZ
from visavis.engine.motion.frame import INDEX, SpeechMotion

from .evaluate import proxy_gap
from .g711 import g711
from .speaker import reshape_voice

Samples = NDArray[np.float32]
Pcm = NDArray[np.int16]

_TURN = 0.05  # smaller movements of the jaw do not count
_NOTES_HZ = (196.0, 220.0, 246.9, 293.7, 329.6, 392.0, 440.0, 493.9)


def song(count: int, rng: np.random.Generator) -> Samples:
    """Return a melody with chords, a bass and drums."""
    x = np.zeros(count + RATE_HZ, np.float32)
    beat = RATE_HZ * 60 // 110
    for k, start in enumerate(range(0, count, beat // 2)):
        t = np.arange(beat) / RATE_HZ
        voices = [(float(rng.choice(_NOTES_HZ)) * 2, 0.5, 4.0)]
        if k % 4 == 0:
            voices += [(float(f), 0.25, 1.5) for f in rng.choice(_NOTES_HZ, 3, replace=False)] + [
                (float(rng.choice(_NOTES_HZ[:3])) / 2, 0.6, 3.0)
            ]
        for hz, loud, fall in voices:
            note = sum(np.sin(2 * np.pi * hz * h * t) / h**1.3 for h in range(1, 9) if hz * h < 7600)
            x[start : start + beat] += (loud * np.exp(-fall * t) * np.minimum(1, t * 200) * note).astype(np.float32)
        hit = np.arange(2400) / RATE_HZ
        drum = (
            np.sin(2 * np.pi * 60 * hit) * np.exp(-25 * hit)
            if k % 4 == 0
            else 0.5 * rng.normal(size=2400) * np.exp(-40 * hit)
        )
        x[start : start + 2400] += (0.8 * drum).astype(np.float32)
    return x[:count]


def cough(rng: np.random.Generator) -> Samples:
    """Return two coughs: bursts of breath through an open throat, one second each."""
    out = []
    for _ in range(2):
        t = np.arange(RATE_HZ) / RATE_HZ
        rise = np.minimum(1, t / 0.012) * (np.exp(-t / 0.045) + 0.25 * np.exp(-(((t - 0.22) / 0.06) ** 2)))
        noise = np.fft.rfft(rng.normal(size=RATE_HZ))
        hz = np.fft.rfftfreq(RATE_HZ, 1 / RATE_HZ)
        formed = sum(
            np.exp(-(((hz - f) / w) ** 2)) * a
            for f, w, a in ((650, 250, 1.0), (1400, 350, 0.6), (2600, 500, 0.4), (4500, 1500, 0.2))
        )
        out.append(np.fft.irfft(noise * formed, RATE_HZ) * rise)
    x = np.concatenate(out)
    return (0.5 * x / np.abs(x).max()).astype(np.float32)


def behind(x: Samples, other: Samples, snr_db: float) -> Samples:
    level = np.sqrt(np.mean(x**2)) / (np.sqrt(np.mean(other**2)) + 1e-9) * 10 ** (-snr_db / 20)
    return (x + other * level).astype(np.float32)


def _telephone(x: Samples) -> Samples:
    low = soxr.resample(x, RATE_HZ, 8000)
    spectrum, hz = np.fft.rfft(low), np.fft.rfftfreq(len(low), 1 / 8000)
    spectrum[(hz < 300) | (hz > 3400)] = 0
    return soxr.resample(g711(np.fft.irfft(spectrum, len(low)).astype(np.float32), a_law=True), 8000, RATE_HZ)


def _whisper(x: Samples) -> Samples:
    y = reshape_voice(x, formants=1.03, tilt_db=0.0, whisper=True, rng=np.random.default_rng(3))
    return (0.1 * y / np.abs(y).max()).astype(np.float32)


def _shout(x: Samples) -> Samples:
    y = reshape_voice(x, formants=1.06, tilt_db=6.0, whisper=False, rng=np.random.default_rng(3))
    return np.tanh(3 * y / np.abs(y).max()).astype(np.float32)


# The distortions, by their names in the table.
DISTORTIONS: dict[str, Callable[[Samples], Samples]] = {
    "clipped by 18 dB": lambda x: np.clip(8 * x / np.abs(x).max(), -1, 1),
    "with a DC offset": lambda x: 0.5 * x / np.abs(x).max() + np.float32(0.3),
    "very soft (-50 dBFS)": lambda x: 10 ** (-50 / 20) * x / np.abs(x).max(),
    "telephone (8 kHz, A-law)": _telephone,
    "shouted": _shout,
    "whispered": _whisper,
    "music 10 dB below": lambda x: behind(x, song(len(x), np.random.default_rng(4)), 10),
    "music 5 dB below": lambda x: behind(x, song(len(x), np.random.default_rng(4)), 5),
    "hiss 10 dB below": lambda x: behind(x, np.random.default_rng(5).normal(size=len(x)).astype(np.float32), 10),
}


def alone() -> dict[str, Pcm]:
    """Return sounds without speech, by name; at least four seconds of each."""
    rng = np.random.default_rng(6)
    second = RATE_HZ
    noise = rng.normal(size=4 * second).astype(np.float32)
    quiet = np.zeros(second, np.float32)
    return {
        "silence": np.zeros(4 * second, np.int16),
        "hiss": to_pcm16(0.1 * noise),
        "music": to_pcm16(0.2 * song(8 * second, rng)),
        "a cough": to_pcm16(np.concatenate([quiet, cough(rng), quiet])),
    }


def distorted(pcm: Pcm, change: Callable[[Samples], Samples]) -> Pcm:
    return to_pcm16(change(pcm.astype(np.float32) / 32768.0))


def jaw_turns_per_s(motion: SpeechMotion) -> float:
    """Return how often per second the jaw changes its direction, counting movements of 0.05 and more. A chattering jaw
    does so far more often than a speaking one.
    """
    turns, goal, extreme = 0, 0, 0.0
    for value in motion.mouth[:, INDEX["jawOpen"]] - motion.mouth[:, INDEX["mouthClose"]]:
        if goal >= 0 and value < extreme - _TURN:
            turns, goal, extreme = turns + (goal > 0), -1, float(value)
        elif goal <= 0 and value > extreme + _TURN:
            turns, goal, extreme = turns + (goal < 0), 1, float(value)
        else:
            extreme = max(extreme, float(value)) if goal > 0 else min(extreme, float(value)) if goal < 0 else extreme
    return turns / max(0.01, len(motion) / 100)


def opening(motion: SpeechMotion) -> float:
    """Return the root mean square of the gap: how much the mouth opens on the whole."""
    return float(np.sqrt(np.mean(proxy_gap(motion) ** 2)))
