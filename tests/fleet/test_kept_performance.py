"""What a fleet keeps of a session is enough to go on with it: performances on a virtual clock, which lose their stage
at any block. Nothing is lost, nothing is said twice but the last 100 ms, and each utterance ends once.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from operator import itemgetter

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.stage.flashing_parts import LoudnessToMotion
from visavis.engine.motion.mood import Mood
from visavis.engine.output import Output
from visavis.engine.pack_ref import PackRef
from visavis.engine.speech.phones import TimedViseme
from visavis.fleet.kept_performance import KeptPerformance
from visavis.rooms.spec import DailyRoomSpec, LiveKitRoomSpec
from visavis.stage.kept_utterance import JOINED_BYTES, KeptUtterance
from visavis.stage.performance import Performance
from visavis.stage.port import messages
from visavis.stage.port.events import (
    PlaybackFinished,
    PlaybackProgress,
    PlaybackStarted,
    RoomTokenRefreshed,
    SegmentsOpen,
    SpeechEvent,
    StateChanged,
    ViewerJoined,
    ViewerLeft,
)
from visavis.stage.port.messages import Done
from visavis.stage.port.so_far import SegmentSoFar
from visavis.stage.port.values import PerformanceSpec, Speech, Spoken
from visavis.stage.session import PROGRESS_EVERY_BLOCKS
from visavis.stage.timeline import BLOCK_SAMPLES, PLAYOUT_RATE_HZ, SAMPLES_PER_MS
from visavis.stage.utterances import UtteranceState

SPEC = PerformanceSpec(session_id="sess_1", pack=PackRef(avatar_id="avat_1", version=1, digest="0" * 64))
BLOCK_S = BLOCK_SAMPLES / PLAYOUT_RATE_HZ
TWICE_SAMPLES = PROGRESS_EVERY_BLOCKS * BLOCK_SAMPLES


def ramp(duration_ms: int, rate_hz: int = 48_000, start: int = 1) -> bytes:
    """Sound whose samples count up, so that each can be told from the others."""
    samples: NDArray[np.int16] = np.arange(start, start + duration_ms * rate_hz // 1000).astype("<i2")
    return samples.tobytes()


@dataclass
class Moving:
    """A performance, what a fleet keeps of it, and everything that viewers and the client get."""

    now_s: float = 0.0
    number: int = 0
    sound: NDArray[np.int16] = field(default_factory=lambda: np.zeros(0, np.int16))
    events: list[SpeechEvent] = field(default_factory=list)
    ended: dict[str, UtteranceState] = field(default_factory=dict)  # how each utterance has ended, told or not

    def __post_init__(self) -> None:
        self.kept = KeptPerformance(SPEC, now_s=self.now_s)
        self.performance = Performance(seed=1, open_speech=LoudnessToMotion)

    def speak(
        self, pcm: bytes, rate_hz: int = 48_000, utterance_id: str | None = None, *, final: bool = False, **more: object
    ) -> Spoken:
        self.number += 1
        speech = Speech(
            pcm=pcm,
            sample_rate_hz=rate_hz,
            number=self.number,
            utterance_id=utterance_id,
            final=final,
            **more,  # type: ignore[arg-type]
        )
        spoken = self.performance.speak(speech)
        self.kept.carried_out(messages.Speak(speech=speech), spoken, now_s=self.now_s)
        return spoken

    def interrupt(self) -> None:
        self.number += 1
        self.performance.interrupt(through=self.number)
        self.kept.carried_out(messages.Interrupt(through=self.number), Done(), now_s=self.now_s)
        self._note_ended()

    def run(self, duration_ms: int) -> None:
        for _ in range(duration_ms // 20):
            at = self.performance.position
            self.sound = np.concatenate([self.sound, self.performance.next_block()])
            self.take(self.performance.events())
            if at // BLOCK_SAMPLES % PROGRESS_EVERY_BLOCKS == 0 and (progress := self.performance.take_progress()):
                self.kept.observe(progress)
            self.now_s += BLOCK_S
        self._note_ended()

    def _note_ended(self) -> None:
        self.ended.update((one.utterance_id, one.state) for one in self.performance.take_ended())

    def take(self, events: list[SpeechEvent]) -> None:
        self.events += [event for event in events if self.kept.observe(event)]

    def lose_stage(self, *, away_ms: int = 0) -> None:
        """Go on on another stage. What the lost one has not told is gone with it."""
        self.now_s += away_ms / 1000
        so_far = self.kept.so_far(now_s=self.now_s, viewers=0)
        self.performance = Performance(seed=1, open_speech=LoudnessToMotion, position=so_far.position)
        self.performance.go_on(so_far, now_ns=1)

    @property
    def starts(self) -> list[str]:
        return [event.utterance_id for event in self.events if isinstance(event, PlaybackStarted)]

    @property
    def ends(self) -> list[tuple[str, float, bool]]:
        return [
            (event.utterance_id, round(event.position_s, 3), event.interrupted)
            for event in self.events
            if isinstance(event, PlaybackFinished)
        ]


@pytest.mark.parametrize("lost_after_ms", [20, 140, 500, 980, 1100])
def test_the_rest_of_an_utterance_is_said_at_its_own_positions(lost_after_ms: int) -> None:
    session = Moving()
    session.speak(ramp(600), utterance_id="a")
    session.speak(ramp(400, start=28_801 - 65_536), final=True)
    session.run(lost_after_ms)
    session.lose_stage(away_ms=700)
    session.run(1600)
    assert session.starts == ["a"] and session.ends == [("a", 1.0, False)]
    heard = session.sound[session.sound != 0]
    assert len(heard) - 1000 * SAMPLES_PER_MS <= TWICE_SAMPLES
    jumps = np.flatnonzero(np.diff(heard.astype(np.int64)) % 65_536 != 1)
    assert len(set(heard.tolist())) >= 48_000 - 700, "all of it was said: but for the two fades at the cut"
    assert len(jumps) <= 2 * 240 + 4, "it goes on in order, but for the fade"


def test_the_open_utterance_stays_open_and_keeps_its_id_and_its_mood() -> None:
    session = Moving()
    happy = Mood(happy=1.0)
    session.speak(ramp(300), utterance_id="a", mood=happy)
    session.run(1000)
    session.lose_stage()
    session.run(1000)
    assert session.ends == [] and session.performance.current is not None
    session.speak(ramp(200))
    session.run(200)
    media = session.performance.current.media
    assert media.mood_at(media.played) == happy
    session.speak(b"", utterance_id="a", final=True)
    session.run(1000)
    assert session.starts == ["a"] and session.ends == [("a", 0.5, False)]


def test_what_waits_in_the_queue_is_said_too_and_ids_go_on() -> None:
    session = Moving()
    assert session.speak(ramp(200), final=True).utterance_id == "utt_1"
    session.speak(ramp(200), utterance_id="b", final=True)
    session.speak(ramp(100), utterance_id="c", final=True)
    session.run(100)
    session.lose_stage()
    assert session.speak(ramp(100), final=True).utterance_id == "utt_2"
    session.run(1200)
    assert session.starts == ["utt_1", "b", "c", "utt_2"]
    assert session.ends == [("utt_1", 0.2, False), ("b", 0.2, False), ("c", 0.1, False), ("utt_2", 0.1, False)]


def test_an_utterance_without_a_name_ends_when_it_is_idle_on_the_next_stage() -> None:
    session = Moving()
    session.speak(ramp(200))
    session.run(100)
    session.lose_stage()
    session.run(1000)
    assert session.ends == [("utt_1", 0.2, False)]


def test_audio_of_an_interrupted_utterance_stays_dropped() -> None:
    session = Moving()
    session.speak(ramp(600), utterance_id="a")
    session.run(200)
    session.interrupt()
    session.run(40)
    session.lose_stage()
    assert session.speak(ramp(100), utterance_id="a", final=True).samples == 0
    session.speak(ramp(100), utterance_id="b", final=True)
    session.run(600)
    assert [(end[0], end[2]) for end in session.ends] == [("a", True), ("b", False)]


def test_an_interrupt_without_a_stage_ends_the_utterances_where_they_were() -> None:
    session = Moving()
    session.speak(ramp(600), utterance_id="a", final=True)
    session.speak(ramp(600), utterance_id="b")
    session.run(320)
    ends = session.kept.speech.drop(through=session.number)
    assert [(end.utterance_id, end.interrupted) for end in ends] == [("a", True), ("b", True)]
    assert 0.2 <= ends[0].position_s <= 0.32 and ends[1].position_s == 0.0
    session.lose_stage()
    session.run(600)
    assert session.ends == [] and not session.sound[320 * SAMPLES_PER_MS :].any()


def test_an_interrupt_that_arrives_before_the_rest_of_a_performance_drops_it() -> None:
    session = Moving()
    session.speak(ramp(600), utterance_id="a")
    session.run(320)
    so_far = session.kept.so_far(now_s=session.now_s, viewers=0)
    performance = Performance(seed=1, open_speech=LoudnessToMotion, position=so_far.position)
    performance.interrupt(through=session.number)
    performance.go_on(so_far, now_ns=1)
    performance.next_block()
    (end,) = [event for event in performance.events() if isinstance(event, PlaybackFinished)]
    assert end.utterance_id == "a" and end.interrupted and 0.2 <= end.position_s <= 0.32


def test_states_are_told_once() -> None:
    session = Moving()
    session.kept.carried_out(messages.SetState(state="listening"), Done(), now_s=0.0)
    session.performance.set_state("listening")
    session.speak(ramp(400), utterance_id="a", final=True)
    session.run(200)
    session.lose_stage()
    session.run(800)
    states = [event.state for event in session.events if isinstance(event, StateChanged)]
    assert states == ["speaking", "listening"]


def test_a_hold_and_the_viewers_are_kept() -> None:
    kept = KeptPerformance(SPEC, now_s=10.0)
    kept.carried_out(messages.HoldForViewer(seconds=5.0), Done(), now_s=11.0)
    assert kept.so_far(now_s=12.0, viewers=0).hold_s == 4.0
    kept.observe(ViewerJoined(viewer_id="v", viewers=1))
    assert kept.so_far(now_s=12.0, viewers=1).hold_s == 0.0 and kept.viewers == {"v"}
    kept.observe(ViewerLeft(viewer_id="v", viewers=0))
    assert kept.viewers == set()


def test_the_size_the_output_the_name_and_the_clock_are_those_of_now() -> None:
    daily = DailyRoomSpec(url="https://visavis.daily.co/hello", token="t", name="Iris")
    kept = KeptPerformance(msgspec.structs.replace(SPEC, room=daily), now_s=10.0)
    output = Output(mood=Mood(happy=0.5))
    kept.carried_out(messages.Resize(width_px=640, height_px=480), Done(), now_s=11.0)
    kept.carried_out(messages.SetOutput(output=output), Done(), now_s=11.0)
    kept.carried_out(messages.ShowName(name="AI Avatar (AH)"), Done(), now_s=11.0)
    kept.carried_out(messages.StreamMotion(on=True), Done(), now_s=11.0)
    so_far = kept.so_far(now_s=12.5, viewers=0)
    assert so_far.spec.room == msgspec.structs.replace(daily, name="AI Avatar (AH)")
    assert (so_far.spec.width_px, so_far.spec.height_px, so_far.spec.output) == (640, 480, output)
    assert so_far.streams_motion and so_far.position == 2.5 * PLAYOUT_RATE_HZ


def test_the_next_stage_joins_a_livekit_room_with_the_newest_token() -> None:
    room = LiveKitRoomSpec(url="wss://livekit.example.com", token="first", networks=("10.0.0.0/8",))
    kept = KeptPerformance(msgspec.structs.replace(SPEC, room=room), now_s=0.0)
    for token in ("second", "third"):
        assert not kept.observe(RoomTokenRefreshed(token=token)), "nobody else has to know it"
    assert kept.so_far(now_s=1.0, viewers=0).spec.room == msgspec.structs.replace(room, token="third")


def test_the_open_segments_of_a_room_are_kept_with_what_was_played_of_them() -> None:
    kept = KeptPerformance(SPEC, now_s=0.0)
    assert kept.observe(SegmentsOpen(agents={"a": "agent"})), "its session waits for them when its server stops"
    kept.observe(PlaybackProgress(utterance_id="a", played_samples=4800))
    kept.observe(SegmentsOpen(agents={"a": "agent", "b": "agent"}))
    so_far = kept.so_far(now_s=1.0, viewers=0)
    assert so_far.segments == (
        SegmentSoFar(segment_id="a", agent="agent", played_samples=4800),
        SegmentSoFar(segment_id="b", agent="agent"),
    )
    kept = KeptPerformance.of(so_far, now_s=1.0)
    kept.observe(SegmentsOpen(agents={"b": "agent"}))
    assert [one.segment_id for one in kept.so_far(now_s=2.0, viewers=0).segments] == ["b"]
    kept.observe(PlaybackFinished(utterance_id="b", position_s=0.0, interrupted=True))  # its stage was lost
    assert kept.so_far(now_s=2.0, viewers=0).segments == (), "each ends once, though the next stage is lost as well"


def test_a_performance_so_far_can_be_kept_on() -> None:
    """Another server goes on with it: what it keeps is the same, and follows the same events."""
    session = Moving()
    session.speak(ramp(300), utterance_id="a", final=True)
    session.speak(ramp(100), utterance_id="b")
    session.interrupt()
    session.speak(ramp(400), utterance_id="c", mood=Mood(sad=1.0))
    session.speak(ramp(10))
    session.run(240)
    so_far = session.kept.so_far(now_s=session.now_s, viewers=0)
    assert [one.utterance_id for one in so_far.utterances] == ["c"]
    session.kept = KeptPerformance.of(so_far, now_s=session.now_s)
    assert session.kept.so_far(now_s=session.now_s, viewers=0) == so_far
    session.lose_stage()
    session.speak(b"", utterance_id="c", final=True)
    session.run(800)
    assert session.ends[-1] == ("c", 0.41, False) and session.starts == ["c"]


def test_a_piece_keeps_the_visemes_of_its_rest() -> None:
    kept = KeptUtterance(utterance_id="a", first_number=1)
    visemes = (TimedViseme(1, 0.0, 50.0), TimedViseme(2, 50.0, 150.0), TimedViseme(3, 150.0, 200.0))
    kept.add(Speech(pcm=ramp(200, 16_000), sample_rate_hz=16_000, number=1, visemes=visemes))
    kept.played(100 * SAMPLES_PER_MS)
    (rest,) = kept.so_far().pieces
    assert rest.visemes == (TimedViseme(2, 0.0, 50.0), TimedViseme(3, 50.0, 100.0))
    assert rest.pcm == ramp(200, 16_000)[2 * 1600 :]


def test_a_sample_that_was_cut_between_two_pieces_stays_whole() -> None:
    pcm = ramp(200)
    for played_ms in (0, 50, 99, 100, 101, 150):
        kept = KeptUtterance(utterance_id="a", first_number=1)
        cut = 2 * 100 * SAMPLES_PER_MS + 1
        kept.add(Speech(pcm=pcm[:cut], sample_rate_hz=48_000, number=1))
        kept.add(Speech(pcm=pcm[cut:], sample_rate_hz=48_000, number=2))
        kept.played(played_ms * SAMPLES_PER_MS)
        so_far = kept.so_far()
        assert b"".join(piece.pcm for piece in so_far.pieces) == pcm[2 * played_ms * SAMPLES_PER_MS :]
    kept = KeptUtterance(utterance_id="a", first_number=1)
    kept.add(Speech(pcm=pcm[:3], sample_rate_hz=48_000, number=1))
    kept.played(1)
    assert [piece.pcm for piece in kept.so_far().pieces] == [pcm[2:3]], "the half waits for the other one"


def test_nothing_is_kept_that_was_played_and_pieces_are_not_copied() -> None:
    kept = KeptUtterance(utterance_id="a", first_number=1)
    pieces = [ramp(100, start=1 + k * 4800) for k in range(6)]
    for piece in pieces:
        kept.add(Speech(pcm=piece, sample_rate_hz=48_000, number=1))
    assert kept.size_bytes == 6 * len(pieces[0])
    kept.played(450 * SAMPLES_PER_MS)
    assert kept.size_bytes == 2 * len(pieces[0])
    assert kept.so_far().pieces[1].pcm is pieces[5]
    kept.played(600 * SAMPLES_PER_MS)
    assert kept.size_bytes == 0


def test_a_flood_of_tiny_pieces_is_joined() -> None:
    kept = KeptUtterance(utterance_id="a", first_number=1)
    whole = ramp(200, 16_000)
    for at in range(0, len(whole), 32):
        kept.add(Speech(pcm=whole[at : at + 32], sample_rate_hz=16_000, number=1))
    pieces = kept.so_far().pieces
    assert b"".join(piece.pcm for piece in pieces) == whole
    assert len(pieces) == -(-len(whole) // JOINED_BYTES)


def test_the_clock_of_a_performance_begins_when_its_first_stage_has_opened_it() -> None:
    kept = KeptPerformance(SPEC, now_s=10.0)
    kept.opened(now_s=12.5)
    assert kept.position(now_s=13.5) == PLAYOUT_RATE_HZ


STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("speak"),
            st.sampled_from([None, None, "a", "b", "c"]),
            st.integers(0, 260),
            st.sampled_from([8000, 16_000, 44_100]),
            st.booleans(),
        ),
        st.tuples(st.just("run"), st.sampled_from([20, 60, 200, 500])),
        st.tuples(st.just("interrupt")),
    ),
    max_size=14,
)


TWICE_THE_SAME_NAME = [
    ("speak", "b", 167, 8000, False),
    ("speak", "a", 1, 8000, False),
    ("run", 200),
    ("speak", "b", 253, 8000, True),
    ("speak", "b", 253, 8000, False),
    ("run", 500),
    ("interrupt",),
]
UNTOLD_END = [
    ("speak", None, 90, 44_100, False),
    ("speak", "a", 91, 44_100, True),
    ("run", 200),
    ("interrupt",),
    ("speak", "a", 1, 44_100, True),
]


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, losses=st.sets(st.integers(0, 14), max_size=3))
@example(steps=UNTOLD_END, losses={0, 3})
@example(steps=TWICE_THE_SAME_NAME, losses={6})
def test_with_and_without_losses_the_same_utterances_end_in_the_same_way(
    steps: list[tuple[object, ...]], losses: set[int]
) -> None:
    """The client of a session whose stage is lost gets the same answers, and each utterance's end once.

    A stage may be lost when an utterance has finished and nobody was told yet. The next stage says its last 100 ms
    again, and an interrupt ends them. Then it depends on the loss whether audio with this id is dropped: the model's
    client does not use it again.
    """
    sessions = Moving(), Moving()
    undecided: set[object] = set()
    for number, step in enumerate([*steps, ("run", 6000)]):
        if number in losses:
            sessions[1].lose_stage()
        if step[0] == "speak" and step[1] in undecided:
            continue
        answers = []
        for session in sessions:
            match step:
                case ("speak", None | str() as name, int() as size_ms, int() as rate_hz, bool() as final):
                    answers.append(session.speak(ramp(size_ms, rate_hz), rate_hz, name, final=final))
                case ("run", int() as duration_ms):
                    session.run(duration_ms)
                case ("interrupt",):
                    session.interrupt()
        if step[0] == "interrupt":
            without, with_losses = (session.ended for session in sessions)
            for name in {name for name, _ in without.items() ^ with_losses.items()}:
                assert without[name] is UtteranceState.FINISHED and with_losses[name] is UtteranceState.INTERRUPTED
                undecided.add(name)
        if answers:
            assert (answers[0].utterance_id == answers[1].utterance_id) or not answers[0].samples
    counted = Counter(name for name, _, _ in sessions[1].ends)
    assert counted == Counter(name for name, _, _ in sessions[0].ends)
    ends, ends_with_losses = (sorted(session.ends, key=itemgetter(0)) for session in sessions)  # of a name, in order
    for (name, at_s, interrupted), (_, other_s, other) in zip(ends, ends_with_losses, strict=True):
        if not interrupted and not other:
            assert abs(at_s - other_s) <= 0.001, name
