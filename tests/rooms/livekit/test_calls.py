"""The avatar's calls to its agent: how long they are waited for, which are made again, and how often. On a virtual
clock.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import structlog.testing
from livekit.protocol import models

from tests.virtual_clock import run_virtually
from visavis.rooms.livekit import packets
from visavis.rooms.livekit.calls import CLOSE_WITHIN_S, TRIES, Calls

FINISHED = "lk.playback_finished"


class Agent:
    """Acknowledges each call after `way_s`, and answers it with the next of `codes`, `thinks_s` later: None takes it, a
    number refuses it, "silent" is no answer, and "away" no acknowledgement either.
    """

    def __init__(self, *codes: int | str | None, way_s: float = 0.0, thinks_s: float = 0.0) -> None:
        self.calls = Calls(self.send)
        self.made: list[str] = []
        self.codes, self._way_s, self._thinks_s = list(codes), way_s, thinks_s

    def send(self, packet: bytes) -> None:
        parsed = packets.parse(packet)
        assert parsed is not None
        request: models.RpcRequest = parsed.rpc_request
        self.made.append(request.method)
        code = self.codes.pop(0) if self.codes else packets.UNSUPPORTED_METHOD
        loop = asyncio.get_running_loop()
        if code != "away":
            loop.call_later(self._way_s, self.calls.arrived, request.id)
            if not isinstance(code, str):
                loop.call_later(self._way_s + self._thinks_s, self.calls.answered, request.id, code)

    async def settle(self) -> None:
        await asyncio.gather(*self.calls._calls, return_exceptions=True)


def after_a_call_of(agent: Agent, method: str = FINISHED, **options: Any) -> list[Any]:
    """Make a call, wait until it is over, and return what was logged."""

    async def scenario() -> None:
        agent.calls.call("agent", method, packets.finished(1.0, interrupted=False), **options)
        await agent.settle()

    with structlog.testing.capture_logs() as logs:
        run_virtually(scenario)
    return logs


def test_an_end_that_the_agent_does_not_take_yet_is_told_again_until_it_does() -> None:
    agent = Agent(1400, 1400, None)
    assert after_a_call_of(agent) == [] and agent.made == [FINISHED] * 3


def test_an_end_that_is_never_taken_is_given_up_and_the_next_one_is_told() -> None:
    agent = Agent()
    assert [entry["event"] for entry in after_a_call_of(agent)] == ["livekit_call_refused"]
    assert len(agent.made) == TRIES
    agent.codes = [None]
    assert after_a_call_of(agent) == [] and len(agent.made) == TRIES + 1


def test_a_beginning_is_told_once_to_an_agent_that_does_not_serve_it() -> None:
    agent = Agent(1400)
    assert after_a_call_of(agent, "lk.playback_started", tries=1) == [] and agent.made == ["lk.playback_started"]


def test_a_busy_agent_may_take_as_long_as_its_call_allows() -> None:
    """The packet allows 8 s, and the way is not among them."""
    agent = Agent(None, way_s=3.0, thinks_s=7.9)
    assert after_a_call_of(agent) == [] and agent.made == [FINISHED]
    agent = Agent(None, thinks_s=8.1)
    assert [(one["event"], one["arrived"]) for one in after_a_call_of(agent)] == [("livekit_call_not_answered", True)]


@pytest.mark.parametrize(("code", "arrived"), [("silent", True), ("away", False)])
def test_what_is_not_answered_may_have_been_taken(code: str, arrived: bool) -> None:
    agent = Agent(code)
    told = [(entry["event"], entry["arrived"]) for entry in after_a_call_of(agent)]
    assert told == [("livekit_call_not_answered", arrived)]
    assert agent.made == [FINISHED], "twice would be worse than not at all"


def test_what_has_not_arrived_is_taken_back_in_order_and_what_has_is_not() -> None:
    agent = Agent("silent", "away", 1400, "away", None)

    async def scenario() -> list[str]:
        for number in range(4):
            agent.calls.call("agent", FINISHED, str(number))
        await asyncio.sleep(0.1)  # 2 was refused, and waits to be made again
        agent.calls.call("agent", FINISHED, "4")  # not even sent
        back = [call.payload for call in agent.calls.take_back()]
        assert agent.calls.take_back() == []
        await agent.settle()
        return back

    with structlog.testing.capture_logs() as logs:
        assert run_virtually(scenario) == ["1", "2", "3", "4"]
    assert [entry["event"] for entry in logs] == ["livekit_call_not_answered"], "0 has arrived"
    assert len(agent.made) == 4


@pytest.mark.parametrize(
    ("code", "way_s", "takes_s"), [(None, 0.0, 0.0), ("silent", 0.4, 0.4), ("away", 0.0, CLOSE_WITHIN_S)]
)
def test_closing_waits_until_the_calls_have_arrived_and_not_for_their_answers(
    code: str | None, way_s: float, takes_s: float
) -> None:
    agent = Agent(code, way_s=way_s)

    async def scenario() -> float:
        loop = asyncio.get_running_loop()
        agent.calls.call("agent", FINISHED, "{}")
        begun_s = loop.time()
        await agent.calls.aclose()
        return loop.time() - begun_s

    assert run_virtually(scenario) == pytest.approx(takes_s, abs=0.01)
    assert agent.made == [FINISHED]
