"""The measurements against made-up performances whose lags, freezes and silences are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from visavis.demo import measure
from visavis.demo.measure import Box


def test_sound_is_found_to_a_fraction_of_a_millisecond_in_noise() -> None:
    chance = np.random.default_rng(1)
    sent = chance.normal(0, 0.1, 48_000).astype(np.float32)
    received = chance.normal(0, 0.02, 96_000).astype(np.float32)
    received[12_345 : 12_345 + 48_000] += sent
    lag = measure.sound_lag(received, sent, 48_000)
    assert lag.seconds == pytest.approx(12_345 / 48_000, abs=1e-4) and lag.likeness > 0.9


def test_sound_that_was_never_sent_is_not_found() -> None:
    chance = np.random.default_rng(2)
    lag = measure.sound_lag(
        chance.normal(0, 0.1, 96_000).astype(np.float32), chance.normal(0, 0.1, 48_000).astype(np.float32), 48_000
    )
    assert lag.likeness < 0.2
    assert measure.sound_lag(np.zeros(96_000, np.float32), np.ones(48_000, np.float32), 48_000).likeness == 0.0


@pytest.mark.parametrize("lag_s", [3.0, 3.017, 3.243, 2.75])
def test_lips_are_placed_within_a_few_milliseconds_by_25_pictures_a_second(lag_s: float) -> None:
    chance = np.random.default_rng(3)
    expected = np.convolve(chance.random(900), np.hanning(15), "same").astype(np.float32)  # syllables, smoothed
    times_s = np.arange(0, 14, 0.04)
    shown = np.interp(times_s - lag_s, np.arange(900) / 100, expected, left=0, right=0)
    distance = (3 * shown + chance.normal(0, 0.3, len(shown))).astype(np.float32)
    lag = measure.lips_lag(times_s, distance, expected, around_s=3.0)
    assert lag.seconds == pytest.approx(lag_s, abs=0.006) and lag.likeness > 0.9


def test_a_mouth_that_moves_is_far_and_a_head_that_moves_is_not() -> None:
    chance = np.random.default_rng(4)
    scene = cv2.GaussianBlur(chance.integers(0, 255, (260, 260)).astype(np.uint8), (0, 0), 3)
    face = Box(left=60, top=60, width=120, height=120)
    still, nodded, speaking = scene[10:250, 10:250].copy(), scene[13:253, 8:248].copy(), scene[10:250, 10:250].copy()
    mouth = measure.mouth_of(face)
    cv2.ellipse(speaking, (mouth.left + mouth.width // 2, mouth.top + mouth.height // 2), (25, 12), 0, 0, 360, 20, -1)
    at_rest, head_only, open_mouth = measure.mouth_distance(np.stack([still, nodded, speaking]), slice(0, 1), face)
    assert at_rest == 0 and head_only < 3 and open_mouth > 4 * head_only
    often = measure.mouth_distance(np.stack([still] + [nodded] * 100), slice(0, 1), face)
    assert often[1:] == pytest.approx(head_only, abs=0.01)  # the hundredth picture is measured like the first


def test_a_picture_without_a_face_has_none() -> None:
    assert measure.find_face(np.full((512, 512), 90, np.uint8)) is None


def test_the_last_sound_and_the_beginning_of_rest() -> None:
    times_s = np.arange(48_000) / 48_000
    samples = np.zeros(48_000, np.float32)
    samples[:9_600] = 0.2
    assert measure.last_audible_s(times_s, samples, 48_000) == pytest.approx(0.2, abs=0.01)
    assert measure.last_audible_s(times_s, samples * 0, 48_000) is None
    pictures_s = np.arange(10) * 0.04
    moving = np.array([5, 5, 5, 5, 5, 1, 1, 5, 1, 1], np.float32)
    assert measure.rest_begins_s(pictures_s, moving, 2, after_s=0.1) == pytest.approx(0.32)
    assert measure.rest_begins_s(pictures_s, moving, 0.5, after_s=0.1) is None
    assert measure.rest_begins_s(pictures_s, moving, 9, after_s=0.1) == pytest.approx(0.12)


def test_freezes_are_gaps_as_the_w3c_counts_them() -> None:
    arrivals_s = np.concatenate([np.arange(10) * 0.04, 0.36 + 0.3 + np.arange(5) * 0.04])
    assert measure.freezes(arrivals_s) == [pytest.approx(0.3)]
    assert measure.freezes(np.arange(10) * 0.04) == [] and measure.freezes(np.zeros(1)) == []
