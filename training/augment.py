"""Augmentation: turns one clean voice into many, with another speaker (speaker.py), room, microphone, noise, codec and
level. Samples are float32 at 16 kHz, full scale 1.0.
"""

from __future__ import annotations

import io

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from visavis.engine.audio.files import to_pcm16
from visavis.engine.audio.mel import RATE_HZ
from visavis.engine.speech.articulation import Segment

from .g711 import g711
from .speaker import another_speaker
from .voices import Spoken

Samples = NDArray[np.float32]


def _equalise(x: Samples, rng: np.random.Generator) -> Samples:
    """Simulate a microphone: a smooth gain curve of a few dB, sometimes the band of a telephone."""
    size = 1 << len(x).bit_length()
    spectrum = np.fft.rfft(x, size)
    hz = np.fft.rfftfreq(size, 1 / RATE_HZ)
    knots_hz = np.array([0, 120, 300, 700, 1500, 3000, 5000, 8000])
    gain_db = np.interp(np.log(hz + 50), np.log(knots_hz + 50), rng.normal(0, 4.0, len(knots_hz)))
    gain_db += rng.uniform(-4, 4) * (np.log2((hz + 50) / 1000))  # tilt
    if rng.random() < 0.15:
        low, high = rng.uniform(150, 350), rng.uniform(3200, 4000)
        gain_db -= 24 * np.maximum(0, np.log2(low / (hz + 1))) + 48 * np.maximum(0, np.log2((hz + 1) / high))
    elif rng.random() < 0.3:
        gain_db -= 24 * np.maximum(0, np.log2(rng.uniform(60, 140) / (hz + 1)))
    return np.fft.irfft(spectrum * 10 ** (np.clip(gain_db, -80, 30) / 20), size)[: len(x)].astype(np.float32)


def _reverberate(x: Samples, rng: np.random.Generator) -> Samples:
    """Simulate a room: the direct sound, a few echoes, and a tail of noise that decays by 60 dB in 0.1 to 0.6 s."""
    rt_s = rng.uniform(0.1, 0.6)
    tail = rng.normal(0, 1, int(rt_s * RATE_HZ)) * np.exp(-6.9 * np.arange(int(rt_s * RATE_HZ)) / (rt_s * RATE_HZ))
    tail[: int(rng.uniform(0.001, 0.008) * RATE_HZ)] = 0
    tail *= 10 ** (-rng.uniform(3, 18) / 20) / (np.linalg.norm(tail) + 1e-9)
    tail[0] = 1.0
    for delay_s in rng.uniform(0.002, 0.03, rng.integers(0, 7)):
        tail[int(delay_s * RATE_HZ)] += rng.choice([-1, 1]) * rng.uniform(0.05, 0.4) * np.exp(-delay_s / 0.02)
    size = 1 << (len(x) + len(tail)).bit_length()
    return np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(tail, size), size)[: len(x)].astype(np.float32)


def coloured_noise(count: int, rng: np.random.Generator) -> Samples:
    size = 1 << count.bit_length()
    hz = np.fft.rfftfreq(size, 1 / RATE_HZ)
    spectrum = (rng.normal(size=len(hz)) + 1j * rng.normal(size=len(hz))) * (hz + 40) ** rng.uniform(-1.2, 0.2)
    return np.fft.irfft(spectrum, size)[:count].astype(np.float32)


def music(count: int, rng: np.random.Generator) -> Samples:
    """Return a sound similar to music: chords of notes with harmonics, and beats."""
    x = np.zeros(count, np.float32)
    beat = int(RATE_HZ * rng.uniform(0.15, 0.6))
    for start in range(0, count, beat):
        t = np.arange(min(beat * 2, count - start)) / RATE_HZ
        for _ in range(rng.integers(1, 4)):
            f0 = 110 * 2 ** (rng.integers(0, 36) / 12)
            decay = np.exp(-t * rng.uniform(1, 8))
            for h in range(1, 9):
                if f0 * h < 7500:
                    x[start : start + len(t)] += (
                        decay * np.sin(2 * np.pi * f0 * h * t + rng.uniform(0, 6)) / h ** rng.uniform(0.8, 2)
                    ).astype(np.float32)
        if rng.random() < 0.6:
            n = min(len(t), 1600)
            x[start : start + n] += (rng.normal(size=n) * np.exp(-np.arange(n) / rng.uniform(80, 500))).astype(
                np.float32
            )
    return x


def _rms(x: Samples) -> float:
    return float(np.sqrt(np.mean(x**2) + 1e-12))


def _codec(x: Samples, rng: np.random.Generator) -> Samples:
    if rng.random() < 0.5:  # G.711 at 8 kHz
        back = soxr.resample(g711(soxr.resample(x, RATE_HZ, 8000), a_law=rng.random() < 0.5), 8000, RATE_HZ)
    else:
        box = io.BytesIO()
        soundfile.write(
            box,
            np.clip(x, -1, 1),
            RATE_HZ,
            format="OGG",
            subtype="OPUS",
            compression_level=float(rng.uniform(0.5, 1.0)),
        )
        box.seek(0)
        back, rate = soundfile.read(box, dtype="float32")
        if rate != RATE_HZ:
            back = soxr.resample(back, rate, RATE_HZ)
    out = np.zeros_like(x)
    count = min(len(x), len(back))
    out[:count] = back[:count]
    return out


def augment(spoken: Spoken, rng: np.random.Generator, *, babble: list[NDArray[np.int16]]) -> Spoken:
    """Return the utterance as by another person in another room with another microphone."""
    x = spoken.pcm.astype(np.float32) / 32768.0
    segments = spoken.segments
    x, factor = another_speaker(x, rng)
    lead, trail = int(rng.uniform(0, 0.5) * RATE_HZ), int(rng.uniform(0, 0.5) * RATE_HZ)
    x = np.concatenate([np.zeros(lead, np.float32), x, np.zeros(trail, np.float32)])
    segments = [
        Segment(start_s=s.start_s / factor + lead / RATE_HZ, end_s=s.end_s / factor + lead / RATE_HZ, viseme=s.viseme)
        for s in segments
    ]
    x = x / (np.abs(x).max() + 1e-6) * 0.7
    if rng.random() < 0.8:
        x = _equalise(x, rng)
    if rng.random() < 0.4:
        x = _reverberate(x, rng)
    speech_rms = _rms(x)
    noise = coloured_noise(len(x), rng)
    x = x + noise * (speech_rms / _rms(noise) * 10 ** (-rng.uniform(22, 60) / 20))
    if rng.random() < 0.35:
        kind = rng.random()
        if kind < 0.4:
            other = music(len(x), rng)
        elif kind < 0.75 or not babble:
            other = coloured_noise(len(x), rng)
        else:
            other = sum(
                (np.resize(babble[rng.integers(len(babble))], len(x)).astype(np.float32) for _ in range(4)),
                np.zeros(len(x), np.float32),
            )
        x = x + other * (speech_rms / _rms(other) * 10 ** (-rng.uniform(6, 25) / 20))
    if rng.random() < 0.15:
        x = _codec((x / (np.abs(x).max() + 1e-6)).astype(np.float32), rng)
    x = x / (np.abs(x).max() + 1e-6)
    if rng.random() < 0.05:
        x = np.clip(x * rng.uniform(1.5, 6), -1, 1)
    x = x * 10 ** (rng.uniform(-40, -0.5) / 20)
    if rng.random() < 0.1:
        x = x + rng.uniform(-0.05, 0.05)
    return Spoken(pcm=to_pcm16(x), segments=segments)


def degrade(pcm: NDArray[np.int16], rng: np.random.Generator) -> NDArray[np.int16]:
    """Return speech as from a bad recording or a bad line: clipped hard, coded, or both.

    chunks.py cannot do this to bands.
    """
    x = pcm.astype(np.float32) / 32768.0
    x = x / (np.abs(x).max() + 1e-6)
    kind = rng.random()
    if kind < 0.65:
        x = np.clip(x * 10 ** (rng.uniform(4, 22) / 20), -1, 1)
    if kind > 0.5:
        x = _codec(x, rng)
    return to_pcm16(x * np.float32(10 ** (rng.uniform(-12, -0.5) / 20)))


def no_speech(seconds: float, rng: np.random.Generator) -> Spoken:
    """Return noise or music without speech: the mouth rests."""
    count = int(seconds * RATE_HZ)
    x = (
        music(count, rng)
        if rng.random() < 0.6
        else coloured_noise(count, rng) * (1 + 0.8 * np.sin(np.arange(count) / RATE_HZ * rng.uniform(0.2, 12)))
    )
    x = x / (np.abs(x).max() + 1e-6) * 10 ** (rng.uniform(-40, -1) / 20)
    return Spoken(pcm=to_pcm16(x), segments=[])
