"""A fleet of stages goes on with a session of another server: with its speech, its events and its commands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import structlog.testing

from tests.fleet.test_remote_stages import TOKEN, UNREACHABLE, remote_stage, spec, until_finished
from visavis.engine.output import Output
from visavis.errors import HandOverBegun, PerformerLost, StaleOwner
from visavis.fleet import moves
from visavis.fleet.admission import Limits
from visavis.fleet.identity import ServerIdentity
from visavis.fleet.performer import StagePerformer
from visavis.fleet.remote import RemoteStages
from visavis.fleet.stages import StageFleet
from visavis.stage.fence import StageCutOff
from visavis.stage.port.address import Address
from visavis.stage.port.events import PerformerEnded, PlaybackFinished, PlaybackStarted
from visavis.stage.port.messages import PORT_VERSION, TakenOver
from visavis.stage.port.values import Speech
from visavis.stage.port.versions import TELLS_NOT_HERE
from visavis.stage.session import StageSession
from visavis.stage.stage import Stage

pytestmark = pytest.mark.anyio


def fleet_of(server_id: str, address: Address, cert: Path, *, owns: Callable[[], bool] = lambda: True) -> StageFleet:
    supply = RemoteStages(
        addresses=(address,),
        token=TOKEN,
        source=UNREACHABLE,
        ca_file=cert,
        identity=ServerIdentity(server_id=server_id),
    )
    return StageFleet(supply, limits=Limits(measured=False), open_all=True, owns_sessions=owns)


async def test_speech_that_takes_long_to_be_told_is_not_overtaken_by_its_own_events(tmp_path: Path) -> None:
    """Two minutes of speech are with the stage, and events come while they are told to the other server."""
    async with remote_stage(tmp_path) as (address, cert):
        first, other = fleet_of("first", address, cert), fleet_of("other", address, cert)
        await first.start()
        await other.start()
        owned = msgspec.structs.replace(spec(tmp_path), ownership=1)
        before = await first.allocate(owned)
        await before.speak(Speech(pcm=b"\1\1" * 1600, sample_rate_hz=16_000, number=1, utterance_id="a", final=True))
        await before.speak(Speech(pcm=bytes(2 * 48_000 * 120), sample_rate_hz=48_000, number=2, utterance_id="long"))
        assert [type(event) async for event in until_finished(before.events())][-1] is PlaybackFinished
        with pytest.raises(StaleOwner):
            await other.take_over("sess_1", ownership=0)
        found = await other.take_over("sess_1", ownership=2)
        assert found is not None and found.held.speech_bytes > 10 * 2**20
        assert isinstance(found.performer, StagePerformer)
        playback = (PlaybackStarted, PlaybackFinished)
        told = [event async for event in until_finished(found.performer.events()) if isinstance(event, playback)]
        assert told == [
            PlaybackStarted(utterance_id="a"),
            PlaybackFinished(utterance_id="a", position_s=0.1, interrupted=False),
        ]
        await found.performer.interrupt(through=9)
        async for event in until_finished(found.performer.events()):
            last = event
        assert isinstance(last, PlaybackFinished) and last.interrupted
        assert await other.take_over("nobody", ownership=1) is None
        events = [event async for event in before.events()]
        assert events[-1] == PerformerEnded(reason="taken")
        with pytest.raises(HandOverBegun):
            await before.interrupt(through=9)
        await before.end()
        assert other.capacity().sessions == 1 and first.capacity().sessions == 0
        await first.aclose()
        assert await found.performer.speak(msgspec.structs.replace(SPEECH, number=10))
        await other.aclose()


SPEECH = Speech(pcm=b"\1\1" * 1600, sample_rate_hz=16_000, number=1)


@pytest.mark.parametrize("version", [TELLS_NOT_HERE - 1, PORT_VERSION])
async def test_a_stage_that_fails_is_not_taken_for_one_that_does_not_perform_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    """One of the version before says both with the same words."""
    async with remote_stage(tmp_path) as (address, cert):
        fleet = fleet_of("other", address, cert)
        supply = fleet._supply
        assert isinstance(supply, RemoteStages)
        supply._hello = msgspec.structs.replace(supply._hello, version=version)
        await fleet.start()
        assert fleet._stages[0].link.version == version
        assert await fleet.take_over("nobody", ownership=1) is None
        monkeypatch.setattr(Stage, "_take_over", failing)
        if version < TELLS_NOT_HERE:
            assert await fleet.take_over("sess_1", ownership=1) is None
        else:
            with pytest.raises(PerformerLost, match="fault"):
                await fleet.take_over("sess_1", ownership=1)
        await fleet.aclose()


async def failing(*_: object, **__: object) -> TakenOver:
    raise RuntimeError("a fault of ours")


async def test_a_server_that_may_have_lost_its_sessions_opens_none_again(tmp_path: Path) -> None:
    async with remote_stage(tmp_path) as (address, cert):
        fleet = fleet_of("first", address, cert, owns=lambda: False)
        await fleet.start()
        performer = await fleet.allocate(spec(tmp_path))
        fleet._stages[0].link.abort()  # the network fails for a moment
        events = performer.events()
        async with asyncio.timeout(20):
            while not performer.moving:  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.01)
        with pytest.raises(PerformerLost):
            fleet.check_owner()
        await asyncio.sleep(0.7)  # it tries twice a second
        assert performer.moving and not performer.ended
        performer.leave()
        assert [event async for event in events][-1] == PerformerEnded(reason="taken")
        assert fleet.capacity().sessions == 0
        await fleet.aclose()


async def test_a_link_that_breaks_while_the_database_is_away_ends_no_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for the database, however long, and then has its time to move."""
    monkeypatch.setattr(moves, "MOVE_WITHIN_S", 0.3)
    monkeypatch.setattr(moves, "RETRY_AFTER_S", 0.05)
    async with remote_stage(tmp_path) as (address, cert):
        away = False
        fleet = fleet_of("first", address, cert, owns=lambda: not away)
        await fleet.start()
        performer = await fleet.allocate(spec(tmp_path))
        away = True
        fleet._stages[0].link.abort()
        await asyncio.sleep(1.0)
        assert performer.moving and not performer.ended
        away = False
        await performer.speak(msgspec.structs.replace(SPEECH, utterance_id="a", final=True))
        assert [type(event) async for event in until_finished(performer.events())][-1] is PlaybackFinished
        await performer.end()
        await fleet.aclose()


async def test_what_is_said_before_a_server_knows_that_its_stage_was_cut_off_is_said_where_the_session_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_off, publish = False, StageSession.publish_block

    def publish_unless_cut_off(session: StageSession, now_ns: int) -> None:
        if cut_off:
            raise StageCutOff
        publish(session, now_ns)

    async def fail(*_: object) -> None:
        raise RuntimeError("a fault of the stage")

    monkeypatch.setattr(StageSession, "publish_block", publish_unless_cut_off)
    monkeypatch.setattr(StageSession, "set_output", fail)
    async with remote_stage(tmp_path) as (address, cert):
        fleet = fleet_of("first", address, cert)
        await fleet.start()
        performer = await fleet.allocate(spec(tmp_path))
        with structlog.testing.capture_logs() as logs:
            cut_off = True
            async with asyncio.timeout(20):
                while not [one for one in logs if one["event"] == "session_left"]:  # noqa: ASYNC110 (a log tells nobody)
                    await asyncio.sleep(0.005)
            cut_off = False
            assert not performer.moving, "it has not told its server"
            await performer.speak(msgspec.structs.replace(SPEECH, utterance_id="a", final=True))
            assert [type(event) async for event in until_finished(performer.events())][-1] is PlaybackFinished
            with pytest.raises(PerformerLost, match="a fault of the stage"):
                await performer.set_output(Output())
            assert not performer.moving, "it performs the session, so the call itself has failed"
            await performer.end()
        await fleet.aclose()
