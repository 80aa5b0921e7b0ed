"""Speech as it may come: clipped, shouted, whispered, over the telephone, with music behind it; and sounds that are no
speech. No jaw may chatter.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from training import eval_sounds
from training.evaluate import proxy_gap
from visavis.engine.motion.frame import INDEX, MOUTH_COUNT, SpeechMotion

from .conftest import Say, move

TEXTS = ("Bob may buy a map, a pipe and a bamboo mat.", "My father was a very happy man, and far above average.")
# How alike the opening must be to the clean one's course. Whisper has no voice to hear; clipping, and music as loud as
# that, hide consonants.
ALIKE = {"with a DC offset": 0.9, "very soft (-50 dBFS)": 0.75, "whispered": 0.5, "music 5 dB below": 0.5}
USUALLY_ALIKE = 0.6


@pytest.fixture(scope="module")
def clean(say: Say) -> tuple[NDArray[np.int16], SpeechMotion]:
    pcm = np.concatenate([say("rms", text)[0] for text in TEXTS])
    return pcm, move(pcm)


@pytest.mark.parametrize("name", list(eval_sounds.DISTORTIONS))
def test_distorted_speech_moves_the_lips_much_as_clean_speech_does(
    clean: tuple[NDArray[np.int16], SpeechMotion], name: str
) -> None:
    pcm, usual = clean
    motion = move(eval_sounds.distorted(pcm, eval_sounds.DISTORTIONS[name]))
    for rows in (motion.mouth, motion.rest, motion.loudness, motion.stress):
        assert np.isfinite(rows).all() and rows.min() >= 0 and rows.max() <= 1
    alike = float(np.corrcoef(proxy_gap(motion), proxy_gap(usual))[0, 1])
    assert alike >= ALIKE.get(name, USUALLY_ALIKE), alike
    assert 0.5 <= eval_sounds.opening(motion) / eval_sounds.opening(usual) <= 1.4
    assert eval_sounds.jaw_turns_per_s(motion) <= 1.35 * eval_sounds.jaw_turns_per_s(usual) + 1


@pytest.mark.parametrize("name", ["silence", "hiss", "music", "a cough"])
def test_what_is_no_speech_moves_the_lips_hardly_or_never_quickly(
    clean: tuple[NDArray[np.int16], SpeechMotion], name: str
) -> None:
    _, usual = clean
    motion = move(eval_sounds.alone()[name])
    if name == "silence":
        assert not motion.mouth.any()
    share = eval_sounds.opening(motion) / eval_sounds.opening(usual)
    assert share <= (0.6 if name == "a cough" else 0.35), share  # a mouth may open to cough
    assert eval_sounds.jaw_turns_per_s(motion) <= 0.6 * eval_sounds.jaw_turns_per_s(usual)


def test_a_jaw_that_chatters_is_counted_as_one() -> None:
    steps = np.arange(200)
    still = SpeechMotion(mouth=np.zeros((200,
    MOUTH_COUNT), np.float32), rest=np.zeros(200, np.float32), loudness=np.zeros(200, np.float32),
                         pitch_hz=np.zeros(200, np.float32), stress=np.zeros(200, np.float32))  # fmt: skip
    assert eval_sounds.jaw_turns_per_s(still) == 0
    for hz in (3, 8):
        still.mouth[:, INDEX["jawOpen"]] = 0.2 + 0.2 * np.sin(2 * np.pi * hz * steps / 100)
        assert eval_sounds.jaw_turns_per_s(still) == pytest.approx(2 * hz, abs=1)
