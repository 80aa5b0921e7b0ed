"""Moments in which the machine itself stands still: a hypervisor takes a core away, or throttles it. Calls that fall
into one say nothing of a server.

A bare loop beside the measurement tells when: a process that does the same small work again and again, at a low
priority. What the work takes of the *processor's* time depends neither on neighbours that want the core, for which it
would only wait, nor on what the server does. Where it takes several times as much as usual, the machine stood.

This module is that process, too (`python -m visavis.bench.standstills`). It writes an empty
line when it knows what the work usually takes; then a line of JSON, [begin, end], for each time that the work was slow,
by the clock that all processes share. It ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import select
import statistics
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from visavis.bench.http_calls import Answered

WORK = 1_500  # entries of a dictionary: 0.7 ms where `visavis bench pipeline` prints 250
PAUSE_S = 0.0004
SLOW, LEAST_MORE_S = 3.0, 0.001  # times what it usually takes, and so much more
USUAL_OF, USUAL_EVERY = 301, 50  # the usual time is the median of the last ones, and is reckoned anew that often
# Such a moment is many slices in which the machine stands, with others between them: they count as one up to this gap.
GAP_S = 0.1
AROUND_S = 0.02  # a server needs so long to answer what has come meanwhile
END_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """By `time.monotonic`."""

    begin_s: float
    end_s: float


def moments_of(slow: Iterable[tuple[float, float]]) -> list[Moment]:
    """Return the moments that slow times of the work make, each widened by AROUND_S."""
    moments: list[Moment] = []
    for begin_s, end_s in sorted(slow):
        if moments and begin_s - moments[-1].end_s <= GAP_S:
            moments[-1] = Moment(begin_s=moments[-1].begin_s, end_s=max(moments[-1].end_s, end_s))
        else:
            moments.append(Moment(begin_s=begin_s, end_s=end_s))
    return [Moment(begin_s=one.begin_s - AROUND_S, end_s=one.end_s + AROUND_S) for one in moments]


def apart_from(calls: Iterable[Answered], moments: Sequence[Moment]) -> list[Answered]:
    """Return the calls that were neither due, nor waited, nor answered in one of the moments."""
    return [
        call
        for call in calls
        if all(call.answered_s < moment.begin_s or call.due_s > moment.end_s for moment in moments)
    ]


class Standstills:
    """`slow`: the times so far at which the bare loop was slow. `moments`: the moments that they make."""

    def __init__(self) -> None:
        self.slow: list[tuple[float, float]] = []

    @property
    def moments(self) -> list[Moment]:
        return moments_of(self.slow)

    async def read(self, lines: asyncio.StreamReader) -> None:
        """Take what the bare loop tells, until it ends."""
        while line := await lines.readline():
            begin_s, end_s = json.loads(line)
            self.slow.append((begin_s, end_s))


@asynccontextmanager
async def watched() -> AsyncIterator[Standstills]:
    """Run the bare loop while the context is open. All that it has seen is there when the context was left."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "visavis.bench.standstills", stdin=pipe, stdout=pipe
    )
    assert process.stdin is not None and process.stdout is not None
    seen = Standstills()
    await process.stdout.readline()
    reading = asyncio.create_task(seen.read(process.stdout))
    try:
        yield seen
    finally:
        process.stdin.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(END_WITHIN_S):
                await reading
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
        await process.wait()


def _work() -> dict[str, list[int]]:
    return {str(number): [number] * 3 for number in range(WORK)}


class Usual:
    """What the work usually takes, as the last times have it. `is_known`: after the first of them."""

    def __init__(self) -> None:
        self._times_s: deque[float] = deque(maxlen=USUAL_OF)
        self._usual_s = 0.0
        self._number = 0

    @property
    def is_known(self) -> bool:
        return self._number >= USUAL_OF

    def is_slow(self, took_s: float) -> bool:
        """Take one more time, and tell whether it is several times the usual one. None is before that is known."""
        slow = self.is_known and took_s > self._usual_s * SLOW and took_s - self._usual_s > LEAST_MORE_S
        self._times_s.append(took_s)
        self._number += 1
        if self._number == USUAL_OF or self._number % USUAL_EVERY == 0:
            self._usual_s = statistics.median(self._times_s)
        return slow


def _watch() -> None:
    """Do the work again and again until nobody listens."""
    gc.disable()
    os.nice(19)
    usual = Usual()
    while not usual.is_known:
        usual.is_slow(_timed()[2])
    print(flush=True)
    while not select.select([sys.stdin], [], [], PAUSE_S)[0]:
        begin_s, end_s, took_s = _timed()
        if usual.is_slow(took_s):
            print(json.dumps([begin_s, end_s]), flush=True)


def _timed() -> tuple[float, float, float]:
    """Do the work; return when it began and ended, and what it took of the processor's time."""
    begin_s, before_s = time.monotonic(), time.thread_time()
    _work()
    return begin_s, time.monotonic(), time.thread_time() - before_s


if __name__ == "__main__":
    with suppress(BrokenPipeError, KeyboardInterrupt):
        _watch()
