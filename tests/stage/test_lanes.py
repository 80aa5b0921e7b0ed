"""One session's flood of requests waits in its lane; what others ask, and its own interrupt, does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

import pytest

from visavis.stage.lanes import Lanes
from visavis.stage.port.messages import Command, Interrupt, Offer, Resize, SetState, Speak
from visavis.stage.port.values import Speech
from visavis.stage.work_budget import JOIN, LAYOUT, SPEECH, Allowance, WorkBudget

MS = 1_000_000
SPEAK = Speak(speech=Speech(pcm=b"", sample_rate_hz=16_000, number=1))
OFFER = Offer(viewer_id="v", sdp="")


@pytest.mark.parametrize("allowance", [SPEECH, LAYOUT, JOIN])
def test_a_budget_gives_its_burst_and_then_its_share(allowance: Allowance) -> None:
    now_ns = 0
    budget = WorkBudget(allowance, now_ns)
    spent_ns, work_ns = 0, allowance.burst_ns // 10
    while now_ns < 60_000 * MS:
        now_ns += budget.wait_ns(now_ns)
        budget.spend(work_ns, now_ns)
        spent_ns += work_ns
    given_ns = allowance.burst_ns + allowance.share * now_ns
    assert spent_ns <= given_ns + 2 * work_ns
    assert spent_ns >= given_ns - 2 * work_ns


def test_a_budget_refills_up_to_its_burst() -> None:
    budget = WorkBudget(SPEECH, 0)
    budget.spend(10 * MS, 0)
    assert not budget.is_full(0)
    assert budget.is_full(1000 * MS) and budget.wait_ns(10**15) == 0
    budget.spend(SPEECH.burst_ns, 10**15)
    assert budget.wait_ns(10**15) == 0
    budget.spend(1 * MS, 10**15)
    assert budget.wait_ns(10**15) == pytest.approx(10 * MS, abs=10)


class Loop:
    """Lanes on a clock that only work moves. Notes what was carried out, and when."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self.now_ns = 0
        self.lanes = Lanes(tasks, lambda: self.now_ns)
        self.done: list[tuple[str, str, int]] = []
        self.stop = asyncio.Event()

    def submit(self, session_id: str, command: Command, *, work_ns: int = 0) -> None:
        self.lanes.submit(session_id, command, self._carrying_out(session_id, command, work_ns))

    def _carrying_out(
        self, session_id: str, command: Command, work_ns: int
    ) -> Callable[[], Coroutine[None, None, None]]:
        async def carry_out() -> None:
            self.now_ns += work_ns
            self.done.append((session_id, type(command).__name__, self.now_ns))

        return carry_out

    def of(self, session_id: str) -> list[str]:
        return [name for one, name, _ in self.done if one == session_id]


def test_a_flood_waits_and_others_and_the_interrupt_go_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with asyncio.TaskGroup() as tasks:
            loop = Loop(tasks)
            real_sleep = asyncio.sleep

            async def sleep(delay_s: float) -> None:
                loop.now_ns += int(delay_s * 1e9)
                await real_sleep(0)

            monkeypatch.setattr("visavis.stage.lanes.asyncio.sleep", sleep)
            for _ in range(300):
                loop.submit("flood", SPEAK, work_ns=1 * MS)
            loop.submit("quiet", SPEAK, work_ns=1 * MS)
            loop.submit("flood", Interrupt(through=1))
            loop.submit("flood", OFFER)
            while len(loop.of("flood")) < 302 or not loop.of("quiet"):
                await real_sleep(0)
            order = [(session_id, name) for session_id, name, _ in loop.done]
            assert order.index(("flood", "Interrupt")) <= 3
            assert order.index(("quiet", "Speak")) <= 3
            assert order.index(("flood", "Offer")) <= 5
            assert loop.of("flood").count("Speak") == 300
            took_ns = loop.done[-1][2]
            assert took_ns >= (300 * MS - SPEECH.burst_ns) / SPEECH.share * 0.9

    asyncio.run(scenario())


def test_requests_of_a_lane_keep_their_order_and_do_not_wait_for_one_that_waits() -> None:
    async def scenario() -> None:
        async with asyncio.TaskGroup() as tasks:
            lanes, done = Lanes(tasks), []
            released, laid_out, spoken_twice = asyncio.Event(), asyncio.Event(), asyncio.Event()

            async def layout() -> None:
                done.append("layout begins")
                await released.wait()
                done.append("layout ends")
                laid_out.set()

            async def note(name: str) -> None:
                done.append(name)
                if name == "two":
                    spoken_twice.set()

            lanes.submit("s", SPEAK, lambda: note("one"))
            lanes.submit("s", Resize(width_px=2, height_px=2), layout)
            lanes.submit("s", SetState(state="thinking"), lambda: note("state"))
            lanes.submit("s", SPEAK, lambda: note("two"))
            await spoken_twice.wait()
            released.set()
            await laid_out.wait()
            assert done == ["one", "layout begins", "state", "two", "layout ends"]
            lanes.charge_layout("s", 10)
            lanes.charge_layout("unknown", 10)

    asyncio.run(scenario())


def test_idle_lanes_are_forgotten() -> None:
    async def scenario() -> None:
        async with asyncio.TaskGroup() as tasks:
            loop = Loop(tasks)
            for number in range(600):
                loop.submit(f"session {number}", SPEAK)
                for _ in range(6):  # the lane's task ends
                    await asyncio.sleep(0)
            assert len(loop.lanes._lanes) <= 256

    asyncio.run(scenario())
