"""What is heard of level, pitch and stress."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from visavis.engine.audio.files import to_pcm16
from visavis.engine.audio.mel import MEL_FILTERS, NATS_TO_DB, MelStream, RunningNorm, log_bands, spectra_of
from visavis.engine.audio.prosody import pitches_of

from .conftest import move


def tone(rate_hz: int, seconds: float = 1.0, hz: float = 440.0) -> NDArray[np.float32]:
    samples: NDArray[np.float32] = (0.5 * np.sin(2 * np.pi * hz * np.arange(int(rate_hz * seconds)) / rate_hz)).astype(
        np.float32
    )
    return samples


def buzz(hz: float, seconds: float = 0.5) -> NDArray[np.int16]:
    t = np.arange(int(16_000 * seconds)) / 16_000
    return to_pcm16(0.1 * np.sum([np.sin(2 * np.pi * hz * h * t) / h for h in range(1, 12)], axis=0))


@pytest.mark.parametrize("hz", [100.0, 120.0, 180.0, 260.0, 350.0])
def test_pitch_is_heard_within_three_percent(hz: float) -> None:
    heard = pitches_of(spectra_of(buzz(hz))[5:-5])
    assert abs(np.median(heard) / hz - 1) < 0.03


def test_noise_has_no_pitch() -> None:
    noise = np.random.default_rng(1).normal(0, 3000, 16_000).astype(np.int16)
    assert np.mean(np.array(pitches_of(spectra_of(noise))) > 0) < 0.1


def test_a_louder_and_higher_syllable_is_heard_as_stress() -> None:
    pause = np.zeros(1_280, np.int16)
    syllables = [
        buzz(120, 0.12) // 8,
        buzz(120, 0.12) // 8,
        buzz(150, 0.16),
        buzz(120, 0.12) // 8,
        buzz(115, 0.12) // 8,
    ]
    motion = move(np.concatenate([part for syllable in syllables for part in (syllable, pause)]))
    assert motion.loudness[44:54].mean() > motion.loudness[20:30].mean() > 0
    assert motion.stress[40:62].max() > 2 * motion.stress[70:].max()


def test_features_do_not_depend_on_level_or_direct_current() -> None:
    speech = buzz(110).astype(np.float32) * (0.6 + 0.4 * np.sin(np.arange(8_000) / 900.0))

    def features(pcm: NDArray[np.floating]) -> NDArray[np.float32]:
        return RunningNorm().take(log_bands(spectra_of(pcm.astype(np.int16)), MEL_FILTERS.T) * NATS_TO_DB)[0]

    plain, quiet, shifted = features(speech), features(speech * 0.1), features(speech + 3_000)
    loud = plain > 0.3  # what quantisation does not reach
    assert np.abs(plain - quiet)[loud].mean() < 0.02
    assert np.abs(plain - shifted)[20:][loud[20:]].mean() < 0.05


def test_the_stream_hears_the_frames_of_the_whole() -> None:
    pcm = buzz(140)[:4_000]
    stream = MelStream()
    steps = [pcm[k : k + 160].astype(np.float32) / np.float32(32768) for k in range(0, 4_000, 160)]
    heard = np.concatenate([stream.take(step) for step in steps])
    assert len(heard) == len(steps) - 1
    assert np.array_equal(heard, spectra_of(pcm)[: len(heard)])
