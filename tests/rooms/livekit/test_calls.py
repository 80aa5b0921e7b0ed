"""The avatar's calls to its agent: which are made again, and how often."""

from __future__ import annotations

import asyncio

import pytest
from livekit.protocol import models

from visavis.rooms.livekit import calls as calls_module
from visavis.rooms.livekit import packets
from visavis.rooms.livekit.calls import TRIES, Calls

pytestmark = pytest.mark.anyio


class Agent:
    """Answers each call at once with the next of `codes`: None takes it, a number refuses it, "silent" is no answer."""

    def __init__(self, *codes: int | str | None) -> None:
        self.calls = Calls(self.send)
        self.made: list[str] = []
        self._codes = list(codes)

    def send(self, packet: bytes) -> bool:
        parsed = packets.parse(packet)
        assert parsed is not None
        request: models.RpcRequest = parsed.rpc_request
        self.made.append(request.method)
        code = self._codes.pop(0) if self._codes else packets.UNSUPPORTED_METHOD
        if not isinstance(code, str):
            asyncio.get_running_loop().call_soon(self.calls.answered, request.id, code)
        return True

    async def settle(self) -> None:
        await asyncio.gather(*self.calls._tasks)


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_module, "AGAIN_AFTER_S", 0.0)


async def test_an_end_that_the_agent_does_not_take_yet_is_told_again_until_it_does() -> None:
    agent = Agent(1400, 1400, None)
    agent.calls.call("agent", "lk.playback_finished", packets.finished(1.0, interrupted=False))
    await agent.settle()
    assert agent.made == ["lk.playback_finished"] * 3


async def test_an_end_that_is_never_taken_is_given_up_and_the_next_one_is_told() -> None:
    agent = Agent()
    agent.calls.call("agent", "lk.playback_finished", "{}")
    await agent.settle()
    assert len(agent.made) == TRIES
    agent._codes = [None]
    agent.calls.call("agent", "lk.playback_finished", "{}")
    await agent.settle()
    assert len(agent.made) == TRIES + 1


async def test_a_beginning_is_told_once_to_an_agent_that_does_not_serve_it() -> None:
    agent = Agent(1400)
    agent.calls.call("agent", "lk.playback_started", "", tries=1)
    await agent.settle()
    assert agent.made == ["lk.playback_started"]


async def test_what_is_not_answered_may_have_been_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_module, "ANSWERED_WITHIN_S", 0.0)
    agent = Agent("silent")
    agent.calls.call("agent", "lk.playback_finished", "{}")
    await agent.settle()
    assert agent.made == ["lk.playback_finished"], "twice would be worse than not at all"
