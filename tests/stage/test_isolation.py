"""One session's trouble on a stage stays its own: the stage and its other sessions go on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import structlog.testing

from tests.stage.stage_harness import RawServer, hello, running_stage
from tests.stage.test_servers import can_speak, speak
from visavis.rooms.embedded.room import EmbeddedRoom
from visavis.stage.performance import Performance
from visavis.stage.port.events import PerformerEnded
from visavis.stage.port.messages import Answer, End, Event, Offer, Refusal
from visavis.stage.session import StageSession

pytestmark = pytest.mark.anyio


async def wait_for_loss(server: RawServer) -> tuple[str, PerformerEnded]:
    """Return the session that is lost, and the event that tells it."""
    while True:
        message = await server.receive()
        assert message is not None, "the stage has gone"
        if isinstance(message, Event) and isinstance(message.event, PerformerEnded):
            return message.session_id, message.event


@pytest.mark.parametrize("closing", ["works", "fails"])
async def test_a_performance_that_fails_ends_alone_even_if_its_room_cannot_be_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closing: str
) -> None:
    async with running_stage(tmp_path) as address:
        server = await RawServer.connect_and_admit(address, hello())
        for name in ("one", "other"):
            assert isinstance(await server.open_session(name, tmp_path), Answer)
        next_block, close = Performance.next_block, StageSession.close_sinks
        broken: list[Performance] = []

        def fail_once(self: Performance) -> Any:
            if not broken:
                broken.append(self)
            if self is broken[0]:
                raise ZeroDivisionError("a fault of ours")
            return next_block(self)

        async def close_sinks(self: StageSession) -> None:
            if closing == "fails":
                raise ZeroDivisionError("a fault of ours")
            await close(self)

        with monkeypatch.context() as patch, structlog.testing.capture_logs() as logs:
            patch.setattr(StageSession, "close_sinks", close_sinks)
            patch.setattr(Performance, "next_block", fail_once)
            lost, ended = await wait_for_loss(server)
            assert (ended.reason, "a fault of ours" in ended.detail) == ("lost", True)
            assert await can_speak(server, {"one": "other", "other": "one"}[lost])
            refusal = await server.request(lost, speak(2))
            assert isinstance(refusal, Refusal) and refusal.code == "PERFORMER_LOST"
        failed = [log["event"] for log in logs if log["log_level"] == "error"]
        assert failed == ["performance_failed"] + (["session_end_failed"] if closing == "fails" else [])
        assert isinstance(await server.open_session("new", tmp_path), Answer)


async def test_a_performance_that_cancels_itself_is_told_as_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_stage(tmp_path) as address:
        server = await RawServer.connect_and_admit(address, hello())
        assert isinstance(await server.open_session("good", tmp_path), Answer)

        async def cancel(self: StageSession) -> None:
            never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            never.cancel()
            await never

        with monkeypatch.context() as patch:
            patch.setattr(StageSession, "run", cancel)
            assert isinstance(await server.open_session("bad", tmp_path), Answer)
            lost, ended = await wait_for_loss(server)
        assert (lost, ended.reason) == ("bad", "lost")
        assert await can_speak(server, "good")
        assert isinstance(await server.open_session("bad", tmp_path), Answer), "its place is free"


async def test_an_answer_that_cannot_be_sent_fails_its_request_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def offer(self: EmbeddedRoom, *, viewer_id: str, sdp: str) -> str:
        return "\ud800"  # cannot be encoded

    async with running_stage(tmp_path) as address:
        server = await RawServer.connect_and_admit(address, hello())
        assert isinstance(await server.open_session("s", tmp_path), Answer)
        monkeypatch.setattr(EmbeddedRoom, "offer", offer)
        refusal = await server.request("s", Offer(viewer_id="v", sdp="v=0"))
        assert isinstance(refusal, Refusal) and refusal.code == "PERFORMER_LOST"
        assert await can_speak(server)
        assert isinstance(await server.request("s", End()), Answer)
