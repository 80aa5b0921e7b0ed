"""A stage of a fleet shows a session only while it hears the session's server, or while its machine's lease holds."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog.testing

from tests.fleet.test_stage_fleet import PARTS
from tests.processes import PYTHON_PATH
from tests.stage.stage_harness import TOKEN, RawServer, hello, running_stage
from visavis.fleet.stage_process import start_process, stop_process, wait_until_listening
from visavis.stage.fence import CUT_OFF_AFTER_NS, Fence, SharedFence, StageCutOff, now_ns
from visavis.stage.port.address import Address
from visavis.stage.port.messages import Answer, Ping, Pong

pytestmark = pytest.mark.anyio

AWAY_S = CUT_OFF_AFTER_NS / 1e9


@pytest.fixture
def shared() -> Iterator[SharedFence]:
    shared = SharedFence.make()
    if shared is None:
        pytest.skip("this system has no memory that needs no disk")
    yield shared
    shared.close()


async def performed(server: RawServer) -> set[str]:
    """Return what the stage performs for a server. It hears the server thereby."""
    server.link.send(Ping())
    while not isinstance(message := await server.receive(), Pong):
        assert message is not None
    return set(message.epochs)


@contextlib.asynccontextmanager
async def held_lease(shared: SharedFence) -> AsyncIterator[None]:
    async def hold() -> None:
        while True:
            shared.heard(now_ns())
            await asyncio.sleep(0.05)

    holding = asyncio.create_task(hold())
    try:
        yield
    finally:
        holding.cancel()
        await asyncio.wait((holding,))


def test_whoever_hears_one_of_both_goes_on_and_a_stage_in_no_fleet_always(shared: SharedFence) -> None:
    fence = Fence.at(shared.descriptor)
    long_ago_ns = now_ns() - CUT_OFF_AFTER_NS - 1
    shared.heard(long_ago_ns)
    fence.check(now_ns())
    with pytest.raises(StageCutOff):
        fence.check(long_ago_ns)
    shared.heard(now_ns())
    fence.check(long_ago_ns)
    Fence().check(0)


async def test_a_session_goes_on_while_its_server_or_the_database_is_heard_and_is_given_up_without_both(
    tmp_path: Path, shared: SharedFence
) -> None:
    with structlog.testing.capture_logs() as logs:
        async with running_stage(tmp_path, fence=shared.descriptor) as address:
            heard = await RawServer.connect_and_admit(address, hello(owner_grace_s=30.0, server_id="heard"))
            lost = await RawServer.connect_and_admit(address, hello(owner_grace_s=30.0, server_id="lost"))
            async with held_lease(shared):
                assert isinstance(await heard.open_session("a", tmp_path), Answer)
                assert isinstance(await lost.open_session("b", tmp_path), Answer)
                await lost.vanish()
            until_ns = now_ns() + CUT_OFF_AFTER_NS * 4 // 3
            while now_ns() < until_ns:  # the lease holds
                shared.heard(now_ns())
                await asyncio.sleep(0.05)
            assert [log for log in logs if log["event"] == "session_cut_off"] == []
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AWAY_S * 4 / 3):  # the database is away
                    while True:
                        assert await performed(heard) == {"a"}
                        await asyncio.sleep(0.05)
            back = await RawServer.connect_and_admit(address, hello(owner_grace_s=30.0, server_id="lost"))
            assert back.held == (), "it was given up, long before its grace was over"
            assert await performed(heard) == {"a"}
    assert [log["session_id"] for log in logs if log["event"] == "session_cut_off"] == ["b"]
    assert [log for log in logs if log["event"] == "performance_failed"] == []


async def test_a_stage_that_slept_does_not_take_what_it_missed_for_news(
    tmp_path: Path, shared: SharedFence, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its server has gone on pinging, and may have given it up meanwhile."""
    monkeypatch.setenv("PYTHONPATH", PYTHON_PATH)
    arguments = ["--listen", f"unix:{tmp_path}/stage.sock", "--data", str(tmp_path), "--parts", PARTS]
    arguments += ["--fence", str(shared.descriptor)]
    process = await start_process(arguments, pass_fds=(shared.descriptor,))
    try:
        address = Address.parse(await wait_until_listening(process, TOKEN))
        server = await RawServer.connect_and_admit(address, hello(owner_grace_s=30.0))
        assert isinstance(await server.open_session("a", tmp_path), Answer)
        assert await performed(server) == {"a"}
        process.send_signal(signal.SIGSTOP)
        pings = int(AWAY_S * 1.5 / 0.1)
        for _ in range(pings):
            server.link.send(Ping())
            await asyncio.sleep(0.1)
        process.send_signal(signal.SIGCONT)
        while pings:
            pings -= isinstance(await server.receive(), Pong)
        async with asyncio.timeout(20):
            while await performed(server):  # noqa: ASYNC110 (the heartbeat alone tells)
                await asyncio.sleep(0.02)
        back = await RawServer.connect_and_admit(address, hello(owner_grace_s=30.0))
        assert back.held == () and isinstance(await back.open_session("a", tmp_path), Answer)
        await server.vanish()
        await back.vanish()
    finally:
        await stop_process(process, at_once=True)
