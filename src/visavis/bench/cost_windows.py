"""How many times its encoding a session costs, window by window.

What the same work takes changes while a benchmark runs: by neighbours, the clock of the cores, a benchmark that was
made `nice`. So the sessions' processor time is counted in windows of some seconds. What encoding takes is measured
before the first window, between two, and after the last, while the sessions go on, and each window is compared with the
two measurements beside it. The median of the windows is the cost ratio, and their least and most are its spread. A
window in which the session was slowed down does not count: it encodes fewer pictures than the yardstick does.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from visavis.bench.encoding import mean
from visavis.bench.figures import Repeated
from visavis.bench.live import LiveServer, LiveSession
from visavis.bench.yardstick import FPS, Yardstick

LEAST_RATE = 0.96  # of the frames; sessions that show fewer are slowed down
ASK_EVERY_S, TOLD_WITHIN_S = 0.05, 5.0  # a stage tells its frames once a second


@dataclass(frozen=True, slots=True)
class SessionCost:
    """How many times its encoding a session costs; None if the sessions were slowed down in every window."""

    ratio: Repeated | None

    def members(self) -> dict[str, object]:
        """Return the members of a benchmark's JSON."""
        ratio = self.ratio
        return {
            "cost_ratio": None if ratio is None else ratio.median,
            "cost_ratio_spread": None if ratio is None else ratio.spread,
        }

    def sentence(self) -> str:
        if self.ratio is None:
            return "The sessions were slowed down, so their cost cannot be compared with that of encoding"
        return f"A session costs {self.ratio.text('.2f')} times its encoding"


class CostWindows:
    """The windows of one benchmark. `session`: the one whose pictures tell whether the sessions are slowed down."""

    def __init__(self, server: LiveServer, session: LiveSession, yardstick: Yardstick) -> None:
        self._server, self._session, self._yardstick = server, session, yardstick
        self._ratios: list[float] = []

    async def begin(self) -> None:
        """Measure encoding, and begin the first window."""
        self._encoding = await asyncio.to_thread(self._yardstick.measure)
        await self._begin_window()

    async def _begin_window(self) -> None:
        self._frames, self._told_s = await self._frames_told()
        self._began_s, self._cpu_s = time.monotonic(), self._server.cpu_s()

    @property
    def passed_s(self) -> float:
        """How long the current window is so far."""
        return time.monotonic() - self._began_s

    async def close(self, *, session_s: float, spoken_s: float) -> None:
        """End the window, measure encoding, and begin the next one. `session_s`, `spoken_s`: how long the sessions ran
        in the window and spoke, all together.
        """
        cpu_s = self._server.cpu_s() - self._cpu_s
        frames, told_s = await self._frames_told()
        full_rate = frames - self._frames > LEAST_RATE * FPS * (told_s - self._told_s)
        before, self._encoding = self._encoding, await asyncio.to_thread(self._yardstick.measure)
        if full_rate:
            spoken = min(1.0, spoken_s / session_s)
            self._ratios.append(mean(before, self._encoding).ratio(cpu_s / session_s, spoken=spoken))
        await self._begin_window()

    async def _frames_told(self) -> tuple[int, float]:
        """Wait until the session's stage tells of new frames. Return how many it has drawn, and when that was told."""
        before, deadline_s = await self._frames_drawn(), time.monotonic() + TOLD_WITHIN_S
        while (frames := await self._frames_drawn()) == before and time.monotonic() < deadline_s:  # noqa: ASYNC110
            await asyncio.sleep(ASK_EVERY_S)  # another process
        return frames, time.monotonic()

    async def _frames_drawn(self) -> int:
        drawn: int = (await self._session.metrics())["frames"]["drawn"]
        return drawn

    def cost(self) -> SessionCost:
        """Return the cost ratio of the windows that were closed."""
        return SessionCost(Repeated.of(self._ratios, digits=2) if self._ratios else None)
