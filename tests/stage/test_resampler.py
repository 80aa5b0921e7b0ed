from __future__ import annotations

import numpy as np
import pytest

from visavis.stage.resampler import Resampler

PAIRS = [
    (8000, 48000),
    (16000, 48000),
    (24000, 16000),
    (24000, 48000),
    (44100, 16000),
    (44100, 48000),
    (48000, 16000),
    (12345, 48000),
]


@pytest.mark.parametrize(("rate_in_hz", "rate_out_hz"), PAIRS)
def test_a_tone_keeps_its_pitch_level_and_phase(rate_in_hz: int, rate_out_hz: int) -> None:
    pcm = (np.sin(2 * np.pi * 1000 * np.arange(rate_in_hz) / rate_in_hz) * 8000).astype(np.int16)
    resampler = Resampler(rate_in_hz, rate_out_hz)
    out = np.concatenate([resampler.push(pcm), resampler.finish()])
    assert len(out) == rate_out_hz
    expected = np.sin(2 * np.pi * 1000 * np.arange(rate_out_hz) / rate_out_hz) * 8000
    assert np.abs(out - expected)[300:-300].max() < 8


@pytest.mark.parametrize(("rate_in_hz", "rate_out_hz"), PAIRS)
def test_the_output_does_not_depend_on_how_the_input_is_divided(rate_in_hz: int, rate_out_hz: int) -> None:
    pcm = np.random.default_rng(3).integers(-9000, 9000, 5000).astype(np.int16)
    whole = Resampler(rate_in_hz, rate_out_hz)
    at_once = np.concatenate([whole.push(pcm), whole.finish()])
    divided = Resampler(rate_in_hz, rate_out_hz)
    parts = [divided.push(part) for part in np.split(pcm, [1, 2, 17, 300, 301, 2999])]
    assert np.array_equal(np.concatenate([*parts, divided.finish()]), at_once)


@pytest.mark.parametrize(("rate_in_hz", "rate_out_hz"), PAIRS)
def test_the_delay_is_at_most_2_ms(rate_in_hz: int, rate_out_hz: int) -> None:
    resampler = Resampler(rate_in_hz, rate_out_hz)
    given = len(resampler.push(np.zeros(rate_in_hz // 10, np.int16)))
    assert 0.1 - given / rate_out_hz <= 0.0021


def test_frequencies_above_the_lower_nyquist_frequency_are_removed() -> None:
    pcm = (np.sin(2 * np.pi * 11_000 * np.arange(48_000) / 48_000) * 8000).astype(np.int16)
    out = Resampler(48_000, 16_000).push(pcm)
    assert np.abs(out[300:]).max() < 10
