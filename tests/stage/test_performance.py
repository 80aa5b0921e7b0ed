"""A performance on a virtual clock: blocks are taken one after the other, without waiting for real time."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.stage.flashing_parts import LoudnessToMotion
from tests.stage.speaking import Speaker, played_samples
from visavis.engine.motion.frame import INDEX, MOUTH_COUNT, SpeechMotion
from visavis.errors import QueueFull
from visavis.stage.performance import Performance
from visavis.stage.port.events import PlaybackFinished, PlaybackStarted, SampleCut, StateChanged
from visavis.stage.timeline import BLOCK_SAMPLES, PLAYOUT_RATE_HZ, SAMPLES_PER_MS

RATE_HZ = 16_000
FRAME_SAMPLES = PLAYOUT_RATE_HZ // 25


def tone(duration_ms: int, rate_hz: int = RATE_HZ, level: int = 8000) -> NDArray[np.int16]:
    wave = np.sin(2 * np.pi * 400 * np.arange(duration_ms * rate_hz // 1000) / rate_hz)
    pcm: NDArray[np.int16] = (wave * level).astype(np.int16)
    return pcm


class Harness(Speaker):
    """Runs a performance and records its sound, the mouth of each frame, and every event with the position of its
    block.
    """

    def __init__(self) -> None:
        super().__init__(Performance(seed=1, open_speech=LoudnessToMotion))
        self.sound = np.zeros(0, np.int16)
        self.jaws: list[tuple[int, float]] = []
        self.mouths: list[NDArray[np.float32]] = []
        self.playback: list[tuple[int, PlaybackStarted | PlaybackFinished]] = []
        self.states: list[tuple[int, str]] = []

    def run(self, duration_ms: int) -> None:
        for _ in range(duration_ms // 20):
            at = self.performance.position
            self.sound = np.concatenate([self.sound, self.performance.next_block()])
            for event in self.performance.events():
                if isinstance(event, StateChanged):
                    self.states.append((at, event.state))
                elif not isinstance(event, SampleCut):
                    self.playback.append((at, event))
            if at % FRAME_SAMPLES == 0:
                face = self.performance.face(at)
                self.mouths.append(face.motion.coefficients[:MOUTH_COUNT].copy())
                self.jaws.append((at, float(face.motion.coefficients[INDEX["jawOpen"]])))

    @property
    def ends(self) -> list[PlaybackFinished]:
        return [event for _, event in self.playback if isinstance(event, PlaybackFinished)]


@pytest.fixture
def harness() -> Harness:
    return Harness()


def test_an_idle_performance_is_silent_with_the_mouth_at_rest_and_a_moving_head(harness: Harness) -> None:
    harness.run(8000)
    assert not harness.sound.any()
    assert not np.any(harness.mouths)
    heads = {
        harness.performance.face(harness.performance.position + k * FRAME_SAMPLES).motion.yaw_deg for k in range(50)
    }
    assert len(heads) > 10


@pytest.mark.parametrize("rate_hz", [8000, 16000, 22050, 24000, 44100, 48000])
def test_speech_is_played_whole_and_once_at_any_rate(harness: Harness, rate_hz: int) -> None:
    harness.speak(tone(500, rate_hz), rate_hz, final=True)
    harness.run(1000)
    loud = np.flatnonzero(np.abs(harness.sound.astype(int)) > 200)
    assert abs((loud[-1] - loud[0]) - 500 * SAMPLES_PER_MS) < 3 * SAMPLES_PER_MS
    sound = harness.sound[loud[0] : loud[-1]].astype(float)
    assert np.sqrt(np.mean(sound**2)) == pytest.approx(8000 / np.sqrt(2), rel=0.02)
    (end,) = harness.ends
    assert played_samples(end) == pytest.approx(500 * SAMPLES_PER_MS, abs=2) and not end.interrupted


def test_lips_follow_the_sound_within_a_frame(harness: Harness) -> None:
    pcm = np.concatenate([tone(200), np.zeros(RATE_HZ // 5, np.int16), tone(200)])
    harness.speak(pcm, RATE_HZ, final=True)
    harness.run(1000)
    envelope = np.abs(harness.sound.astype(int)).reshape(-1, 480).max(axis=1) > 1000
    for at, jaw in harness.jaws[3:]:
        loud = {bool(envelope[k]) for k in range(max(0, at // 480 - 6), at // 480 + 2)}
        if len(loud) == 1:
            assert (jaw > 0.5) == loud.pop(), at


def test_a_frame_shows_the_motion_of_its_own_step_not_of_a_later_one(harness: Harness) -> None:
    harness.speak(np.concatenate([np.zeros(RATE_HZ // 2, np.int16), tone(300)]), RATE_HZ, final=True)
    harness.run(1200)
    sound_from = int(np.argmax(np.abs(harness.sound) > 1000))
    lips_from = next(at for at, jaw in harness.jaws if jaw > 0.5)
    assert 0 <= lips_from - sound_from < FRAME_SAMPLES + 480


def test_playback_starts_at_the_first_sample_and_finishes_after_the_last(harness: Harness) -> None:
    harness.speak(tone(330), RATE_HZ, utterance_id="a", final=True)
    harness.run(1000)
    (started_at, started), (ended_at, ended) = harness.playback
    first, last = np.flatnonzero(harness.sound)[[0, -1]]
    assert (
        started == PlaybackStarted(utterance_id="a")
        and isinstance(ended, PlaybackFinished)
        and ended.utterance_id == "a"
    )
    assert started_at <= first < started_at + BLOCK_SAMPLES + 10
    assert last - 100 < ended_at <= last + BLOCK_SAMPLES


def test_an_utterance_ends_by_final_by_another_id_or_without_a_name_after_300_ms(harness: Harness) -> None:
    assert harness.speak(tone(100), RATE_HZ, final=True) == "utt_1"
    assert harness.speak(tone(100), RATE_HZ) == "utt_2"
    assert harness.speak(tone(100), RATE_HZ, utterance_id="x") == "x"
    assert harness.speak(tone(100), RATE_HZ) == "x"
    assert harness.speak(tone(100), RATE_HZ, utterance_id="x") == "x"
    assert harness.speak(tone(100), RATE_HZ, utterance_id="y") == "y"
    harness.run(320)
    assert harness.speak(tone(100), RATE_HZ) == "y", "its sender only paused"
    assert harness.speak(tone(100), RATE_HZ, utterance_id="z", final=True) == "z"
    assert harness.speak(tone(100), RATE_HZ) == "utt_3"
    harness.run(320)
    assert harness.speak(tone(100), RATE_HZ) == "utt_4"
    harness.run(2000)
    assert [(e.utterance_id, round(played_samples(e) / SAMPLES_PER_MS)) for e in harness.ends] == [
        ("utt_1", 100),
        ("utt_2", 100),
        ("x", 300),
        ("y", 200),
        ("z", 100),
        ("utt_3", 100),
        ("utt_4", 100),
    ]


def test_an_utterance_that_gets_audio_every_280_ms_stays_open(harness: Harness) -> None:
    ids = set()
    for _ in range(10):
        ids.add(harness.speak(tone(20), RATE_HZ))
        harness.run(280)
    assert len(ids) == 1


def test_utterances_follow_each_other_without_a_gap(harness: Harness) -> None:
    for _ in range(3):
        harness.speak(tone(210), RATE_HZ, final=True)
    harness.run(1000)
    loud = np.flatnonzero(harness.sound)
    quiet = np.diff(loud).max()
    assert loud[-1] - loud[0] == pytest.approx(630 * SAMPLES_PER_MS, abs=2 * SAMPLES_PER_MS)
    assert quiet < 2 * SAMPLES_PER_MS


def test_streamed_speech_starts_when_its_first_motion_is_certain(harness: Harness) -> None:
    pcm = tone(1000)
    for k in range(50):
        harness.speak(pcm[k * 320 : (k + 1) * 320], RATE_HZ)
        harness.run(20)
    harness.run(600)
    start = int(np.argmax(np.abs(harness.sound) > 0))
    assert start <= 80 * SAMPLES_PER_MS
    loud = np.flatnonzero(harness.sound)
    assert np.diff(loud).max() < 3 * SAMPLES_PER_MS, "no gap in audio that came in time"
    (end,) = harness.ends
    assert played_samples(end) == 1000 * SAMPLES_PER_MS


@pytest.mark.parametrize("piece_ms", [10, 20, 50])
def test_small_pieces_that_wait_are_processed_together(piece_ms: int) -> None:
    """Waiting speech is processed in large pieces, which cost less, and its end without delay."""
    pushed: list[int] = []

    class Counting(LoudnessToMotion):
        def push(self, pcm: NDArray[np.int16]) -> SpeechMotion:
            pushed.append(len(pcm))
            return super().push(pcm)

    harness = Harness()
    harness.performance = Performance(seed=1, open_speech=Counting)
    speech = tone(2000)
    for piece in np.split(speech, range(0, len(speech), piece_ms * 16)[1:]):
        harness.speak(piece, RATE_HZ)
    harness.run(3000)
    assert sum(pushed) == len(speech)
    assert sum(samples for samples in pushed if samples == 160 * 16) > 0.8 * len(speech)
    assert [played_samples(end) for end in harness.ends] == [2000 * SAMPLES_PER_MS]
    audible = np.flatnonzero(harness.sound)
    assert abs(audible[-1] - audible[0] - 2000 * SAMPLES_PER_MS) < 20 * SAMPLES_PER_MS


def test_speech_that_comes_unevenly_soon_plays_without_gaps(harness: Harness) -> None:
    pcm = tone(1500)
    for utterance in range(6):
        started_at = harness.performance.position
        for k in range(15):
            harness.speak(pcm[k * 1600 : (k + 1) * 1600], RATE_HZ, utterance_id=str(utterance))
            harness.run(60 if k % 2 else 140)
        harness.speak(pcm[:0], RATE_HZ, final=True)
        harness.run(1000)
    loud = np.flatnonzero(np.abs(harness.sound[started_at:]) > 0)
    assert np.diff(loud).max() < 3 * SAMPLES_PER_MS
    assert loud[0] < 300 * SAMPLES_PER_MS, "the margin is bounded"


def test_an_underrun_is_silence_with_lips_at_rest_and_speech_resumes(harness: Harness) -> None:
    pcm = tone(600)
    harness.speak(pcm[:3200], RATE_HZ, utterance_id="a")
    harness.run(400)
    assert harness.jaws[-1][1] == 0.0 and not harness.sound[-960:].any()
    harness.speak(pcm[3200:], RATE_HZ, final=True)
    harness.run(1000)
    assert max(jaw for at, jaw in harness.jaws if at > 420 * SAMPLES_PER_MS) > 0.9
    (end,) = harness.ends
    assert played_samples(end) == 600 * SAMPLES_PER_MS
    assert np.count_nonzero(np.abs(harness.sound) > 100) == pytest.approx(600 * SAMPLES_PER_MS, rel=0.03), (
        "no sample is lost or played twice"
    )


def test_an_underrun_makes_no_click(harness: Harness) -> None:
    slow = (np.sin(2 * np.pi * 100 * np.arange(3200) / RATE_HZ) * 8000).astype(np.int16)
    harness.speak(slow, RATE_HZ)
    harness.run(400)
    # A 100 Hz sine with amplitude 8000 changes by at most 105 per sample at 48 kHz. A truncated resampler would make a
    # jump of thousands.
    assert np.abs(np.diff(harness.sound.astype(int))).max() < 400


def test_interrupt_fades_in_10_ms_and_rests_within_120_ms(harness: Harness) -> None:
    p = harness.performance
    harness.speak(tone(2000), RATE_HZ, utterance_id="a", final=True)
    harness.speak(tone(500), RATE_HZ, utterance_id="b", final=True)
    harness.run(500)
    called_at = p.position
    harness.interrupt()
    harness.run(400)
    after = harness.sound[called_at:]
    assert after[:480].any() and not after[480:].any()
    assert np.abs(np.diff(after[:481].astype(int))).max() < 600, "the sound fades out"
    assert all(jaw == 0.0 for at, jaw in harness.jaws if at >= called_at + 100 * SAMPLES_PER_MS)
    between = [jaw for at, jaw in harness.jaws if called_at <= at < called_at + 60 * SAMPLES_PER_MS]
    assert any(0.0 < jaw < 1.0 for jaw in between), "the jaw eases"
    a, b = harness.ends
    assert (a.utterance_id, a.interrupted, b.utterance_id, b.interrupted, played_samples(b)) == (
        "a",
        True,
        "b",
        True,
        0,
    )
    assert (
        played_samples(a) == np.flatnonzero(np.abs(harness.sound) > 0)[-1] - np.flatnonzero(harness.sound)[0] + 1
        or abs(played_samples(a) - (called_at + 480 - np.argmax(np.abs(harness.sound) > 0))) < 3
    )


def test_speech_after_an_interrupt_is_played(harness: Harness) -> None:
    harness.speak(tone(2000), RATE_HZ, utterance_id="a")
    harness.run(300)
    harness.interrupt()
    assert harness.speak(tone(200), RATE_HZ, utterance_id="b", final=True) == "b"
    harness.run(600)
    assert [(e.utterance_id, e.interrupted) for e in harness.ends] == [("a", True), ("b", False)]
    assert played_samples(harness.ends[1]) == 200 * SAMPLES_PER_MS


def test_an_interrupt_in_silence_has_no_effect(harness: Harness) -> None:
    harness.run(100)
    harness.interrupt()
    harness.run(100)
    assert not harness.playback and not harness.sound.any()


def ramp(duration_ms: int) -> NDArray[np.int16]:
    """Speech at 48 kHz of which every sample is known by its value."""
    return np.arange(1, duration_ms * SAMPLES_PER_MS + 1, dtype=np.int64).astype(np.int16)


@pytest.mark.parametrize("pause_ms", [20, 400, 3000])
def test_a_pause_loses_no_sample_and_says_none_twice(harness: Harness, pause_ms: int) -> None:
    harness.speak(ramp(600), PLAYOUT_RATE_HZ, utterance_id="a", final=True)
    harness.run(300)
    paused_at = harness.performance.position
    assert harness.performance.pause()
    harness.run(pause_ms)
    resumed_at = harness.performance.position
    silence = harness.sound[paused_at + 10 * SAMPLES_PER_MS :]
    assert harness.sound[paused_at] and not silence.any(), "the sound fades out, and nothing comes after it"
    harness.performance.resume()
    harness.run(800)
    (end,) = harness.ends
    assert not end.interrupted and played_samples(end) == 600 * SAMPLES_PER_MS
    before, after = np.flatnonzero(harness.sound[:paused_at]), np.flatnonzero(harness.sound[resumed_at:])
    assert after[0] < 20 * SAMPLES_PER_MS, "the avatar goes on with the next block"
    assert not harness.performance.underruns
    # The samples count from 1. Those next to the pause are faded: 10 ms before it, 5 ms after it.
    said = before[-1] + 1 - before[0] + 10 * SAMPLES_PER_MS
    inner = harness.sound[resumed_at:][after[0] + 6 * SAMPLES_PER_MS : after[-1] - SAMPLES_PER_MS].astype(int)
    assert inner[0] == pytest.approx(said + 6 * SAMPLES_PER_MS + 1, abs=2)
    assert np.diff(inner).min() >= 0 and np.diff(inner).max() <= 2 and len(inner) > 200 * SAMPLES_PER_MS


def test_the_avatar_rests_in_a_long_pause_and_an_interrupt_ends_it(harness: Harness) -> None:
    harness.speak(tone(2000), RATE_HZ, utterance_id="a", final=True)
    harness.run(500)
    harness.performance.pause()
    harness.run(500)
    assert [state for _, state in harness.states] == ["speaking", "idle"]
    assert harness.jaws[-1][1] == 0.0 and harness.ends == []
    harness.interrupt()
    harness.speak(tone(200), RATE_HZ, utterance_id="b", final=True)
    harness.run(600)
    assert [(end.utterance_id, end.interrupted) for end in harness.ends] == [("a", True), ("b", False)]
    assert played_samples(harness.ends[0]) == pytest.approx(510 * SAMPLES_PER_MS, abs=20 * SAMPLES_PER_MS)


def test_speech_that_has_not_begun_waits_for_the_end_of_a_pause(harness: Harness) -> None:
    harness.speak(tone(200), RATE_HZ, utterance_id="a", final=True)
    assert not harness.performance.pause(), "no sound stops"
    harness.run(500)
    assert harness.playback == [] and not harness.sound.any()
    harness.performance.resume()
    harness.run(500)
    assert [end.interrupted for end in harness.ends] == [False]


def test_a_pause_without_speech_has_no_effect(harness: Harness) -> None:
    assert not harness.performance.pause()
    harness.speak(tone(200), RATE_HZ, utterance_id="a", final=True)
    harness.run(500)
    assert len(harness.ends) == 1


def test_a_pause_is_no_underrun(harness: Harness) -> None:
    harness.speak(tone(1000), RATE_HZ, utterance_id="a", final=True)
    for _ in range(10):
        harness.run(60)
        harness.performance.pause()
        harness.run(60)
        harness.performance.resume()
    assert harness.performance.underruns == 0 and harness.performance._margin_samples == 0


def test_speech_beyond_600_s_is_refused_whole(harness: Harness) -> None:
    p = harness.performance
    minute = np.zeros(60 * 8000, np.int16)
    for _ in range(9):
        harness.speak(minute, 8000, utterance_id="long")
    harness.speak(minute[: 50 * 8000], 8000, utterance_id="long")
    before = p.queued_samples
    with pytest.raises(QueueFull):
        harness.speak(minute[: 11 * 8000], 8000, utterance_id="other", final=True)
    assert p.queued_samples == before == 590 * PLAYOUT_RATE_HZ
    assert harness.speak(minute[: 10 * 8000], 8000) == "long", "the open utterance stays open"


def test_a_flood_of_empty_utterances_is_refused(harness: Harness) -> None:
    with pytest.raises(QueueFull):
        for number in range(5000):
            harness.speak(np.zeros(0, np.int16), RATE_HZ, utterance_id=str(number), final=True)


def test_an_empty_final_utterance_starts_and_finishes(harness: Harness) -> None:
    harness.speak(np.zeros(0, np.int16), RATE_HZ, utterance_id="e", final=True)
    harness.run(40)
    assert [event for _, event in harness.playback] == [
        PlaybackStarted(utterance_id="e"),
        PlaybackFinished(utterance_id="e", position_s=0.0, interrupted=False),
    ]


def test_a_change_of_rate_within_an_utterance_makes_no_gap(harness: Harness) -> None:
    harness.speak(tone(200, 16000), 16000)
    harness.speak(tone(200, 24000), 24000, final=True)
    harness.run(800)
    loud = np.flatnonzero(harness.sound)
    assert loud[-1] - loud[0] == pytest.approx(400 * SAMPLES_PER_MS, abs=2 * SAMPLES_PER_MS)
    assert np.diff(loud).max() < 3 * SAMPLES_PER_MS


def test_the_same_seed_and_calls_give_the_same_performance() -> None:
    def perform() -> Harness:
        harness = Harness()
        harness.run(100)
        harness.speak(tone(300), RATE_HZ, final=True)
        harness.run(700)
        return harness

    one, other = perform(), perform()
    assert (one.sound == other.sound).all() and one.jaws == other.jaws and one.playback == other.playback


def test_state_changes_come_in_order_with_playback_events(harness: Harness) -> None:
    harness.run(100)
    assert not harness.states
    harness.speak(tone(210), RATE_HZ, utterance_id="a", final=True)
    harness.speak(tone(210), RATE_HZ, utterance_id="b", final=True)
    harness.run(600)
    (started_at, _), _, _, (ended_at, _) = harness.playback
    assert harness.states == [(started_at, "speaking"), (ended_at, "idle")], (
        "two utterances without a gap are one speaking state"
    )


def test_a_client_can_set_listening_and_thinking(harness: Harness) -> None:
    p = harness.performance
    p.set_state("listening")
    harness.run(60)
    p.set_state("thinking")
    harness.run(60)
    harness.speak(tone(100), RATE_HZ, final=True)
    harness.run(300)
    p.set_state("listening")
    harness.run(60)
    assert [state for _, state in harness.states] == ["listening", "thinking", "speaking", "listening"]


def test_thinking_set_during_speech_follows_it(harness: Harness) -> None:
    p = harness.performance
    harness.speak(tone(300), RATE_HZ, final=True)
    harness.run(100)
    p.set_state("thinking")
    harness.run(600)
    assert [state for _, state in harness.states] == ["speaking", "thinking"]


def test_an_interrupt_ends_the_speaking_state_at_once(harness: Harness) -> None:
    harness.speak(tone(2000), RATE_HZ)
    harness.run(300)
    harness.interrupt()
    harness.run(60)
    assert [state for _, state in harness.states] == ["speaking", "idle"]


def test_an_interrupt_that_overtakes_speech_drops_it_on_arrival(harness: Harness) -> None:
    """Pieces 2 to 5 were sent before the interrupt and arrive after it."""
    p = harness.performance
    harness.speak(tone(1000), RATE_HZ, utterance_id="a")
    harness.run(300)
    called_at = p.position
    harness.interrupt(through=5)
    harness.run(20)
    assert harness.speak(tone(500), RATE_HZ, utterance_id="a") == "a"
    assert harness.speak(tone(500), RATE_HZ) == "a"
    assert harness.speak(tone(500), RATE_HZ, utterance_id="b") == "b"
    assert harness.speak(tone(500), RATE_HZ, final=True) == "b"
    harness.run(500)
    assert not harness.sound[called_at + 480 :].any() and harness.sound[called_at : called_at + 480].any()
    assert all(jaw == 0.0 for at, jaw in harness.jaws if at >= called_at + 100 * SAMPLES_PER_MS)
    assert [(end.utterance_id, end.interrupted) for end in harness.ends] == [("a", True), ("b", True)]
    assert played_samples(harness.ends[0]) == pytest.approx(called_at - 60 * SAMPLES_PER_MS, abs=70 * SAMPLES_PER_MS)
    assert played_samples(harness.ends[1]) == 0
    assert harness.speak(tone(200), RATE_HZ, utterance_id="c", final=True) == "c", (
        "number 6 was sent after the interrupt"
    )
    harness.run(500)
    assert (harness.ends[2].utterance_id, harness.ends[2].interrupted) == ("c", False)
    assert played_samples(harness.ends[2]) == 200 * SAMPLES_PER_MS


def test_every_utterance_of_late_pieces_has_one_end(harness: Harness) -> None:
    harness.interrupt(through=6)
    ids = [harness.speak(tone(100), RATE_HZ, final=final) for final in (False, True, False, False, True, False)]
    assert ids == ["utt_1", "utt_1", "utt_2", "utt_2", "utt_2", "utt_3"]
    assert harness.speak(tone(100), RATE_HZ, final=True) == "utt_4", "speech after the interrupt is played"
    harness.run(500)
    assert [(end.utterance_id, end.interrupted) for end in harness.ends] == [
        ("utt_1", True),
        ("utt_2", True),
        ("utt_3", True),
        ("utt_4", False),
    ]


def test_an_interrupt_does_not_drop_speech_with_a_higher_number(harness: Harness) -> None:
    """This happens when two interrupts are sent and the earlier one arrives later."""
    harness.speak(tone(600), RATE_HZ, number=8, utterance_id="after", final=True)
    harness.run(200)
    harness.interrupt(through=7)
    harness.run(800)
    (end,) = harness.ends
    assert not end.interrupted and played_samples(end) == 600 * SAMPLES_PER_MS


def test_a_flood_of_tiny_utterances_fills_no_block_with_work(harness: Harness) -> None:
    """Two of them begin in a block at most, and each is played whole."""
    for number in range(40):
        harness.speak(tone(1), RATE_HZ, utterance_id=f"tiny {number}", final=True)
    for _ in range(30):
        before = len(harness.ends)
        harness.run(20)
        assert len(harness.ends) <= before + 2
    assert len(harness.ends) == 40
    assert {played_samples(end) for end in harness.ends} == {48}


def test_audio_that_comes_in_tiny_pieces_counts_to_the_sample() -> None:
    """A second at 44.1 kHz in pieces of 100 samples, each 108.84 samples at 48 kHz: first while it waits, then while
    it plays.
    """
    performance = Performance(seed=1, open_speech=LoudnessToMotion)
    speaker = Speaker(performance)
    pcm = np.full(44_100, 1000, np.int16)
    for start in range(0, len(pcm), 100):
        speaker.speak(pcm[start : start + 100], 44_100, utterance_id="u")
    assert performance.queued_samples == PLAYOUT_RATE_HZ
    (held,) = performance.held_utterances()
    assert held.received_s == 1.0
    while performance.position < PLAYOUT_RATE_HZ // 2:
        performance.next_block()
    current = performance.current
    assert current is not None
    # The resamplers hold back what they are not certain of: at most 2 ms.
    assert 0 <= PLAYOUT_RATE_HZ - current.media.played - performance.queued_samples <= 2 * SAMPLES_PER_MS
