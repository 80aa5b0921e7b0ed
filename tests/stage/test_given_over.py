"""A session that another server takes over while its stage performs it: who owns it, and what that server is told."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
import structlog.testing

from tests.packs import place_pack
from tests.stage.stage_harness import RawServer, hello, running_stage
from tests.stage.test_servers import can_speak, playback_ends, speak
from visavis.stage.port.events import PerformerEnded, PlaybackFinished, PlaybackStarted
from visavis.stage.port.held import HeldSession
from visavis.stage.port.messages import (
    Acknowledge,
    Answer,
    End,
    Event,
    Interrupt,
    NotHere,
    Open,
    Ping,
    Pong,
    Refusal,
    Remember,
    TakenOver,
    TakeOver,
)
from visavis.stage.port.values import PerformanceSpec
from visavis.stage.port.versions import TELLS_NOT_HERE
from visavis.stage.stage import Stage

pytestmark = pytest.mark.anyio


async def open_owned(server: RawServer, folder: Path, *, ownership: int = 5) -> None:
    spec = PerformanceSpec(session_id="s", pack=place_pack(folder), ownership=ownership, width_px=160, height_px=120)
    assert isinstance(await server.request("s", Open(spec=spec)), Answer)


async def take(server: RawServer, ownership: int) -> HeldSession:
    answer = await server.request("s", TakeOver(ownership=ownership), epoch=0)
    assert isinstance(answer, Answer) and isinstance(answer.result, TakenOver), answer
    return answer.result.session


async def test_another_server_gets_what_the_stage_holds_and_the_events_that_nobody_has_acknowledged(
    tmp_path: Path,
) -> None:
    async with running_stage(tmp_path) as address:
        first = await RawServer.connect_and_admit(address, hello(server_id="first", owner_grace_s=60.0))
        await open_owned(first, tmp_path)
        await first.request("s", speak(1, utterance_id="said", final=True))
        await playback_ends(first, 1)
        first.link.send(Remember(session_id="s", memo=b"memo"))
        await first.request("s", speak(2, utterance_id="open"))
        await first.vanish()
        other = await RawServer.connect_and_admit(address, hello(server_id="other", owner_grace_s=60.0))
        assert other.held == (), "it has to ask"
        held = await take(other, 6)
        assert (held.memo, held.spec.epoch, held.spec.ownership) == (b"memo", 2, 6)
        assert "open" in [one.utterance_id for one in held.utterances]
        told = [event for event in other.events if event.number]  # they overtake the answer, which may be large
        said = PlaybackFinished(utterance_id="said", position_s=0.1, interrupted=False)
        assert PlaybackStarted(utterance_id="said") in [one.event for one in told]
        assert said in [one.event for one in told]
        assert [one.number for one in told] == sorted(one.number for one in told)
        last = max(one.number for one in told)
        other.link.send(Acknowledge(session_id="s", number=last))
        assert isinstance(await other.request("s", Interrupt(through=9), epoch=2), Answer)
        (end,) = ends_of_open(other.events)
        assert end.event == PlaybackFinished(utterance_id="open", position_s=end_position(end), interrupted=True)
        assert end.number > last, "its numbers go on"


def ends_of_open(events: list[Event]) -> list[Event]:
    return [one for one in events if isinstance(one.event, PlaybackFinished) and one.event.utterance_id == "open"]


def end_position(end: Event) -> float:
    assert isinstance(end.event, PlaybackFinished)
    return end.event.position_s


async def test_the_owner_of_before_is_told_and_refused_and_its_end_ends_nothing(tmp_path: Path) -> None:
    async with running_stage(tmp_path) as address:
        first = await RawServer.connect_and_admit(address, hello(server_id="first", owner_grace_s=0.0))
        await open_owned(first, tmp_path)
        other = await RawServer.connect_and_admit(address, hello(server_id="other", owner_grace_s=60.0))
        await take(other, 6)
        refusal = await first.request("s", speak(1))
        assert isinstance(refusal, Refusal) and refusal.code == "STALE_OWNER"
        assert [one.event for one in first.events if isinstance(one.event, PerformerEnded)] == [
            PerformerEnded(reason="taken")
        ]
        refusal = await first.request("s", End())
        assert isinstance(refusal, Refusal) and refusal.code == "STALE_OWNER"
        first.link.send(Ping())
        assert await first.receive() == Pong(epochs={})
        first.link.send(Remember(session_id="s", memo=b"late"))
        await first.vanish()  # without grace: what it has ends
        await asyncio.sleep(0.1)
        assert await can_speak(other, epoch=2)
        assert (await take(other, 6)).memo == b"", "the answer may have been lost: it is given again"


@pytest.mark.parametrize("ownership", [4, 5])
async def test_a_lower_epoch_of_the_row_and_the_same_of_another_server_are_refused(
    tmp_path: Path, ownership: int
) -> None:
    async with running_stage(tmp_path) as address:
        first = await RawServer.connect_and_admit(address, hello(server_id="first"))
        await open_owned(first, tmp_path)
        late = await RawServer.connect_and_admit(address, hello(server_id="late"))
        refusal = await late.request("s", TakeOver(ownership=ownership))
        assert isinstance(refusal, Refusal) and refusal.code == "STALE_OWNER"
        assert await can_speak(first)


async def test_a_stage_tells_whether_it_does_not_perform_a_session_or_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_stage(tmp_path) as address:
        one = await RawServer.connect_and_admit(address, hello(server_id="one"))
        assert await one.request("nobody", TakeOver(ownership=9)) == Answer(number=1, result=NotHere())
        before = await RawServer.connect_and_admit(address, hello(server_id="before", version=TELLS_NOT_HERE - 1))
        unknown = await before.request("nobody", TakeOver(ownership=9))
        assert isinstance(unknown, Refusal) and unknown.code == "PERFORMER_LOST"
        monkeypatch.setattr(Stage, "_take_over", failing)
        failed = await one.request("nobody", TakeOver(ownership=9))
        assert isinstance(failed, Refusal) and failed.code == "PERFORMER_LOST" and "fault" in failed.message


async def failing(*_: object, **__: object) -> TakenOver:
    raise RuntimeError("a fault of ours")


async def test_a_session_without_commands_is_given_over_though_many_others_have_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("visavis.stage.stage.MAX_ENDED_EPOCHS", 0)
    async with running_stage(tmp_path) as address:
        first = await RawServer.connect_and_admit(address, hello(server_id="first", owner_grace_s=60.0))
        await open_owned(first, tmp_path)
        for number in range(3):
            assert isinstance(await first.request(f"gone {number}", End()), Answer)
        other = await RawServer.connect_and_admit(address, hello(server_id="other", owner_grace_s=60.0))
        assert (await take(other, 6)).spec.epoch == 2
        refusal = await first.request("s", speak(1))
        assert isinstance(refusal, Refusal) and refusal.code == "STALE_OWNER"


async def test_a_session_comes_back_to_the_server_that_had_it_before(tmp_path: Path) -> None:
    async with running_stage(tmp_path) as address:
        one = await RawServer.connect_and_admit(address, hello(server_id="one", owner_grace_s=60.0))
        await open_owned(one, tmp_path)
        other = await RawServer.connect_and_admit(address, hello(server_id="other", owner_grace_s=60.0))
        await take(other, 6)
        assert isinstance(await other.request("s", speak(1, utterance_id="said", final=True), epoch=2), Answer)
        before = await playback_ends(other, 1)
        held = await take(one, 7)
        assert (held.spec.epoch, held.spec.ownership) == (3, 7)
        ends = [event.event for event in one.events if isinstance(event.event, PlaybackFinished)]
        assert ends == before, "nobody has acknowledged it"
        assert await can_speak(one, number=2, epoch=3)


async def test_a_stage_logs_who_owns_its_sessions_and_whose_commands_it_refuses(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        async with running_stage(tmp_path) as address:
            first = await RawServer.connect_and_admit(address, hello(server_id="first"))
            other = await RawServer.connect_and_admit(address, hello(server_id="other"))
            await open_owned(first, tmp_path)
            await take(other, 6)
            assert isinstance(await first.request("s", speak(1)), Refusal)
            await other.request("s", End(), epoch=2)
    names = ("session_opened", "session_taken_over", "command_refused", "session_left")
    told = [log for log in logs if log["event"] in names]
    assert [log["event"] for log in told] == list(names)
    opened, taken, refused, left = told
    assert (opened["server_id"], opened["ownership"], opened["pid"]) == ("first", 5, os.getpid())
    assert (taken["server_id"], taken["ownership"], taken["before"]) == ("other", 6, "first")
    assert (refused["server_id"], refused["command"]) == ("first", "Speak")
    assert (left["ownership"], left["pid"]) == (6, os.getpid()) and left["silent_s"] >= 0
