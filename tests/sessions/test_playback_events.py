"""No end of an utterance is lost: not while the channel is away, not at a takeover, not at the session's end."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from tests.conftest import Service
from tests.sessions.test_live_sessions import TIMEOUT_S, create, init, speech
from visavis.channel.port import AttachedSession, SessionEvent, SessionOver, TakenOver, TextFailed, TokenRevoked
from visavis.errors import SessionEnded
from visavis.sessions.attachment import MAX_QUEUED_MOTION
from visavis.sessions.utterance_ledger import UtteranceLedger
from visavis.stage.port.events import (
    MotionFrames,
    PerformerMetrics,
    PlaybackFinished,
    PlaybackStarted,
    StateChanged,
)

pytestmark = pytest.mark.anyio


def end(name: str, *, interrupted: bool = False) -> PlaybackFinished:
    return PlaybackFinished(utterance_id=name, position_s=1.0, interrupted=interrupted)


async def events_until(attached: AttachedSession, last: SessionEvent) -> list[SessionEvent]:
    """Return the events up to `last`, without states."""
    events: list[SessionEvent] = []
    with anyio.fail_after(TIMEOUT_S):
        async for event in attached.events():
            if not isinstance(event, StateChanged):
                events.append(event)
            if event == last:
                return events
    raise AssertionError(events)


async def test_ends_are_kept_while_the_channel_is_away_and_told_to_the_next_one(service: Service) -> None:
    session = await create(service)
    performer = service.performer(session["session_id"])
    attached = await service.services.live.attach(init(session))
    await attached.detach()
    names = [str(number) for number in range(3000)]
    for name in names:
        performer.emit(PlaybackStarted(utterance_id=name))
        performer.emit(StateChanged(state="speaking"))
        performer.emit(PerformerMetrics(frames=25, late_frames=0, queued_s=0.0))
        performer.emit(end(name))
    await anyio.wait_all_tasks_blocked()
    again = await service.services.live.attach(init(session))
    performer.emit(end("last"))
    events = await events_until(again, end("last"))
    expected = [event for name in names for event in (PlaybackStarted(utterance_id=name), end(name))]
    assert events == [*expected, end("last")]


def motion(position_s: float) -> MotionFrames:
    return MotionFrames(utterance_id="u", position_s=position_s, coefficients=[[0.0]], heads=[[0.0]])


@pytest.mark.parametrize(
    ("before", "after", "kept"),
    [
        ({"motion", "resume"}, {"motion", "resume"}, True),
        ({"motion"}, {"motion"}, False),
        ({"motion", "resume"}, {"motion"}, False),
    ],
)
async def test_motion_is_kept_for_a_client_that_can_resume(
    service: Service, before: set[str], after: set[str], kept: bool
) -> None:
    session = await create(service)
    performer = service.performer(session["session_id"])
    first = await service.services.live.attach(replace(init(session), features=frozenset(before)))
    performer.emit(motion(0.0))
    await anyio.wait_all_tasks_blocked()
    await first.detach()
    for number in range(1, 400):
        performer.emit(motion(float(number)))
    performer.emit(end("u"))
    await anyio.wait_all_tasks_blocked()
    again = await service.services.live.attach(replace(init(session), features=frozenset(after)))
    found = await events_until(again, end("u"))
    assert found == [*(motion(float(number)) for number in range(MAX_QUEUED_MOTION if kept else 0)), end("u")]


async def test_a_new_channel_hears_its_state_first_then_what_was_kept(service: Service) -> None:
    session = await create(service)
    performer = service.performer(session["session_id"])
    performer.emit(StateChanged(state="speaking"))
    performer.emit(end("a"))
    performer.emit(StateChanged(state="idle"))
    await anyio.wait_all_tasks_blocked()
    events = (await service.services.live.attach(init(session))).events()
    assert [await anext(events), await anext(events)] == [StateChanged(state="idle"), end("a")]


async def test_events_that_a_channel_has_not_sent_go_to_the_next_one(service: Service) -> None:
    session = await create(service)
    performer = service.performer(session["session_id"])
    first = await service.services.live.attach(init(session))
    for name in "abc":
        performer.emit(end(name))
    await anyio.wait_all_tasks_blocked()
    events = first.events()
    assert [await anext(events), await anext(events)] == [StateChanged(state="idle"), end("a")]
    await first.detach(unsent=[end("a"), PerformerMetrics(frames=25, late_frames=0, queued_s=0.0)])
    second = await service.services.live.attach(init(session))
    performer.emit(end("d"))
    assert await events_until(second, end("d")) == [end("a"), end("b"), end("c"), end("d")]


async def test_a_takeover_passes_on_what_the_first_channel_has_not_sent(service: Service) -> None:
    session = await create(service)
    performer = service.performer(session["session_id"])
    first = await service.services.live.attach(init(session))
    performer.emit(end("a"))
    performer.emit(end("b"))
    await anyio.wait_all_tasks_blocked()
    second = await service.services.live.attach(init(session))
    assert [event async for event in first.events()] == [StateChanged(state="idle"), TakenOver()]
    await first.detach(unsent=[end("sending")])
    assert await events_until(second, end("sending")) == [end("a"), end("b"), end("sending")]


async def test_ends_that_come_while_a_channel_is_closed_go_to_the_next_one(service: Service) -> None:
    """Its token was revoked: it has its last event, and has not left yet."""
    session = await create(service)
    performer = service.performer(session["session_id"])
    first = await service.services.live.attach(init(session))
    first.finish(TokenRevoked())
    performer.emit(end("a"))
    await anyio.wait_all_tasks_blocked()
    assert [event async for event in first.events()] == [StateChanged(state="idle"), TokenRevoked()]
    failed = TextFailed(utterance_id="b", code="VOICE_FAILED", message="The voice failed")
    await first.detach(unsent=[failed])
    second = await service.services.live.attach(init(session))
    performer.emit(end("c"))
    assert await events_until(second, end("c")) == [failed, end("a"), end("c")]


async def test_an_interrupt_of_a_channel_that_was_taken_over_does_not_touch_the_others_speech(service: Service) -> None:
    session = await create(service)
    performer = service.performer(session["session_id"])
    first = await service.services.live.attach(init(session))
    await first.speak(speech(bytes(2), number=2, utterance_id="old"))
    second = await service.services.live.attach(init(session))
    await second.speak(speech(bytes(2), number=2, utterance_id="new"))
    await first.interrupt(through=8000)  # far ahead of what the server had taken of it
    await second.interrupt(through=3)
    (_, old), (_, new) = performer.spoken
    late, own = performer.interrupts
    assert old.number < late < new.number < own


async def test_ends_come_before_the_end_of_the_session(service: Service) -> None:
    """The performer ends its speech when it is told to end."""
    session = await create(service)
    performer = service.performer(session["session_id"])
    attached = await service.services.live.attach(init(session))
    await attached.speak(speech(bytes(3200), utterance_id="a"))
    performer.ends_speech = True
    await service.client.put(f"/v1/sessions/{session['session_id']}/end")
    over = SessionOver(reason="ended_by_client")
    assert await events_until(attached, over) == [
        PlaybackStarted(utterance_id="a"),
        PlaybackFinished(utterance_id="a", position_s=0.05, interrupted=True),
        over,
    ]
    with pytest.raises(SessionEnded):
        await attached.speak(speech(bytes(2)))


async def test_utterances_of_a_lost_stage_end_before_the_session(service: Service) -> None:
    session = await create(service)
    performer = service.performer(session["session_id"])
    attached = await service.services.live.attach(init(session))
    await attached.speak(speech(bytes(3200), utterance_id="heard"))
    performer.emit(end("heard"))
    await attached.speak(speech(bytes(320), number=2, utterance_id="cut"))
    await anyio.wait_all_tasks_blocked()
    performer.die()
    over = SessionOver(reason="performer_lost")
    events = await events_until(attached, over)
    ends = [event for event in events if isinstance(event, PlaybackFinished)]
    assert [(event.utterance_id, event.interrupted) for event in ends] == [("heard", False), ("cut", True)]
    assert 0 <= ends[1].position_s <= 0.01 and events[-1] == over


def test_the_ledger_estimates_how_much_of_an_utterance_was_played() -> None:
    ledger = UtteranceLedger()
    ledger.spoken("playing", duration_s=1.5)
    ledger.spoken("playing", duration_s=1.5)
    ledger.spoken("short", duration_s=0.2)
    ledger.spoken("waiting", duration_s=1.0)
    ledger.spoken("empty", duration_s=0.0)
    ledger.observe(PlaybackStarted(utterance_id="playing"), now_s=10.0)
    ledger.observe(PlaybackStarted(utterance_id="short"), now_s=10.0)
    assert [(e.utterance_id, e.position_s, e.interrupted) for e in ledger.end_all(now_s=11.0)] == [
        ("playing", 1.0, True),
        ("short", 0.2, True),
        ("waiting", 0.0, True),
    ]
    assert ledger.end_all(now_s=12.0) == []


def test_an_answer_that_comes_after_the_end_opens_no_utterance() -> None:
    ledger = UtteranceLedger()
    ledger.observe(end("a"), now_s=1.0)
    ledger.spoken("a", duration_s=1.0)
    assert ledger.end_all(now_s=2.0) == []
