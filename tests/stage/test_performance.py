"""A performance on a virtual clock: blocks are taken one after the other, and nothing waits for real time."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.stage.flashing_parts import LoudnessToMotion
from tests.stage.speaking import Speaker, played_samples
from visavis.engine.motion.frame import INDEX, MOUTH_COUNT, SpeechMotion
from visavis.errors import QueueFull
from visavis.stage.performance import Performance
from visavis.stage.port.events import PlaybackFinished, PlaybackStarted, StateChanged
from visavis.stage.timeline import BLOCK_SAMPLES, PLAYOUT_RATE_HZ, SAMPLES_PER_MS

RATE_HZ = 16_000
FRAME_SAMPLES = PLAYOUT_RATE_HZ // 25


def tone(duration_ms: int, rate_hz: int = RATE_HZ, level: int = 8000) -> NDArray[np.int16]:
    wave = np.sin(2 * np.pi * 400 * np.arange(duration_ms * rate_hz // 1000) / rate_hz)
    pcm: NDArray[np.int16] = (wave * level).astype(np.int16)
    return pcm


class Stand(Speaker):
    """Drives a performance and keeps what came of it: all sound, the jaw at each frame, and every event with when
    it was told.
    """

    def __init__(self) -> None:
        super().__init__(Performance(seed=1, open_speech=LoudnessToMotion))
        self.sound = np.zeros(0, np.int16)
        self.jaws: list[tuple[int, float]] = []
        self.mouths: list[NDArray[np.float32]] = []
        self.told: list[tuple[int, PlaybackStarted | PlaybackFinished]] = []
        self.states: list[tuple[int, str]] = []

    def run(self, duration_ms: int) -> None:
        for _ in range(duration_ms // 20):
            at = self.performance.position
            self.sound = np.concatenate([self.sound, self.performance.next_block()])
            for event in self.performance.events():
                if isinstance(event, StateChanged):
                    self.states.append((at, event.state))
                else:
                    self.told.append((at, event))
            if at % FRAME_SAMPLES == 0:
                face = self.performance.face(at)
                self.mouths.append(face.motion.coefficients[:MOUTH_COUNT].copy())
                self.jaws.append((at, float(face.motion.coefficients[INDEX["jawOpen"]])))

    @property
    def ends(self) -> list[PlaybackFinished]:
        return [h for _, h in self.told if isinstance(h, PlaybackFinished)]


@pytest.fixture
def stand() -> Stand:
    return Stand()


def test_idle_is_silent_with_a_mouth_exactly_at_rest_and_a_living_face(stand: Stand) -> None:
    stand.run(8000)
    assert not stand.sound.any()
    assert not np.any(stand.mouths)
    heads = {stand.performance.face(stand.performance.position + k * FRAME_SAMPLES).motion.yaw_deg for k in range(50)}
    assert len(heads) > 10


@pytest.mark.parametrize("rate_hz", [8000, 16000, 22050, 24000, 44100, 48000])
def test_speech_is_heard_whole_and_once_at_any_rate(stand: Stand, rate_hz: int) -> None:
    stand.speak(tone(500, rate_hz), rate_hz, final=True)
    stand.run(1000)
    loud = np.flatnonzero(np.abs(stand.sound.astype(int)) > 200)
    assert abs((loud[-1] - loud[0]) - 500 * SAMPLES_PER_MS) < 3 * SAMPLES_PER_MS
    heard = stand.sound[loud[0] : loud[-1]].astype(float)
    assert np.sqrt(np.mean(heard**2)) == pytest.approx(8000 / np.sqrt(2), rel=0.02)
    (end,) = stand.ends
    assert played_samples(end) == pytest.approx(500 * SAMPLES_PER_MS, abs=2) and not end.interrupted


def test_lips_move_with_the_sound_to_the_frame(stand: Stand) -> None:
    pcm = np.concatenate([tone(200), np.zeros(RATE_HZ // 5, np.int16), tone(200)])
    stand.speak(pcm, RATE_HZ, final=True)
    stand.run(1000)
    envelope = np.abs(stand.sound.astype(int)).reshape(-1, 480).max(axis=1) > 1000
    for at, jaw in stand.jaws[3:]:
        settled = {bool(envelope[k]) for k in range(max(0, at // 480 - 6), at // 480 + 2)}
        if len(settled) == 1:
            assert (jaw > 0.5) == settled.pop(), at


def test_frame_of_a_step_shows_its_row_not_a_later_one(stand: Stand) -> None:
    stand.speak(np.concatenate([np.zeros(RATE_HZ // 2, np.int16), tone(300)]), RATE_HZ, final=True)
    stand.run(1200)
    sound_from = int(np.argmax(np.abs(stand.sound) > 1000))
    lips_from = next(at for at, jaw in stand.jaws if jaw > 0.5)
    assert 0 <= lips_from - sound_from < FRAME_SAMPLES + 480


def test_started_is_told_at_the_first_sample_and_finished_after_the_last(stand: Stand) -> None:
    stand.speak(tone(330), RATE_HZ, utterance_id="a", final=True)
    stand.run(1000)
    (started_at, started), (ended_at, ended) = stand.told
    first, last = np.flatnonzero(stand.sound)[[0, -1]]
    assert (
        started == PlaybackStarted(utterance_id="a")
        and isinstance(ended, PlaybackFinished)
        and ended.utterance_id == "a"
    )
    assert started_at <= first < started_at + BLOCK_SAMPLES + 10
    assert last - 100 < ended_at <= last + BLOCK_SAMPLES


def test_an_utterance_ends_by_final_by_another_id_or_by_idleness(stand: Stand) -> None:
    assert stand.speak(tone(100), RATE_HZ, final=True) == "utt_1"
    assert stand.speak(tone(100), RATE_HZ) == "utt_2"
    assert stand.speak(tone(100), RATE_HZ, utterance_id="x") == "x"
    assert stand.speak(tone(100), RATE_HZ) == "x"
    assert stand.speak(tone(100), RATE_HZ, utterance_id="x") == "x"
    assert stand.speak(tone(100), RATE_HZ, utterance_id="y") == "y"
    stand.run(320)
    assert stand.speak(tone(100), RATE_HZ) == "utt_3"
    stand.run(2000)
    assert [(e.utterance_id, round(played_samples(e) / SAMPLES_PER_MS)) for e in stand.ends] == [
        ("utt_1", 100),
        ("utt_2", 100),
        ("x", 300),
        ("y", 100),
        ("utt_3", 100),
    ]


def test_idleness_does_not_end_what_still_grows(stand: Stand) -> None:
    ids = set()
    for _ in range(10):
        ids.add(stand.speak(tone(20), RATE_HZ))
        stand.run(280)
    assert len(ids) == 1


def test_utterances_follow_each_other_without_a_gap(stand: Stand) -> None:
    for _ in range(3):
        stand.speak(tone(210), RATE_HZ, final=True)
    stand.run(1000)
    loud = np.flatnonzero(stand.sound)
    quiet = np.diff(loud).max()
    assert loud[-1] - loud[0] == pytest.approx(630 * SAMPLES_PER_MS, abs=2 * SAMPLES_PER_MS)
    assert quiet < 2 * SAMPLES_PER_MS


def test_streamed_speech_begins_once_its_first_motion_is_certain(stand: Stand) -> None:
    pcm = tone(1000)
    for k in range(50):
        stand.speak(pcm[k * 320 : (k + 1) * 320], RATE_HZ)
        stand.run(20)
    stand.run(600)
    begun = int(np.argmax(np.abs(stand.sound) > 0))
    assert begun <= 80 * SAMPLES_PER_MS
    loud = np.flatnonzero(stand.sound)
    assert np.diff(loud).max() < 3 * SAMPLES_PER_MS, "no gap in what came in time"
    (end,) = stand.ends
    assert played_samples(end) == 1000 * SAMPLES_PER_MS


@pytest.mark.parametrize("piece_ms", [10, 20, 50])
def test_small_pieces_that_wait_are_taken_together(piece_ms: int) -> None:
    """Each step of the network costs about the same for 80 ms as for 20: speech that lies ready is not taken in crumbs,
    nor held back at its end.
    """
    taken: list[int] = []

    class Counting(LoudnessToMotion):
        def push(self, pcm: NDArray[np.int16]) -> SpeechMotion:
            taken.append(len(pcm))
            return super().push(pcm)

    stand = Stand()
    stand.performance = Performance(seed=1, open_speech=Counting)
    speech = tone(2000)
    for piece in np.split(speech, range(0, len(speech), piece_ms * 16)[1:]):
        stand.speak(piece, RATE_HZ, utterance_id="a")
    stand.run(3000)
    assert sum(taken) == len(speech) and np.median(taken) == 80 * 16
    assert [played_samples(end) for end in stand.ends] == [2000 * SAMPLES_PER_MS]
    heard = np.flatnonzero(stand.sound)
    assert abs(heard[-1] - heard[0] - 2000 * SAMPLES_PER_MS) < 20 * SAMPLES_PER_MS


def test_speech_that_comes_in_uneven_pieces_soon_plays_without_gaps_and_with_certain_lips(stand: Stand) -> None:
    pcm = tone(1500)
    for utterance in range(6):
        begun_at = stand.performance.position
        for k in range(15):
            stand.speak(pcm[k * 1600 : (k + 1) * 1600], RATE_HZ, utterance_id=str(utterance))
            stand.run(60 if k % 2 else 140)
        stand.speak(pcm[:0], RATE_HZ, final=True)
        stand.run(1000)
    loud = np.flatnonzero(np.abs(stand.sound[begun_at:]) > 0)
    assert np.diff(loud).max() < 3 * SAMPLES_PER_MS
    assert loud[0] < 300 * SAMPLES_PER_MS, "what it waits for is bounded"


def test_audio_that_runs_out_is_silence_and_rest_and_goes_on_later(stand: Stand) -> None:
    pcm = tone(600)
    stand.speak(pcm[:3200], RATE_HZ)
    stand.run(200)
    stand.speak(np.zeros(0, np.int16), RATE_HZ)
    stand.run(200)
    assert stand.jaws[-1][1] == 0.0 and not stand.sound[-960:].any()
    stand.speak(pcm[3200:], RATE_HZ, final=True)
    stand.run(1000)
    assert max(jaw for at, jaw in stand.jaws if at > 420 * SAMPLES_PER_MS) > 0.9
    (end,) = stand.ends
    assert played_samples(end) == 600 * SAMPLES_PER_MS
    assert np.count_nonzero(np.abs(stand.sound) > 100) == pytest.approx(600 * SAMPLES_PER_MS, rel=0.03), (
        "nothing lost, nothing twice"
    )


def test_running_out_leaves_no_click(stand: Stand) -> None:
    slow = (np.sin(2 * np.pi * 100 * np.arange(3200) / RATE_HZ) * 8000).astype(np.int16)
    stand.speak(slow, RATE_HZ)
    stand.run(400)
    # A 100 Hz sine of 8000 moves by at most 105 in a sample at 48 kHz; a cut off resampler would leave a step of
    # thousands.
    assert np.abs(np.diff(stand.sound.astype(int))).max() < 400


def test_interrupt_fades_in_10_ms_and_rests_within_120_ms(stand: Stand) -> None:
    p = stand.performance
    stand.speak(tone(2000), RATE_HZ, utterance_id="a", final=True)
    stand.speak(tone(500), RATE_HZ, utterance_id="b", final=True)
    stand.run(500)
    called_at = p.position
    stand.interrupt()
    stand.run(400)
    after = stand.sound[called_at:]
    assert after[:480].any() and not after[480:].any()
    assert np.abs(np.diff(after[:481].astype(int))).max() < 600, "a fade, not a cut"
    assert all(jaw == 0.0 for at, jaw in stand.jaws if at >= called_at + 100 * SAMPLES_PER_MS)
    between = [jaw for at, jaw in stand.jaws if called_at <= at < called_at + 60 * SAMPLES_PER_MS]
    assert any(0.0 < jaw < 1.0 for jaw in between), "a decay, not a jump"
    a, b = stand.ends
    assert (a.utterance_id, a.interrupted, b.utterance_id, b.interrupted, played_samples(b)) == (
        "a",
        True,
        "b",
        True,
        0,
    )
    assert (
        played_samples(a) == np.flatnonzero(np.abs(stand.sound) > 0)[-1] - np.flatnonzero(stand.sound)[0] + 1
        or abs(played_samples(a) - (called_at + 480 - np.argmax(np.abs(stand.sound) > 0))) < 3
    )


def test_speech_after_an_interrupt_is_heard(stand: Stand) -> None:
    stand.speak(tone(2000), RATE_HZ, utterance_id="a")
    stand.run(300)
    stand.interrupt()
    assert stand.speak(tone(200), RATE_HZ, utterance_id="a", final=True) == "a"
    stand.run(600)
    assert [(e.utterance_id, e.interrupted) for e in stand.ends] == [("a", True), ("a", False)]
    assert played_samples(stand.ends[1]) == 200 * SAMPLES_PER_MS


def test_interrupting_silence_ends_nothing(stand: Stand) -> None:
    stand.run(100)
    stand.interrupt()
    stand.run(100)
    assert not stand.told and not stand.sound.any()


def test_more_than_600_s_is_refused_and_queues_nothing_of_it(stand: Stand) -> None:
    p = stand.performance
    minute = np.zeros(60 * 8000, np.int16)
    for _ in range(9):
        stand.speak(minute, 8000, utterance_id="long")
    stand.speak(minute[: 50 * 8000], 8000, utterance_id="long")
    before = p.queued_samples
    with pytest.raises(QueueFull):
        stand.speak(minute[: 11 * 8000], 8000, utterance_id="other", final=True)
    assert p.queued_samples == before == 590 * PLAYOUT_RATE_HZ
    assert stand.speak(minute[: 10 * 8000], 8000) == "long", "what is open stays open"


def test_a_flood_of_empty_utterances_is_refused(stand: Stand) -> None:
    with pytest.raises(QueueFull):
        for _ in range(5000):
            stand.speak(np.zeros(0, np.int16), RATE_HZ, final=True)


def test_an_empty_final_utterance_starts_and_finishes(stand: Stand) -> None:
    stand.speak(np.zeros(0, np.int16), RATE_HZ, utterance_id="e", final=True)
    stand.run(40)
    assert [h for _, h in stand.told] == [
        PlaybackStarted(utterance_id="e"),
        PlaybackFinished(utterance_id="e", position_s=0.0, interrupted=False),
    ]


def test_a_change_of_rate_within_an_utterance_is_heard_without_a_gap(stand: Stand) -> None:
    stand.speak(tone(200, 16000), 16000)
    stand.speak(tone(200, 24000), 24000, final=True)
    stand.run(800)
    loud = np.flatnonzero(stand.sound)
    assert loud[-1] - loud[0] == pytest.approx(400 * SAMPLES_PER_MS, abs=2 * SAMPLES_PER_MS)
    assert np.diff(loud).max() < 3 * SAMPLES_PER_MS


def test_the_same_seed_and_calls_give_the_same_performance() -> None:
    def perform() -> Stand:
        stand = Stand()
        stand.run(100)
        stand.speak(tone(300), RATE_HZ, final=True)
        stand.run(700)
        return stand

    one, other = perform(), perform()
    assert (one.sound == other.sound).all() and one.jaws == other.jaws and one.told == other.told


def test_states_are_told_in_the_audios_order(stand: Stand) -> None:
    stand.run(100)
    assert not stand.states
    stand.speak(tone(210), RATE_HZ, utterance_id="a", final=True)
    stand.speak(tone(210), RATE_HZ, utterance_id="b", final=True)
    stand.run(600)
    (started_at, _), _, _, (ended_at, _) = stand.told
    assert stand.states == [(started_at, "speaking"), (ended_at, "idle")], (
        "two utterances without a gap are one time of speaking"
    )


def test_a_client_has_the_avatar_listen_and_think(stand: Stand) -> None:
    p = stand.performance
    p.set_state("listening")
    stand.run(60)
    p.set_state("thinking")
    stand.run(60)
    stand.speak(tone(100), RATE_HZ, final=True)
    stand.run(300)
    p.set_state("listening")
    stand.run(60)
    assert [state for _, state in stand.states] == ["listening", "thinking", "speaking", "listening"]


def test_thinking_that_is_set_while_it_speaks_comes_after(stand: Stand) -> None:
    p = stand.performance
    stand.speak(tone(300), RATE_HZ, final=True)
    stand.run(100)
    p.set_state("thinking")
    stand.run(600)
    assert [state for _, state in stand.states] == ["speaking", "thinking"]


def test_an_interrupt_ends_speaking_at_once(stand: Stand) -> None:
    stand.speak(tone(2000), RATE_HZ)
    stand.run(300)
    stand.interrupt()
    stand.run(60)
    assert [state for _, state in stand.states] == ["speaking", "idle"]


def test_an_interrupt_that_overtakes_speech_silences_at_once_and_drops_what_it_overtook(stand: Stand) -> None:
    """Pieces 2 to 5 were sent before the interrupt and come after it."""
    p = stand.performance
    stand.speak(tone(1000), RATE_HZ, utterance_id="a")
    stand.run(300)
    called_at = p.position
    stand.interrupt(through=5)
    stand.run(20)
    assert stand.speak(tone(500), RATE_HZ, utterance_id="a") == "a"
    assert stand.speak(tone(500), RATE_HZ) == "a"
    assert stand.speak(tone(500), RATE_HZ, utterance_id="b") == "b"
    assert stand.speak(tone(500), RATE_HZ, final=True) == "b"
    stand.run(500)
    assert not stand.sound[called_at + 480 :].any() and stand.sound[called_at : called_at + 480].any()
    assert all(jaw == 0.0 for at, jaw in stand.jaws if at >= called_at + 100 * SAMPLES_PER_MS)
    assert [(end.utterance_id, end.interrupted) for end in stand.ends] == [("a", True), ("b", True)]
    assert played_samples(stand.ends[0]) == pytest.approx(called_at - 60 * SAMPLES_PER_MS, abs=70 * SAMPLES_PER_MS)
    assert played_samples(stand.ends[1]) == 0
    assert stand.speak(tone(200), RATE_HZ, utterance_id="a", final=True) == "a", "number 6: said after the interrupt"
    stand.run(500)
    assert (stand.ends[2].utterance_id, stand.ends[2].interrupted) == ("a", False)
    assert played_samples(stand.ends[2]) == 200 * SAMPLES_PER_MS


def test_an_interrupt_that_overtakes_everything_leaves_each_utterance_one_end(stand: Stand) -> None:
    stand.interrupt(through=6)
    ids = [stand.speak(tone(100), RATE_HZ, final=final) for final in (False, True, False, False, True, False)]
    assert ids == ["utt_1", "utt_1", "utt_2", "utt_2", "utt_2", "utt_3"]
    assert stand.speak(tone(100), RATE_HZ, final=True) == "utt_4", "what is said after the interrupt is an utterance"
    stand.run(500)
    assert [(end.utterance_id, end.interrupted) for end in stand.ends] == [
        ("utt_1", True),
        ("utt_2", True),
        ("utt_3", True),
        ("utt_4", False),
    ]


def test_an_interrupt_spares_what_was_said_after_it(stand: Stand) -> None:
    """Two interrupts, of which the earlier one comes later."""
    stand.speak(tone(600), RATE_HZ, number=8, utterance_id="after", final=True)
    stand.run(200)
    stand.interrupt(through=7)
    stand.run(800)
    (end,) = stand.ends
    assert not end.interrupted and played_samples(end) == 600 * SAMPLES_PER_MS
