"""What an agent's byte streams become: segments of speech that each end once, whatever gets lost."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from visavis.rooms.livekit.segments import Begun, Cleared, Empty, Refused, Segments, Step
from visavis.rooms.port import RoomSpeech

MONO = {"sample_rate": "24000", "num_channels": "1"}
PCM = b"\x01\x00" * 240


def spoken(steps: list[Step]) -> list[tuple[str, int, bool]]:
    return [(step.segment_id, len(step.pcm), step.final) for step in steps if isinstance(step, RoomSpeech)]


def begun(steps: list[Step]) -> str:
    (segment_id,) = [step.segment_id for step in steps if isinstance(step, Begun)]
    return segment_id


def test_a_stream_is_one_segment_until_it_is_closed() -> None:
    segments = Segments()
    name = begun(segments.open("s", "agent", MONO, 0.0))
    assert spoken(segments.chunk("s", 0, PCM, 0.0)) == [(name, 480, False)]
    assert segments.pass_time(60.0) == []  # silence is no end: the agent thinks
    assert spoken(segments.chunk("s", 1, PCM, 60.0)) == [(name, 480, False)]
    assert spoken(segments.close("s")) == [(name, 0, True)]
    assert segments.close("s") == []


def test_a_stream_without_a_trailer_ends_with_the_next_one() -> None:
    segments = Segments()
    first = begun(segments.open("s1", "agent", MONO, 0.0))
    segments.chunk("s1", 0, PCM, 0.0)
    steps = segments.open("s2", "agent", MONO, 0.1)
    assert spoken(steps) == [(first, 0, True)]
    second = begun(steps)
    assert segments.chunk("s1", 1, PCM, 0.2) == []
    assert spoken(segments.chunk("s2", 0, PCM, 0.2)) == [(second, 480, False)]


def test_a_trailer_before_its_chunks_ends_the_segment_once() -> None:
    segments = Segments()
    name = begun(segments.open("s", "agent", MONO, 0.0))
    assert segments.close("s") == [Empty(segment_id=name, interrupted=False)]
    assert segments.chunk("s", 0, PCM, 0.1) == [] and segments.close("s") == []


def test_missing_chunks_are_counted_and_the_rest_is_spoken() -> None:
    segments = Segments()
    name = begun(segments.open("s", "agent", MONO, 0.0))
    segments.chunk("s", 0, PCM, 0.0)
    assert spoken(segments.chunk("s", 3, PCM, 0.1)) == [(name, 480, False)]
    assert segments.missing_chunks == 2


def test_a_clear_before_the_first_sample_tells_of_a_captured_segment_only() -> None:
    segments = Segments()
    assert segments.clear() == [Cleared()]
    name = begun(segments.open("s", "agent", MONO, 0.0))
    assert segments.clear() == [Cleared(), Empty(segment_id=name, interrupted=True)]
    assert segments.clear() == [Cleared()] and segments.close("s") == []


def test_after_a_clear_what_was_on_its_way_is_dropped_and_a_new_stream_is_heard() -> None:
    segments = Segments()
    segments.open("s1", "agent", MONO, 0.0)
    segments.chunk("s1", 0, PCM, 0.0)
    segments.clear()
    assert segments.chunk("s1", 1, PCM, 0.01) == []
    steps = segments.open("s2", "agent", MONO, 0.015)
    assert [type(step) for step in steps] == [Begun]
    assert spoken(segments.chunk("s2", 0, PCM, 0.02)) == [(begun(steps), 480, False)]
    assert segments.chunk("s1", 2, PCM, 0.02) == []


def test_a_client_that_goes_on_in_the_same_stream_after_a_clear_is_heard_after_a_silence() -> None:
    segments = Segments(ends_by_silence=True)
    first = begun(segments.open("s", "agent", MONO, 0.0))
    segments.chunk("s", 0, PCM, 0.0)
    segments.clear()
    assert segments.chunk("s", 1, PCM, 0.1) == []
    steps = segments.chunk("s", 2, PCM, 0.5)
    second = begun(steps)
    assert second != first and spoken(steps) == [(second, 480, False)]
    assert segments.pass_time(0.7) == []
    assert spoken(segments.pass_time(0.81)) == [(second, 0, True)]
    third = begun(segments.chunk("s", 3, PCM, 1.5))
    assert third not in (first, second)


def test_bytes_are_split_anywhere_and_two_channels_are_mixed() -> None:
    segments = Segments()
    segments.open("s", "agent", {"sample_rate": "48000", "num_channels": "2"}, 0.0)
    samples = np.arange(2000, dtype="<i2").reshape(-1, 2)
    content, heard = samples.tobytes(), b""
    for at in range(0, len(content), 7):
        for step in segments.chunk("s", at // 7, content[at : at + 7], 0.0):
            assert isinstance(step, RoomSpeech)
            heard += step.pcm
    assert np.array_equal(np.frombuffer(heard, "<i2"), samples[:, 0])  # the mean of n and n + 1, rounded down


def test_odd_streams_are_refused_and_the_next_one_plays() -> None:
    segments = Segments()
    for attributes in (
        {},
        {"sample_rate": "96000"},
        {"sample_rate": "-1"},
        {"sample_rate": "²"},
        MONO | {"num_channels": "6"},
    ):
        steps = segments.open("odd", "agent", attributes, 0.0)
        assert [type(step) for step in steps] == [Refused, Begun, Empty]
        assert steps[2] == Empty(segment_id=begun(steps), interrupted=True)
        assert segments.chunk("odd", 0, PCM, 0.0) == [] and segments.close("odd") == []
    name = begun(segments.open("s", "agent", MONO, 0.0))
    assert spoken(segments.chunk("s", 0, PCM, 0.0)) == [(name, 480, False)]


def test_an_agent_that_leaves_ends_its_segment() -> None:
    segments = Segments()
    name = begun(segments.open("s", "agent", MONO, 0.0))
    segments.chunk("s", 0, PCM, 0.0)
    assert segments.leave("somebody") == []
    assert spoken(segments.leave("agent")) == [(name, 0, True)]


def test_a_stream_of_which_nothing_comes_after_a_loss_is_closed_and_one_that_goes_on_is_not() -> None:
    segments = Segments()
    assert not segments.doubt() and segments.close_doubtful() == []
    name = begun(segments.open("s", "agent", MONO, 0.0))
    segments.chunk("s", 0, PCM, 0.0)
    assert segments.doubt()
    segments.chunk("s", 4, PCM, 0.1)
    assert segments.close_doubtful() == []
    assert segments.doubt()
    assert spoken(segments.close_doubtful()) == [(name, 0, True)]
    empty = begun(segments.open("t", "agent", MONO, 0.2))
    segments.doubt()
    assert segments.close_doubtful() == [Empty(segment_id=empty, interrupted=True)]


ACTIONS = st.one_of(
    st.tuples(st.just("open"), st.sampled_from("abc"), st.just(b"")),
    st.tuples(st.just("chunk"), st.sampled_from("abc"), st.binary(max_size=5)),
    st.tuples(st.just("close"), st.sampled_from("abc"), st.just(b"")),
    st.tuples(st.just("clear"), st.just(""), st.just(b"")),
    st.tuples(st.just("pass"), st.just(""), st.just(b"")),
)


@given(st.lists(ACTIONS, max_size=40), st.booleans())
def test_in_any_order_each_segment_ends_once_at_most_and_never_speaks_after_its_end(
    actions: list[tuple[str, str, bytes]], by_silence: bool
) -> None:
    segments, now_s = Segments(ends_by_silence=by_silence), 0.0
    open_now: set[str] = set()
    steps: list[Step]
    for number, (action, stream, content) in enumerate(actions):
        now_s += 0.2
        match action:
            case "open":
                steps = segments.open(stream, "agent", MONO, now_s)
            case "chunk":
                steps = segments.chunk(stream, number, content, now_s)
            case "close":
                steps = segments.close(stream)
            case "clear":
                steps = segments.clear()
            case _:
                steps = segments.pass_time(now_s)
        for step in steps:
            match step:
                case Begun(segment_id=name):
                    open_now.add(name)
                case RoomSpeech(segment_id=name, final=final):
                    assert name in open_now
                    open_now -= {name} if final else set()
                case Empty(segment_id=name):
                    assert name in open_now
                    open_now.discard(name)
                case Cleared():
                    open_now = {
                        name for name in open_now if any(Empty(segment_id=name, interrupted=True) == s for s in steps)
                    }
    assert len(open_now) <= 1
