"""The servers of a stage: who is admitted, who is dropped, who owns a session, and what outlives a connection."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
import structlog.testing

from tests.stage.stage_stand import RawServer, hello, running_stage
from visavis.errors import LinkFailed
from visavis.stage.port.events import PlaybackFinished
from visavis.stage.port.messages import (
    Answer,
    Done,
    End,
    FromServer,
    HttpSource,
    Interrupt,
    Refusal,
    Rejected,
    Request,
    SetState,
    Speak,
    Spoken,
    encode,
)
from visavis.stage.port.values import Speech

pytestmark = pytest.mark.anyio


def said(number: int, *, samples: int = 1600, final: bool = False, utterance_id: str = "u") -> Speak:
    speech = Speech(pcm=b"\1\1" * samples, sample_rate_hz=16_000, number=number, utterance_id=utterance_id, final=final)
    return Speak(speech=speech)


async def spoken(server: RawServer, session_id: str = "s", *, number: int = 1, epoch: int = 1) -> bool:
    """Whether the server may speak into the session."""
    answer = await server.ask(session_id, said(number), epoch=epoch)
    return isinstance(answer, Answer) and answer.result == Spoken(utterance_id="u")


# --- admission


async def test_servers_that_are_refused_hear_why_and_everybody_else_goes_on(tmp_path: Path) -> None:
    async with running_stage(tmp_path) as address:
        good = await RawServer.admitted(address, hello())
        assert isinstance(await good.opens("s", tmp_path), Answer)
        over_http = msgspec.structs.replace(hello(server_id="other"), source=HttpSource(url="http://x", token="t"))
        refused: dict[str, FromServer] = {
            "WRONG_STAGE_TOKEN": hello(token="another", server_id="other"),
            "PORT_VERSION_UNKNOWN": hello(version=2, server_id="other"),
            "NOT_A_HELLO": Request(number=1, session_id="s", epoch=9, command=End()),
            "SOURCE_UNUSABLE": over_http,
        }
        with structlog.testing.capture_logs() as logs:
            for code, message in refused.items():
                bad = await RawServer.connected(address)
                bad.link.send(message)
                answer = await bad.hear()
                assert isinstance(answer, Rejected) and answer.code == code, answer
                assert await bad.hear() is None, "the connection is closed"
        assert [log["code"] for log in logs if log["event"] == "server_dropped"] == list(refused)
        assert await spoken(good)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: stage\r\n\r\n",
        (5).to_bytes(4, "big") + bytes(5),
        (2**31).to_bytes(4, "big"),
        (9).to_bytes(4, "big") + b"\7\0\0\0\0rest",
    ],
)
async def test_bytes_that_are_no_message_end_their_own_connection_alone(tmp_path: Path, sent: bytes) -> None:
    async with running_stage(tmp_path) as address:
        good = await RawServer.admitted(address, hello())
        assert isinstance(await good.opens("s", tmp_path), Answer)
        before = await RawServer.connected(address)
        await before.send_raw(sent)
        after = await RawServer.admitted(address, hello(server_id="other"))
        await after.send_raw(sent)
        for bad in (before, after):
            answer = await bad.hear()
            assert isinstance(answer, Rejected) and answer.code in ("NOT_A_HELLO", "LINK_BROKEN"), answer
            assert await bad.hear() is None
        assert await spoken(good)


async def test_a_server_that_stops_half_way_is_dropped_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visavis.stage.servers.HELLO_WITHIN_S", 0.1)
    async with running_stage(tmp_path) as address:
        silent, half = await RawServer.connected(address), await RawServer.connected(address)
        body = b"\0\0\0\0\0" + encode(hello())
        await half.send_raw(len(body).to_bytes(4, "big") + body[:10])
        for bad in (silent, half):
            answer = await bad.hear()
            assert isinstance(answer, Rejected) and answer.code == "NOT_A_HELLO", answer
            assert await bad.hear() is None
        assert await RawServer.admitted(address, hello())


async def test_a_server_that_connects_twice_loses_its_first_connection_and_keeps_its_sessions(tmp_path: Path) -> None:
    async with running_stage(tmp_path) as address:
        first = await RawServer.admitted(address, hello())
        assert isinstance(await first.opens("s", tmp_path), Answer)
        with structlog.testing.capture_logs() as logs:
            second = await RawServer.admitted(address, hello())
            while await first.hear() is not None:
                pass
        assert [log["code"] for log in logs if log["event"] == "server_dropped"] == ["SERVER_REPLACED"]
        assert await spoken(second)


async def test_a_second_hello_breaks_the_connection(tmp_path: Path) -> None:
    async with running_stage(tmp_path) as address:
        server = await RawServer.admitted(address, hello())
        server.link.send(hello())
        answer = await server.hear()
        assert isinstance(answer, Rejected) and answer.code == "LINK_BROKEN"


# --- who owns a session


async def test_two_owners_never_both_act(tmp_path: Path) -> None:
    async with running_stage(tmp_path) as address:
        old = await RawServer.admitted(address, hello(server_id="old"))
        new = await RawServer.admitted(address, hello(server_id="new"))
        assert isinstance(await old.opens("s", tmp_path, epoch=1), Answer)
        same_epoch = await new.ask("s", said(1), epoch=1)
        assert isinstance(same_epoch, Refusal) and same_epoch.code == "STALE_OWNER"
        assert await spoken(old, number=1)
        assert await spoken(new, number=2, epoch=2), "a higher epoch takes the session over"
        for command in (said(3), Interrupt(through=9), SetState(state="thinking"), End()):
            refusal = await old.ask("s", command, epoch=1)
            assert isinstance(refusal, Refusal) and refusal.code == "STALE_OWNER", command
        new.events.clear()
        assert isinstance(await new.ask("s", Interrupt(through=9), epoch=2), Answer)
        ends = [event.event for event in new.events if isinstance(event.event, PlaybackFinished)]
        assert [end.utterance_id for end in ends] == ["u"], "events go to the new owner"
        assert not [event for event in old.events if isinstance(event.event, PlaybackFinished)]


async def test_an_owner_that_only_slept_cannot_begin_an_ended_session_anew(tmp_path: Path) -> None:
    async with running_stage(tmp_path) as address:
        old = await RawServer.admitted(address, hello(server_id="old"))
        new = await RawServer.admitted(address, hello(server_id="new"))
        await old.opens("s", tmp_path, epoch=1)
        assert isinstance(await new.ask("s", End(), epoch=2), Answer)
        refusal = await old.opens("s", tmp_path, epoch=1)
        assert isinstance(refusal, Refusal) and refusal.code == "STALE_OWNER"
        assert isinstance(await new.opens("s", tmp_path, epoch=3), Answer)


async def test_a_session_that_is_performed_is_not_opened_again(tmp_path: Path) -> None:
    async with running_stage(tmp_path) as address:
        server = await RawServer.admitted(address, hello())
        await server.opens("s", tmp_path)
        refusal = await server.opens("s", tmp_path)
        assert isinstance(refusal, Refusal) and refusal.code == "PERFORMER_LOST"
        assert await spoken(server)


async def test_an_unknown_session_is_refused_and_its_end_is_done_already(tmp_path: Path) -> None:
    async with running_stage(tmp_path) as address:
        server = await RawServer.admitted(address, hello())
        refusal = await server.ask("nobody", said(1))
        assert isinstance(refusal, Refusal) and refusal.code == "PERFORMER_LOST"
        ended = await server.ask("nobody", End())
        assert isinstance(ended, Answer) and ended.result == Done()


# --- what outlives a connection


async def test_a_session_outlives_its_servers_connection_for_the_grace(tmp_path: Path) -> None:
    async with running_stage(tmp_path) as address:
        first = await RawServer.admitted(address, hello(owner_grace_s=60.0))
        await first.opens("s", tmp_path)
        assert isinstance(await first.ask("s", said(1, final=True)), Answer)
        await first.vanish()
        again = await RawServer.admitted(address, hello(owner_grace_s=60.0))
        end = PlaybackFinished(utterance_id="u", position_s=0.1, interrupted=False)
        while not [event for event in again.events if event.event == end]:
            assert isinstance(await again.ask("s", SetState(state="listening")), Answer)
            await asyncio.sleep(0.02)  # the sound plays in its own time
        assert await spoken(again, number=2)


async def test_sessions_end_when_the_grace_is_over(tmp_path: Path) -> None:
    async with running_stage(tmp_path) as address:
        other = await RawServer.admitted(address, hello(server_id="other"))
        await other.opens("kept", tmp_path)
        server = await RawServer.admitted(address, hello(owner_grace_s=0.05))
        await server.opens("lost", tmp_path)
        await server.vanish()
        async with asyncio.timeout(20):
            while True:
                answer = await other.ask("lost", said(1), epoch=1)
                assert isinstance(answer, Refusal)
                if answer.code == "PERFORMER_LOST":
                    break
                await asyncio.sleep(0.02)  # polling the stage's own clock
        assert await spoken(other, "kept")


async def test_a_stage_that_a_server_started_ends_with_the_last_server(tmp_path: Path) -> None:
    async with running_stage(tmp_path, exit_when_alone=True) as address:
        one = await RawServer.admitted(address, hello(server_id="one"))
        two = await RawServer.admitted(address, hello(server_id="two"))
        await one.vanish()
        assert isinstance(await two.opens("s", tmp_path), Answer)
        await two.vanish()
        async with asyncio.timeout(20):
            while True:
                try:
                    await RawServer.connected(address)
                except LinkFailed:
                    break
                await asyncio.sleep(0.02)  # polling the stage's end
