"""When utterances pass through a stage. Times are those of a virtual clock, one block of sound every 20 ms."""

from __future__ import annotations

import numpy as np

from tests.stage.flashing_parts import parts
from visavis.stage.performance import Performance
from visavis.stage.port.events import UtteranceMeasured
from visavis.stage.port.values import Speech
from visavis.stage.timeline import duration_ns
from visavis.stage.utterance_log import MAX_MEASURED, UtteranceLog

RATE_HZ = 16_000
FRAME_SAMPLES = 1920
START_NS = 1_000_000_000


class Clock:
    """Takes blocks and frames of a performance in virtual time, and passes them to the log."""

    def __init__(self) -> None:
        self.performance = Performance(seed=1, open_speech=parts().open_speech)
        self.log = UtteranceLog()
        self._frame_at = 0
        self.watched = True
        self._number = 0

    @property
    def now_ns(self) -> int:
        return START_NS + duration_ns(self.performance.position)

    def speak(self, utterance_id: str, duration_ms: int, *, final: bool = True) -> None:
        self._number += 1
        pcm = np.full(duration_ms * RATE_HZ // 1000, 3000, "<i2").tobytes()
        speech = Speech(pcm=pcm, sample_rate_hz=RATE_HZ, number=self._number, utterance_id=utterance_id, final=final)
        self.performance.speak(speech, now_ns=self.now_ns)

    def interrupt(self) -> None:
        self.performance.interrupt(through=self._number)
        self.log.interrupted()

    def pass_time(self, duration_ms: int) -> None:
        for _ in range(duration_ms // 20):
            now_ns = self.now_ns
            self.performance.next_block()
            self.performance.events()
            self.log.block_taken(self.performance.head, self.performance.take_ended(), now_ns)
            while self._frame_at < self.performance.position:
                face = self.performance.face(self._frame_at)
                if face.times is not None and self.watched:
                    self.log.frame_encoded(face.times, self._frame_at, now_ns + 3_000_000)
                    self.log.picture_sent(self._frame_at, now_ns + 4_000_000)
                self._frame_at += FRAME_SAMPLES

    def take(self) -> dict[str, UtteranceMeasured]:
        return {one.utterance_id: one for one in self.log.take(self.now_ns)}


def test_an_utterance_is_measured_once_after_its_end() -> None:
    clock = Clock()
    clock.pass_time(100)
    clock.speak("one", 400)
    clock.pass_time(300)
    assert clock.take() == {}
    clock.pass_time(600)
    one = clock.take()["one"]
    assert (one.received_s, one.played_s, one.interrupted) == (0.1, 0.4, False)
    assert one.turn_ms == 0.0 and one.started_s == 0.1
    assert one.motion_ms is not None and one.frame_ms is not None and one.packet_ms is not None
    assert 0 <= one.motion_ms <= one.frame_ms < one.packet_ms < one.finished_ms
    assert one.packet_ms - one.frame_ms == 1.0 and 400 <= one.finished_ms <= 440
    assert clock.take() == {}


def test_an_utterance_that_waits_for_another_has_its_turn_when_that_one_ends() -> None:
    clock = Clock()
    clock.speak("one", 400)
    clock.speak("two", 200)
    clock.pass_time(1200)
    measured = clock.take()
    one, two = measured["one"], measured["two"]
    assert one.turn_ms == 0.0
    assert two.turn_ms is not None and two.frame_ms is not None
    assert 380 <= two.turn_ms <= two.frame_ms <= two.turn_ms + 60


def test_an_interrupted_utterance_tells_how_much_was_played_and_one_that_never_started_tells_nothing_more() -> None:
    clock = Clock()
    clock.speak("one", 1000)
    clock.speak("two", 1000)
    clock.pass_time(200)
    clock.interrupt()
    clock.speak("three", 200)
    clock.pass_time(1000)
    measured = clock.take()
    assert measured["one"].interrupted and 0.19 <= measured["one"].played_s <= 0.22
    two = measured["two"]
    assert two.interrupted and two.played_s == 0.0
    assert two.turn_ms is two.motion_ms is two.frame_ms is two.packet_ms is two.started_s is None
    assert measured["three"].turn_ms == 0.0


def test_without_viewers_there_is_no_first_frame() -> None:
    clock = Clock()
    clock.watched = False
    clock.speak("one", 100)
    clock.pass_time(1000)
    one = clock.take()["one"]
    assert one.frame_ms is one.packet_ms is None and one.motion_ms is not None


def test_an_utterance_shorter_than_a_block_has_its_times() -> None:
    clock = Clock()
    clock.speak("one", 5)
    clock.pass_time(1000)
    one = clock.take()["one"]
    assert one.played_s == 0.005 and one.turn_ms == 0.0 and one.motion_ms is not None


def test_a_flood_of_utterances_is_counted_and_not_reported() -> None:
    clock = Clock()
    for number in range(MAX_MEASURED + 30):
        clock.speak(f"u{number}", 10)
    clock.interrupt()
    clock.pass_time(500)
    assert len(clock.take()) == MAX_MEASURED
    assert clock.log.take_unmeasured() == 30
    assert clock.log.take_unmeasured() == 0


def test_underruns_are_counted() -> None:
    clock = Clock()
    clock.speak("one", 200, final=False)
    clock.pass_time(260)
    clock.speak("one", 200)
    clock.pass_time(800)
    assert clock.performance.underruns == 1
