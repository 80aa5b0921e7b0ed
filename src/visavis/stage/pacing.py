"""Watches the loop of a stage, and sets the pace of its sessions: the stage's own (pace.py), or the slower one that its
servers tell, because another stage of the machine needs it. So all sessions of a machine slow down and come back
together. A stage whose servers are silent keeps to its own pace.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable

import structlog

from visavis.stage.pace import SLOWEST, WINDOW_NS, LoopLoad, PaceDecision
from visavis.stage.session import StageSession
from visavis.stage.turns import PictureCount, RestSelector

TOLD_FOR_NS = 5_000_000_000  # a told pace holds so long; servers repeat it every second

log = structlog.get_logger("visavis.stage")


class Pacing:
    """The pace of all sessions of a stage. `on_change`, set by the stage, is called when its own pace has changed."""

    def __init__(
        self,
        *,
        sessions: Callable[[], Iterable[StageSession]],
        count: PictureCount,
        rest: RestSelector,
        clock_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._sessions, self._count, self._rest = sessions, count, rest
        self._clock_ns = clock_ns
        self.on_change: Callable[[], None] = lambda: None
        self._decision = PaceDecision()
        self._told: dict[str, tuple[int, int]] = {}  # by server: its pace, and until when it holds
        self.load_share = 0.0  # of the last window: the share in which the loop did not rest

    @property
    def own(self) -> int:
        """The pace that this stage needs."""
        return self._decision.pace

    @property
    def shown(self) -> int:
        """The pace of the sessions: the slowest that this stage or a server asks for."""
        now_ns = self._clock_ns()
        return max((self.own, *(pace for pace, until_ns in self._told.values() if until_ns > now_ns)))

    def tell(self, server_id: str, pace: int) -> None:
        """Take the pace of the machine, as a server knows it."""
        now_ns = self._clock_ns()
        self._told = {server: told for server, told in self._told.items() if told[1] > now_ns}
        self._told[server_id] = (max(0, min(pace, SLOWEST)), now_ns + TOLD_FOR_NS)
        self.apply()

    def apply(self) -> None:
        """Give every session the pace."""
        shown = self.shown
        for session in self._sessions():
            session.set_pace(shown)

    async def run(self) -> None:
        while True:
            began_ns, rested_ns = self._clock_ns(), self._rest.rested_ns
            pictures, pictures_ns = self._count.pictures, self._count.pictures_ns
            await asyncio.sleep(WINDOW_NS / 1e9)
            duration_ns = self._clock_ns() - began_ns
            self._decide(
                LoopLoad(
                    duration_ns=duration_ns,
                    working_ns=max(0, duration_ns - (self._rest.rested_ns - rested_ns)),
                    pictures=self._count.pictures - pictures,
                    pictures_ns=self._count.pictures_ns - pictures_ns,
                    full_rate_fps=sum(session.full_rate_fps for session in self._sessions()),
                )
            )

    def _decide(self, load: LoopLoad) -> None:
        self.load_share = load.share
        before = self.own
        after = self._decision.decide(load, shown=self.shown)
        self.apply()
        if after != before:
            log.info("pace_changed", pace=after, before=before, load=round(load.share, 2))
            self.on_change()
