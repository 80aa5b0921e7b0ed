"""The stream keeps the port's promises, whatever the samples are."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from visavis.engine.motion.frame import INDEX, SpeechMotion
from visavis.engine.speech.port import LOOK_AHEAD_STEPS
from visavis.engine.speech.stream import SpeechStream

from .conftest import move


def murmur(seconds: float, seed: int = 3) -> NDArray[np.int16]:
    """Return something between a vowel and a noise that moves the lips: a buzz through moving formants."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * 16_000)) / 16_000
    buzz = sum(np.sin(2 * np.pi * 120 * h * t) / h for h in range(1, 30))
    x = buzz * (0.5 + 0.5 * np.sin(2 * np.pi * 4 * t)) + 0.02 * rng.normal(size=len(t))
    pcm: NDArray[np.int16] = (x / np.abs(x).max() * 12_000).astype(np.int16)
    return pcm


def same(a: SpeechMotion, b: SpeechMotion) -> bool:
    return all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for name in ("mouth", "rest", "loudness", "pitch_hz", "stress")
    )


WHOLE = murmur(1.5)[:-77]
EXPECTED = move(WHOLE, len(WHOLE))


@given(st.lists(st.integers(0, 4000), min_size=1, max_size=12))
@settings(max_examples=12, deadline=None)
def test_rows_are_bit_identical_however_the_speech_is_cut(pieces: list[int]) -> None:
    stream, parts, at = SpeechStream(), [], 0
    for piece in [*pieces, len(WHOLE)]:
        parts.append(stream.push(WHOLE[at : at + piece]))
        at += piece
    assert same(SpeechMotion.concatenate([*parts, stream.finish()]), EXPECTED)


@pytest.mark.parametrize("count", [0, 1, 159, 160, 161, 960, 1119, 1120, 1121, 5000])
def test_there_is_one_row_for_every_begun_step(count: int) -> None:
    stream = SpeechStream()
    pushed = stream.push(WHOLE[:count])
    assert len(pushed) == max(0, count // 160 - LOOK_AHEAD_STEPS)
    assert len(pushed) + len(stream.finish()) == -(-count // 160)


def test_a_reset_stream_is_a_new_one() -> None:
    stream = SpeechStream()
    stream.push(murmur(0.7, seed=9))
    stream.finish()
    stream.reset()
    assert same(SpeechMotion.concatenate([stream.push(WHOLE), stream.finish()]), EXPECTED)


@pytest.mark.parametrize("level", [0, 1, 3])
def test_silence_is_exactly_the_rest_mouth(level: int) -> None:
    noise = np.random.default_rng(1).integers(-level, level + 1, 32_000).astype(np.int16)
    motion = move(noise)
    assert not motion.mouth.any()
    assert (motion.rest == 1).all()


def _odd_inputs() -> dict[str, NDArray[np.int16]]:
    rng = np.random.default_rng(5)
    tone = murmur(1.0).astype(np.int32)
    return {
        "clipped": np.clip(tone * 20, -32768, 32767).astype(np.int16),
        "full scale square": np.where(np.arange(16_000) % 160 < 80, 32767, -32768).astype(np.int16),
        "direct current": (tone // 4 + 20_000).astype(np.int16),
        "lowest sample throughout": np.full(16_000, -32768, np.int16),
        "white noise": rng.integers(-32768, 32768, 16_000).astype(np.int16),
        "telephone": np.repeat(tone[::2], 2)[:16_000].astype(np.int16),
        "one click": np.concatenate(
            [np.zeros(8000, np.int16), np.array([32767, -32768], np.int16), np.zeros(8000, np.int16)]
        ),
    }


@pytest.mark.parametrize("name", list(_odd_inputs()))
def test_odd_sound_gives_finite_coefficients_in_range(name: str) -> None:
    motion = move(_odd_inputs()[name])
    for rows in (motion.mouth, motion.rest, motion.loudness, motion.stress):
        assert np.isfinite(rows).all() and rows.min() >= 0 and rows.max() <= 1
    assert np.isfinite(motion.pitch_hz).all()
    assert (motion.mouth[:, INDEX["mouthClose"]] <= motion.mouth[:, INDEX["jawOpen"]] + 1e-6).all()


def test_direct_current_alone_is_silence() -> None:
    motion = move(np.full(32_000, 9000, np.int16))
    assert not motion.mouth[50:].any()


def test_cost_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    speech = murmur(4.0)
    began = time.process_time()
    motion = move(speech, 320)
    with capsys.disabled():
        print(
            f"\nspeech-to-motion: {(time.process_time() - began) / 4.0 * 1000:.1f} ms of CPU for a second of "
            f"speech, in pieces of 20 ms"
        )
    assert len(motion) == 400
