"""What a lip-reader looks for, on speech with known phones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.frame import INDEX, SpeechMotion
from visavis.engine.speech.mouth_shaper import MouthShaper
from visavis.engine.speech.network import OUTPUTS
from visavis.engine.speech.phones import CLASS_INDEX

from .conftest import Say, move

OPEN_VOWELS = {"AA", "AE", "AY", "AW"}
SENTENCES = (
    "Bob may buy a map, a pipe and a bamboo mat.",
    "Mum put the big brown box above the apple.",
    "My father was a very happy man, and far above average.",
    "You choose a new blue moon, and we move to the roof.",
)
VOICES = ("slt", "rms")  # rms is never heard in training


def apart(motion: SpeechMotion) -> NDArray[np.float32]:
    return motion.mouth[:, INDEX["jawOpen"]] - motion.mouth[:, INDEX["mouthClose"]]


def rows(motion: SpeechMotion, start_s: float, end_s: float) -> slice:
    return slice(max(0, int(start_s * 100)), min(len(motion), max(int(start_s * 100) + 1, int(end_s * 100))))


def test_lips_close_for_bilabials_and_open_for_vowels(say: Say) -> None:
    closed, opened, shut = [], [], []
    for voice in VOICES:
        for text in SENTENCES:
            pcm, phones = say(voice, text)
            motion = move(pcm)
            gap = apart(motion)
            p90 = np.percentile(gap[motion.rest < 0.5], 90)
            for a, b, phone in phones:
                if phone in {"P", "B", "M"}:
                    closed.append(gap[rows(motion, a - 0.03, b + 0.03)].min() <= 0.2 * p90)
                if phone in OPEN_VOWELS and b - a > 0.07:
                    opened.append(gap[rows(motion, a, b + 0.03)].max() >= 0.6 * p90)
                    shut.append(gap[rows(motion, a + (b - a) / 4, b - (b - a) / 4)].min() <= 0.2 * p90)
    assert len(closed) > 40 and np.mean(closed) >= 0.8, np.mean(closed)
    assert len(opened) > 15 and np.mean(opened) >= 0.85, np.mean(opened)
    assert np.mean(shut) <= 0.1, np.mean(shut)


def test_a_complete_closure_lasts_at_least_one_frame_of_video(say: Say) -> None:
    motion = move(say("slt", SENTENCES[0])[0])
    # at rest lips are closed anyway
    shut = (motion.mouth[:, INDEX["mouthClose"]] >= motion.mouth[:, INDEX["jawOpen"]] - 1e-4) & (motion.rest < 1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], shut, [False]]).astype(int)))
    lengths = edges[1::2] - edges[::2]
    assert len(lengths) >= 5 and (lengths >= 4).all(), lengths


def heard_classes(*row: tuple[str, int]) -> NDArray[np.float32]:
    """Return what the network would say of classes heard for sure, each for so many steps."""
    heard = np.zeros((sum(steps for _, steps in row), OUTPUTS), np.float32)
    at = 0
    for name, steps in row:
        heard[at : at + steps, CLASS_INDEX[name]] = 1
        at += steps
    return heard


def test_a_diphthong_stays_open_longer_than_its_second_half_alone() -> None:
    glide = MouthShaper().take(heard_classes(("AA", 12), ("UW", 8)), [1.0] * 20)[0]
    alone = MouthShaper().take(heard_classes(("KK", 12), ("UW", 8)), [1.0] * 20)[0]
    jaw = INDEX["jawOpen"]
    assert glide[13][jaw] > 1.2 * alone[13][jaw]


def test_the_quiet_of_a_stop_does_not_begin_to_rest_the_mouth_and_a_pause_does() -> None:
    heard = heard_classes(("AA", 20), ("SIL", 40), ("AA", 10))
    mouths, rests = MouthShaper().take(heard, [1.0] * 20 + [0.0] * 40 + [1.0] * 10)
    assert rests[19] == rests[25] == 0.0
    assert rests[40] == 1.0 and not any(mouths[40])
    assert 0.0 < rests[30] < 1.0


def test_lips_round_for_rounded_vowels_and_not_for_spread_ones(say: Say) -> None:
    rounding: dict[str, list[float]] = {"round": [], "spread": []}
    for voice in VOICES:
        for text in (SENTENCES[3], "He sees the green tree, and she eats these three sweets."):
            pcm, phones = say(voice, text)
            motion = move(pcm)
            puckered = motion.mouth[:, INDEX["mouthPucker"]] + motion.mouth[:, INDEX["mouthFunnel"]]
            for a, b, phone in phones:
                kind = "round" if phone in {"UW", "W"} else "spread" if phone in {"IY", "EY"} else None
                if kind and b - a > 0.05:
                    rounding[kind].append(float(puckered[rows(motion, a, b)].mean()))
    assert np.mean(rounding["round"]) > 2.5 * np.mean(rounding["spread"]), {k: np.mean(v) for k, v in rounding.items()}


def test_lip_and_teeth_touch_for_labiodentals(say: Say) -> None:
    touched = []
    for voice in VOICES:
        pcm, phones = say(voice, "Five of the very fine waves have never left the foggy valley.")
        motion = move(pcm)
        touched += [
            motion.mouth[rows(motion, a - 0.02, b + 0.02), INDEX["mouthRollLower"]].max() > 0.4
            for a, b, phone in phones
            if phone in {"F", "V"}
        ]
    assert np.mean(touched) >= 0.6, np.mean(touched)


def test_level_hardly_changes_the_lips(say: Say) -> None:
    pcm, _ = say("slt", SENTENCES[2])
    loud = apart(move(pcm))
    quiet = apart(move((pcm.astype(np.float32) * 0.06).astype(np.int16)))
    assert np.corrcoef(loud, quiet)[0, 1] > 0.9
    assert 0.7 < quiet.max() / loud.max() < 1.3


def test_lips_rest_before_between_and_after_sentences(say: Say) -> None:
    pcm, _ = say("slt", "Hello, Bob.")
    quiet = np.zeros(16_000, np.int16)
    motion = move(np.concatenate([quiet, pcm, quiet, pcm, quiet]))
    for start_s in (0.0, 1.0 + len(pcm) / 16_000, 2.0 + 2 * len(pcm) / 16_000):
        part = motion.mouth[rows(motion, start_s + 0.3, start_s + 0.9)]
        assert len(part) and not part.any()


def chords(seconds: float) -> NDArray[np.int16]:
    """Return decaying chords with harmonics, two a second."""
    rng = np.random.default_rng(7)
    x = np.zeros(int(seconds * 16_000))
    for start in range(0, len(x), 8_000):
        t = np.arange(min(12_000, len(x) - start)) / 16_000
        for semitone in rng.choice([0, 3, 7, 10, 12, 15], 3, replace=False):
            hz = 196 * 2 ** (semitone / 12)
            x[start : start + len(t)] += np.exp(-3 * t) * sum(
                np.sin(2 * np.pi * hz * h * t) / h**1.5 for h in range(1, 8)
            )
    pcm: NDArray[np.int16] = (x / np.abs(x).max() * 12_000).astype(np.int16)
    return pcm


def test_music_alone_moves_the_lips_much_less_than_speech(say: Say) -> None:
    speech = apart(move(say("slt", SENTENCES[2])[0]))
    music = apart(move(chords(6.0)))
    assert music.mean() < 0.4 * speech.mean(), (music.mean(), speech.mean())


def test_noise_alone_hardly_moves_the_lips(say: Say) -> None:
    speech = apart(move(say("slt", SENTENCES[2])[0]))
    noise = apart(move(np.random.default_rng(2).normal(0, 2_000, 64_000).astype(np.int16)))
    assert noise[50:].mean() < 0.2 * speech.mean(), (noise[50:].mean(), speech.mean())


def test_a_whisper_still_moves_the_lips(say: Say) -> None:
    pcm, _ = say("slt", SENTENCES[0])
    rng = np.random.default_rng(4)
    spectra = np.lib.stride_tricks.sliding_window_view(np.pad(pcm.astype(np.float64), 256), 512)[::128] * np.hanning(
        512
    )
    # the voice's periods are gone
    noisy = np.fft.irfft(np.abs(np.fft.rfft(spectra)) * np.exp(2j * np.pi * rng.random((len(spectra), 257))))
    whisper = np.zeros(len(spectra) * 128 + 512)
    for k, frame in enumerate(noisy):
        whisper[k * 128 : k * 128 + 512] += frame * np.hanning(512)
    voiced, whispered = apart(move(pcm)), apart(move((whisper / np.abs(whisper).max() * 1_500).astype(np.int16)))
    assert whispered.max() > 0.5 * voiced.max()
    assert whispered.std() > 0.5 * voiced.std()
