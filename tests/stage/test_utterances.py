"""How utterances end: each once, by what its client says or by an interrupt, never by a pause. On a virtual clock."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.stage.speaking import played_samples
from tests.stage.test_performance import RATE_HZ, Harness, tone
from visavis.engine.motion.frame import INDEX
from visavis.engine.motion.mood import Mood
from visavis.stage.port.events import PlaybackFinished, PlaybackStarted
from visavis.stage.port.values import Speech
from visavis.stage.timeline import PLAYOUT_RATE_HZ, SAMPLES_PER_MS
from visavis.stage.utterances import KEPT_IDS

SILENT = tone(0)
SMILES = [INDEX["mouthSmile"], INDEX["moodSmile"]]


@pytest.fixture
def harness() -> Harness:
    return Harness()


def ends(harness: Harness) -> list[tuple[str, int, bool]]:
    """Return each end: the utterance, how many milliseconds of it were played, and whether it was interrupted."""
    return [(end.utterance_id, round(played_samples(end) / SAMPLES_PER_MS), end.interrupted) for end in harness.ends]


# --- pauses


def test_a_named_utterance_outlives_pauses_of_its_sender_and_is_heard_whole(harness: Harness) -> None:
    for _ in range(4):
        assert harness.speak(tone(250), RATE_HZ, utterance_id="a") == "a"
        harness.run(2000)
        assert not harness.sound[-960:].any() and harness.jaws[-1][1] == 0.0, "the avatar rests"
    assert ends(harness) == []
    harness.speak(SILENT, RATE_HZ, utterance_id="a", final=True)
    harness.run(40)
    assert ends(harness) == [("a", 1000, False)]
    assert [type(event) for _, event in harness.playback] == [PlaybackStarted, PlaybackFinished]
    assert np.count_nonzero(np.abs(harness.sound) > 100) == pytest.approx(1000 * SAMPLES_PER_MS, rel=0.03)


@pytest.mark.parametrize("rest_ms", [0, 3000])
def test_another_id_or_an_interrupt_ends_an_utterance_that_rests(harness: Harness, rest_ms: int) -> None:
    harness.speak(tone(200), RATE_HZ, utterance_id="a")
    harness.run(500 + rest_ms)
    harness.speak(tone(200), RATE_HZ, utterance_id="b")
    harness.run(500 + rest_ms)
    harness.interrupt()
    harness.run(100)
    assert ends(harness) == [("a", 200, False), ("b", 200, True)]


def test_sound_without_an_id_belongs_to_the_open_utterance_after_a_pause(harness: Harness) -> None:
    harness.speak(tone(200), RATE_HZ, utterance_id="a")
    harness.run(1500)
    assert harness.speak(tone(200), RATE_HZ) == "a"
    harness.run(1500)
    harness.speak(SILENT, RATE_HZ, final=True)
    harness.run(40)
    assert ends(harness) == [("a", 400, False)]


def test_a_piece_that_is_too_short_to_begin_with_is_heard_when_its_sender_pauses(harness: Harness) -> None:
    for _ in range(3):
        harness.speak(tone(30), RATE_HZ, utterance_id="a")
        harness.run(600)
    loud = np.abs(harness.sound) > 200
    assert np.count_nonzero(loud) > 3 * 20 * SAMPLES_PER_MS
    harness.speak(SILENT, RATE_HZ, utterance_id="a", final=True)
    harness.run(40)
    assert ends(harness) == [("a", 90, False)]


def test_the_emotion_of_an_utterance_goes_on_across_pauses(harness: Harness) -> None:
    harness.speak(tone(400), RATE_HZ, utterance_id="a", mood=Mood(happy=1.0))
    harness.run(3000)
    harness.speak(tone(400), RATE_HZ, utterance_id="a")
    harness.run(3000)
    smiles = []
    for _ in range(2):
        position = harness.performance.position - 960
        smiles.append(float(harness.performance.face(position).motion.coefficients[SMILES].sum()))
        harness.speak(SILENT, RATE_HZ, utterance_id="a", final=True)
        harness.run(3000)
    assert smiles[0] > 0.3 > 0.1 > smiles[1]


def test_a_long_pause_ends_the_speaking_state_until_the_utterance_goes_on(harness: Harness) -> None:
    for _ in range(2):
        harness.speak(tone(200), RATE_HZ, utterance_id="a")
        harness.run(1000)
    harness.speak(SILENT, RATE_HZ, utterance_id="a", final=True)
    harness.run(1000)
    assert [state for _, state in harness.states] == ["speaking", "idle", "speaking", "idle"]
    began, rested, *_ = [at for at, _ in harness.states]
    assert rested - began == pytest.approx(500 * SAMPLES_PER_MS, abs=40 * SAMPLES_PER_MS), "300 ms after the sound"


def test_thinking_during_a_pause_ends_when_the_utterance_goes_on(harness: Harness) -> None:
    harness.speak(tone(200), RATE_HZ, utterance_id="a")
    harness.run(1000)
    harness.performance.set_state("thinking")
    harness.run(200)
    harness.speak(tone(200), RATE_HZ, utterance_id="a", final=True)
    harness.run(1000)
    assert [state for _, state in harness.states] == ["speaking", "idle", "thinking", "speaking", "idle"]


# --- ends


def test_an_empty_end_after_the_end_does_not_finish_again(harness: Harness) -> None:
    harness.speak(tone(100), RATE_HZ, utterance_id="a", final=True)
    harness.speak(SILENT, RATE_HZ, utterance_id="a", final=True)
    harness.run(400)
    harness.speak(SILENT, RATE_HZ, utterance_id="a", final=True)
    harness.speak(SILENT, RATE_HZ, final=True)
    harness.speak(tone(100), RATE_HZ)
    harness.run(1000)
    harness.speak(SILENT, RATE_HZ, final=True)
    harness.run(400)
    assert ends(harness) == [("a", 100, False), ("utt_1", 100, False)]
    assert sum(isinstance(event, PlaybackStarted) for _, event in harness.playback) == 2


def test_an_id_that_is_used_again_names_another_utterance(harness: Harness) -> None:
    for _ in range(3):
        harness.speak(tone(100), RATE_HZ, utterance_id="a", final=True)
    harness.run(1000)
    assert ends(harness) == [("a", 100, False)] * 3


def test_the_server_gives_no_id_that_a_client_has_used(harness: Harness) -> None:
    harness.speak(tone(100), RATE_HZ, utterance_id="utt_1", final=True)
    assert harness.speak(tone(100), RATE_HZ) == "utt_2"


# --- interrupts


def test_late_pieces_of_an_interrupted_utterance_are_never_heard(harness: Harness) -> None:
    """A synthesiser goes on for a while: its pieces are sent after the interrupt and bear the old id."""
    harness.speak(tone(2000), RATE_HZ, utterance_id="old")
    harness.speak(tone(2000), RATE_HZ, utterance_id="waiting", final=True)
    harness.run(300)
    harness.interrupt()
    harness.run(20)
    for utterance_id in ("old", "waiting", "old"):
        harness.number += 1
        pcm = tone(300).astype("<i2").tobytes()
        late = Speech(pcm=pcm, sample_rate_hz=RATE_HZ, number=harness.number, utterance_id=utterance_id)
        assert harness.performance.speak(late).samples == 0
    harness.run(1000)
    assert not harness.sound[320 * SAMPLES_PER_MS :].any()
    assert [(utterance_id, interrupted) for utterance_id, _, interrupted in ends(harness)] == [
        ("old", True),
        ("waiting", True),
    ]


def test_a_new_id_right_after_an_interrupt_is_heard_whole(harness: Harness) -> None:
    harness.speak(tone(2000), RATE_HZ, utterance_id="old")
    harness.run(300)
    harness.interrupt()
    harness.speak(tone(100), RATE_HZ, utterance_id="old")
    harness.speak(tone(400), RATE_HZ, utterance_id="new", final=True)
    harness.speak(tone(100), RATE_HZ, utterance_id="old", final=True)
    called_at = harness.performance.position
    harness.run(1000)
    assert ends(harness)[1:] == [("new", 400, False)]
    assert np.count_nonzero(np.abs(harness.sound[called_at + 480 :]) > 100) == pytest.approx(
        400 * SAMPLES_PER_MS, rel=0.03
    )


def test_sound_that_an_interrupt_dropped_on_its_way_does_not_count_as_played(harness: Harness) -> None:
    harness.speak(tone(2000), RATE_HZ, utterance_id="a", final=True)
    harness.run(500)
    begun = int(np.argmax(np.abs(harness.sound) > 0)) // 960 * 960
    unheard_from = harness.performance.position - 100 * SAMPLES_PER_MS
    harness.performance.interrupt(through=harness.number, unheard_from=unheard_from)
    harness.run(40)
    (end,) = harness.ends
    assert played_samples(end) == unheard_from - begun + 10 * SAMPLES_PER_MS, "with the fade"


def test_numbers_begin_anew_with_a_new_owner(harness: Harness) -> None:
    """What silences late pieces belongs to the session: a server that takes it over counts from 1."""
    harness.speak(tone(1000), RATE_HZ, utterance_id="a", number=90)
    harness.run(200)
    harness.interrupt(through=100)
    harness.run(100)
    harness.performance.forget_numbers()
    harness.speak(tone(300), RATE_HZ, utterance_id="b", number=1, final=True)
    harness.speak(tone(300), RATE_HZ, utterance_id="c", number=2, final=True)
    harness.run(400)
    harness.interrupt(through=3)
    harness.run(100)
    assert [(utterance_id, interrupted) for utterance_id, _, interrupted in ends(harness)] == [
        ("a", True),
        ("b", False),
        ("c", True),
    ]


# --- speech that is faster or slower than real time


@pytest.mark.parametrize("rate_hz", [16_000, 22_050])
def test_speech_at_eight_tenths_of_real_time_does_not_click_and_keeps_its_positions(rate_hz: int) -> None:
    harness = Harness()
    slow = (np.sin(2 * np.pi * 150 * np.arange(6 * rate_hz) / rate_hz) * 12_000).astype(np.int16)
    piece = rate_hz // 50 + 1  # a length that is no whole number of samples at 48 kHz
    pieces = [slow[at : at + piece] for at in range(0, len(slow), piece)]
    for count, pcm in enumerate(pieces):
        harness.speak(pcm, rate_hz, utterance_id="a")
        harness.run(40 if count % 4 == 3 else 20)
    harness.speak(SILENT, rate_hz, utterance_id="a", final=True)
    harness.run(1000)
    assert harness.performance.underruns > 5
    # a 150 Hz sine of 12,000 changes by at most 236 a sample at 48 kHz; its 5 ms edges add at most 78
    assert np.abs(np.diff(harness.sound.astype(int))).max() < 400
    (end,) = harness.ends
    assert played_samples(end) == -(-len(slow) * 48_000 // rate_hz)


def test_at_exactly_eight_tenths_each_underrun_is_a_fade_of_5_ms_a_gap_and_a_fade(harness: Harness) -> None:
    """A level of 30,000 at 48 kHz shows what was done to each sample: where it is lower, the sound was faded."""
    level, piece, pieces = 30_000, 20 * SAMPLES_PER_MS, 480
    sent, told = 0, 0
    while harness.performance.position < 25 * SAMPLES_PER_MS * pieces + PLAYOUT_RATE_HZ:
        while sent < pieces and sent * 25 * SAMPLES_PER_MS <= harness.performance.position:  # 20 ms come every 25 ms
            sent += 1
            pcm = np.full(piece, level, np.int16)
            harness.speak(pcm, PLAYOUT_RATE_HZ, utterance_id="a", final=sent == pieces)
        harness.run(20)
        if (progress := harness.performance.take_progress()) is not None:
            told = progress.played_samples
            assert told == np.count_nonzero(harness.sound), "what is told as played was heard"
    (end,) = harness.ends
    assert (end.interrupted, played_samples(end)) == (False, piece * pieces)
    assert np.count_nonzero(harness.sound) == piece * pieces, "no sample is lost or comes twice"
    assert piece * pieces - told <= 960, "the position was told all the time"

    heard = np.flatnonzero(harness.sound)
    sound = harness.sound[heard[0] : heard[-1] + 1].astype(int)
    assert sound[0] == sound[-1] == level
    dips = np.flatnonzero(np.diff((sound < level).astype(int))).reshape(-1, 2) + 1  # each: where it begins and ends
    assert len(dips) == harness.performance.underruns > 5
    for begin, over in dips:
        falling, gap, rising = np.split(sound[begin:over], [240, over - begin - 240])
        assert (np.diff(falling) < 0).all() and not gap.any() and (np.diff(rising) > 0).all()
    # A fade of 5 ms over 30,000 changes by at most 30,000 * pi / 2 / 241 = 196 a sample.
    assert np.abs(np.diff(sound)).max() < 200


def test_speech_in_time_has_no_underrun_and_no_faded_edges(harness: Harness) -> None:
    for _ in range(50):
        harness.speak(tone(20), RATE_HZ, utterance_id="a")
        harness.run(20)
    harness.speak(SILENT, RATE_HZ, utterance_id="a", final=True)
    harness.run(500)
    assert harness.performance.underruns == 0
    assert ends(harness) == [("a", 1000, False)]


# --- speech that waits for a viewer


def test_held_speech_is_heard_from_its_first_sample_when_a_viewer_has_come(harness: Harness) -> None:
    harness.performance.hold(10_000 * SAMPLES_PER_MS)
    harness.speak(tone(500), RATE_HZ, utterance_id="a", final=True)
    harness.run(3000)
    assert not harness.sound.any() and not harness.playback
    harness.performance.viewer_came()
    came_at = harness.performance.position
    harness.run(1500)
    begun = int(np.argmax(harness.sound != 0)) - came_at
    assert 300 * SAMPLES_PER_MS <= begun <= 340 * SAMPLES_PER_MS, "a browser has had time to begin to play"
    assert ends(harness) == [("a", 500, False)]


def test_held_speech_does_not_wait_longer_than_it_was_told(harness: Harness) -> None:
    harness.performance.hold(1000 * SAMPLES_PER_MS)
    harness.speak(tone(500), RATE_HZ, utterance_id="a", final=True)
    harness.run(1100)
    assert 1000 * SAMPLES_PER_MS <= int(np.argmax(harness.sound != 0)) <= 1040 * SAMPLES_PER_MS


def test_held_speech_can_be_interrupted(harness: Harness) -> None:
    harness.performance.hold(10_000 * SAMPLES_PER_MS)
    harness.speak(tone(500), RATE_HZ, utterance_id="a", final=True)
    harness.run(500)
    harness.interrupt()
    harness.run(100)
    assert ends(harness) == [("a", 0, True)]


# --- everything at once


# whose id it bears, its length in milliseconds, whether it is final
PIECE = st.tuples(st.sampled_from(["none", "same", "new", "interrupted"]), st.integers(0, 120), st.booleans())
STEP = st.one_of(PIECE, st.integers(20, 900), st.just("interrupt"))


@settings(deadline=None, max_examples=60, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEP, max_size=25))
def test_every_id_finishes_exactly_once_whatever_comes(steps: list[tuple[str, int, bool] | int | str]) -> None:
    harness = Harness()
    taken: Counter[str] = Counter()
    names, interrupted = 0, "never"
    for step in steps:
        if isinstance(step, tuple):
            whose, duration_ms, final = step
            names += whose == "new"
            ids = {"none": None, "interrupted": interrupted}
            harness.number += 1
            pcm = tone(duration_ms).astype("<i2").tobytes()
            utterance_id = ids.get(whose, f"u{names}")
            speech = Speech(
                pcm=pcm, sample_rate_hz=RATE_HZ, number=harness.number, utterance_id=utterance_id, final=final
            )
            if utterance_id == "never":
                continue
            spoken = harness.performance.speak(speech)
            if spoken.samples or (final and spoken.utterance_id and whose != "interrupted"):
                taken[spoken.utterance_id] += spoken.samples * 3
            names += final
        elif isinstance(step, int):
            harness.run(step // 20 * 20)
        else:
            harness.interrupt()
            interrupted = f"u{names}" if f"u{names}" in taken else "never"
            names += 1
    harness.interrupt()
    harness.run(100)
    finished = Counter(end.utterance_id for end in harness.ends)
    assert finished == Counter(dict.fromkeys(taken, 1))
    assert all(played_samples(end) <= taken[end.utterance_id] for end in harness.ends)
    assert all(played_samples(end) == taken[end.utterance_id] for end in harness.ends if not end.interrupted)


def test_only_so_many_ids_are_remembered(harness: Harness) -> None:
    for number in range(KEPT_IDS + 2):
        harness.speak(SILENT, RATE_HZ, utterance_id=str(number), final=True)
        if number % 60 == 0:
            harness.run(20)
    harness.run(40)
    finished = len(harness.ends)
    harness.speak(SILENT, RATE_HZ, utterance_id="2", final=True)
    harness.run(40)
    assert len(harness.ends) == finished, "it is known that this one has ended"
    harness.speak(SILENT, RATE_HZ, utterance_id="0", final=True)
    harness.run(40)
    assert len(harness.ends) == finished + 1
