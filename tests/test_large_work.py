from __future__ import annotations

import asyncio
import threading

import pytest

from visavis.large_work import Kind, run_large


class Work:
    """Work that lasts until it is let go, and knows how many pieces ran at once."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self._running = 0
        self._lock = threading.Lock()
        self.most = 0

    def do(self, number: int) -> int:
        with self._lock:
            self._running += 1
            self.most = max(self.most, self._running)
        self.begun.release()
        assert self.go_on.acquire(timeout=30)
        with self._lock:
            self._running -= 1
        return number


async def _begun(work: Work) -> None:
    assert await asyncio.to_thread(work.begun.acquire, timeout=30)


def test_one_piece_at_a_time_for_each_kind() -> None:
    work = Work()
    kinds: list[Kind] = ["body", "body", "body", "message"]

    async def scenario() -> list[int]:
        tasks = [asyncio.create_task(run_large(kind, work.do, number)) for number, kind in enumerate(kinds)]
        await _begun(work)
        await _begun(work)  # the message does not wait for the bodies
        for _ in kinds:
            work.go_on.release()
        return await asyncio.gather(*tasks)

    assert asyncio.run(scenario()) == [0, 1, 2, 3]
    assert work.most == 2


def test_errors_and_abandoned_waits_leave_the_place_free() -> None:
    def fail() -> None:
        raise ValueError("the error of the work")

    async def scenario() -> int:
        with pytest.raises(ValueError, match="the error of the work"):
            await run_large("body", fail)
        work = Work()
        first = asyncio.create_task(run_large("body", work.do, 1))
        await _begun(work)
        second = asyncio.create_task(run_large("body", work.do, 2))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        work.go_on.release()
        assert await first == 1
        work.go_on.release()
        return await run_large("body", work.do, 3)

    assert asyncio.run(scenario()) == 3
