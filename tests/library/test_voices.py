"""The voice clips are what they claim: format, length, level, silent edges, no clicks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from visavis.library import GREETING, SAMPLE

CLIPS = pytest.mark.parametrize(
    ("path", "shortest_s", "longest_s"), [(GREETING, 4.0, 6.0), (SAMPLE, 8.0, 10.0)], ids=["greeting", "sample"]
)


def read(path: Path) -> tuple[NDArray[np.float64], int]:
    samples, sample_rate_hz = soundfile.read(path, dtype="float64")
    return samples, sample_rate_hz


@CLIPS
def test_clips_are_mono_pcm16_of_the_promised_length(path: Path, shortest_s: float, longest_s: float) -> None:
    about = soundfile.info(path)
    assert (about.channels, about.subtype, about.format) == (1, "PCM_16", "WAV")
    assert about.samplerate >= 16000
    assert shortest_s <= about.duration <= longest_s


@CLIPS
def test_clips_have_one_level_and_headroom(path: Path, shortest_s: float, longest_s: float) -> None:
    samples, _ = read(path)
    assert 20 * np.log10(np.sqrt(np.mean(samples**2))) == pytest.approx(-20, abs=1)
    assert 20 * np.log10(np.abs(samples).max()) < -3


@CLIPS
def test_clips_begin_and_end_in_silence_without_a_click(path: Path, shortest_s: float, longest_s: float) -> None:
    samples, sample_rate_hz = read(path)
    loud_s = np.flatnonzero(np.abs(samples) > 0.01) / sample_rate_hz
    assert 0.1 <= loud_s[0] <= 0.25
    assert 0.1 <= len(samples) / sample_rate_hz - loud_s[-1] <= 0.25
    edge = sample_rate_hz // 10
    assert not samples[:edge].any() and not samples[-edge:].any()
    assert abs(samples.mean()) < 1e-3
