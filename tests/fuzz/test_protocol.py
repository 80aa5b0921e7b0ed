"""Whatever a client sends, and whatever becomes of it: each frame has its answer, typed and once."""

from __future__ import annotations

import json
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.conversations import FAILURES, Conversation
from tests.fuzz.messages import INITS, PCM, messages
from tests.fuzz.scale import examples
from visavis.channel.handshake import FEATURES
from visavis.channel.port import Expiring, SessionOver, TakenOver
from visavis.channel.protocol import ChannelState
from visavis.stage.port.events import MotionCut, PlaybackFinished, PlaybackStarted, SampleCut, StateChanged

Step = Callable[[Conversation], None]

FAILURE = st.none() | st.integers(0, len(FAILURES) - 2)  # not the session's end, after which little can happen
EVENTS = st.sampled_from(
    [
        PlaybackStarted(utterance_id="a"),
        PlaybackFinished(utterance_id="a", position_s=0.5, interrupted=True),
        SampleCut(utterance_id="é\u2028"),
        StateChanged(state="speaking"),
        MotionCut(utterance_id="a", position_s=1e-9),
        Expiring(seconds_left=10),
    ]
)
TIMES_S = st.sampled_from([0.0, 0.5, 5.0])


def text(given: str, at_s: float) -> Step:
    return lambda conversation: conversation.text(given, at_s=at_s)


def binary(data: bytes, at_s: float) -> Step:
    return lambda conversation: conversation.binary(data, at_s=at_s)


def outcome(failure: int | None, samples: int) -> Step:
    return lambda conversation: conversation.outcome(failure=failure, samples=samples)


def interrupted(failure: int | None) -> Step:
    return lambda conversation: conversation.interrupted(failure=failure)


def updated(failure: int | None) -> Step:
    return lambda conversation: conversation.updated(failure=failure)


def come_back(missed: int) -> Step:
    return lambda conversation: conversation.come_back(missed=missed)


STEPS: st.SearchStrategy[Step] = st.one_of(
    st.builds(text, messages(), TIMES_S),
    st.builds(text, messages(), TIMES_S),
    st.builds(binary, PCM, TIMES_S),
    st.builds(outcome, FAILURE, st.integers(0, 3_000)),
    st.builds(interrupted, FAILURE),
    st.builds(updated, FAILURE),
    EVENTS.map(lambda event: lambda conversation: conversation.event(event)),
    st.builds(come_back, st.integers(0, 5)),
)


@examples(few=150, many=20_000)
@given(st.sets(st.sampled_from(sorted(FEATURES))), st.lists(STEPS, max_size=30))
def test_every_frame_of_a_conversation_has_its_answer(features: set[str], steps: list[Step]) -> None:
    conversation = Conversation(sorted(features))
    conversation.open()
    for step in steps:
        step(conversation)
    conversation.finish()


@examples(few=60, many=5_000)
@given(st.lists(STEPS, max_size=12), st.sampled_from([SessionOver(reason="é" * 80), TakenOver(), None]))
def test_a_conversation_may_end_at_any_time(steps: list[Step], end: SessionOver | TakenOver | None) -> None:
    conversation = Conversation(sorted(FEATURES))
    conversation.open()
    for step in steps[:6]:
        step(conversation)
    if end is None:
        conversation.protocol.server_failed()
        conversation.closed = True
    else:
        conversation.event(end)
    for step in steps[6:]:
        step(conversation)
    conversation.finish()


@examples(few=120, many=20_000)
@given(st.lists(INITS.map(json.dumps) | messages(), min_size=1, max_size=5))
def test_a_first_message_is_refused_with_a_reason_or_opens(openings: list[str]) -> None:
    conversation = Conversation([])
    for opening in openings:
        if conversation.protocol.state is not ChannelState.AWAITING_INIT:
            break
        conversation.first_message(opening)
    conversation.finish()
