"""Recordings of people on their way into the corpus: found with their words, judged, joined, and made into other
speakers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from training.align import Alignment, fault, phones_of_ipa
from training.g711 import g711
from training.recordings import join, mark_held_out, pieces, recordings_of_folder
from training.speaker import change_tempo, reshape_voice
from training.voices import Spoken
from visavis.engine.speech.articulation import Segment

RATE = 16000


def syllables(count: int = 6) -> NDArray[np.float32]:
    """Return bursts of a buzz with formants, 0.2 s each with 0.2 s of quiet between, from 0.2 s on."""
    t = np.arange(RATE // 5) / RATE
    buzz = sum(
        np.sin(2 * np.pi * 120 * h * t) * np.exp(-(((120 * h - 700) / 300) ** 2)) for h in range(1, 40)
    ) * np.hanning(len(t))
    return np.tile(np.concatenate([np.zeros(RATE // 5), buzz / np.abs(buzz).max()]), count).astype(np.float32)


def centroid_hz(x: NDArray[np.generic]) -> float:
    power = np.abs(np.fft.rfft(x)) ** 2
    return float((power * np.fft.rfftfreq(len(x), 1 / RATE)).sum() / power.sum())


def test_words_lie_beside_the_sound_or_in_a_list(tmp_path: Path) -> None:
    (tmp_path / "wavs").mkdir()
    for name in ("one", "wavs/two", "three", "wordless"):
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(800, np.int16), RATE)
    (tmp_path / "one.txt").write_text("One.\n")
    (tmp_path / "metadata.csv").write_text("two|2|Two.\n")
    (tmp_path / "transcripts.tsv").write_text("three.wav\tThree.\n")
    found = {one.path.stem: one.text for one in recordings_of_folder(tmp_path, "en-us", "me")}
    assert found == {"one": "One.", "two": "Two.", "three": "Three."}
    with pytest.raises(FileNotFoundError):
        recordings_of_folder(tmp_path / "wavs" / "none", "en-us", "me")


def test_sounds_of_any_language_have_an_english_neighbour_and_their_own_mouth() -> None:
    assert [(one.sound, one.classes) for one in phones_of_ipa("ˈaɪ")] == [("AY", ("AA", "IH"))]
    # sounds like a v, and is made with both lips
    assert [(one.sound, one.classes) for one in phones_of_ipa("β")] == [("V", ("PP",))]
    assert [(one.sound, one.classes) for one in phones_of_ipa("ts")] == [("T", ("SS",)), ("S", ("SS",))]
    assert phones_of_ipa("ː") == []


def alignment(*sounds: tuple[float, float, str]) -> Alignment:
    return Alignment(segments=[], sounds=list(sounds), fit=-15.0)


def test_absurd_alignments_are_refused() -> None:
    quiet_then_loud = np.concatenate([np.zeros(RATE // 2), 8000 * np.sin(np.arange(RATE) / 3)]).astype(np.int16)
    good = alignment((0.0, 0.5, "SIL"), *((0.5 + 0.1 * k, 0.6 + 0.1 * k, "AA") for k in range(10)))
    assert fault(quiet_then_loud, good) is None
    assert fault(quiet_then_loud, alignment((0.5, 0.6, "AA"), (0.6, 0.7, "B"))) == "too short"
    assert fault(quiet_then_loud, alignment((0.5, 1.1, "B"), (1.1, 1.2, "AA"), (1.2, 1.5, "N"))) == "a phone too long"
    unsaid = alignment(*((0.1 * k, 0.1 * k + 0.1, "AA") for k in range(5)), (0.5, 1.5, "SIL"))
    assert fault(quiet_then_loud[::-1].copy()[:24000], unsaid) == "words that are not in the text"


def test_joined_utterances_keep_their_times() -> None:
    one = Spoken(pcm=np.full(RATE, 9, np.int16), segments=[Segment(start_s=0.25, end_s=0.5, viseme=3)])
    both = join([one, one], np.random.default_rng(1))
    second = both.segments[1]
    assert both.pcm[int(second.start_s * RATE) - RATE // 4 + 1] == 9  # its sound begins where its times say
    assert second.start_s - both.segments[0].start_s == pytest.approx((len(both.pcm) - RATE) / RATE)
    parts = pieces([one] * 20, np.random.default_rng(2))
    assert sum(len(part.segments) for part in parts) == 20
    assert all(len(part.pcm) >= 3 * RATE for part in parts[:-1])


def test_what_is_held_out_is_held_out_in_every_copy() -> None:
    from training.natural import Recording
    from training.recordings import HELD_SPEAKER

    prompts = [
        Recording(path=Path(f"{k}.g722"), text=f"Press {k % 50}", language="en-us", speaker=HELD_SPEAKER)
        for k in range(100)
    ]
    held = [mark_held_out(one).speaker != HELD_SPEAKER for one in prompts]
    assert held[:50] == held[50:] and 1 <= sum(held[:50]) <= 15


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_tempo_changes_and_pitch_stays(factor: float) -> None:
    x = syllables()
    y = change_tempo(x, factor)
    assert len(y) == pytest.approx(len(x) / factor, abs=2)
    assert centroid_hz(y) == pytest.approx(centroid_hz(x), rel=0.05)
    for k in range(6):  # each syllable is where its time says, to 8 ms and the width of a frame
        centre = int((0.3 + 0.4 * k) * RATE / factor)
        reach = int(0.2 * RATE / factor)
        part = np.abs(y[centre - reach : centre + reach])
        assert abs((part * np.arange(len(part))).sum() / part.sum() - reach) < 0.02 * RATE


def test_a_longer_throat_lowers_formants_and_keeps_the_pitch() -> None:
    x = syllables()
    rng = np.random.default_rng(1)
    same = reshape_voice(x, formants=1.0, tilt_db=0.0, whisper=False, rng=rng)
    assert np.abs(same - x).max() < 1e-4
    lower = reshape_voice(x, formants=0.84, tilt_db=0.0, whisper=False, rng=rng)
    assert centroid_hz(lower) < 0.93 * centroid_hz(x)
    power = np.abs(np.fft.rfft(lower[: RATE // 5 * 2])) ** 2
    harmonics = power[np.rint(np.arange(3, 8) * 120 * 0.4).astype(int)].sum()
    between = power[np.rint((np.arange(3, 8) + 0.5) * 120 * 0.4).astype(int)].sum()
    assert harmonics > 20 * between  # still a voice of 120 Hz


def test_a_whisper_has_no_pitch() -> None:
    x = syllables()
    y = reshape_voice(x, formants=1.0, tilt_db=0.0, whisper=True, rng=np.random.default_rng(1))
    power = np.abs(np.fft.rfft(y[RATE // 5 : 2 * RATE // 5])) ** 2
    harmonics, between = (power[np.rint((np.arange(4, 9) + shift) * 24).astype(int)].sum() for shift in (0.0, 0.5))
    assert 0.1 < harmonics / between < 10


@pytest.mark.parametrize("a_law", [False, True])
def test_a_telephone_loses_a_little_and_no_more(a_law: bool) -> None:
    x = (0.5 * np.sin(np.arange(8000) / 5)).astype(np.float32)
    y = g711(x, a_law=a_law)
    assert 30 < 10 * np.log10((x**2).sum() / ((x - y) ** 2).sum()) < 45
    assert len(np.unique(g711(np.linspace(-1, 1, 5000, dtype=np.float32), a_law=a_law))) <= 256
