"""The spare stage: one more process, ready to replace a lost stage at once. It has no sessions, and is prepared for
what most sessions show.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Collection, Coroutine

from visavis.engine.images.memory_left import memory_left_bytes
from visavis.engine.pack_ref import PackRef
from visavis.engine.render.backdrop import Backdrop, Framing
from visavis.errors import PerformerLost
from visavis.fleet.machines import Machines
from visavis.fleet.supply import ConnectedStage, StageSupply
from visavis.fleet.suspects import LastWork, Suspects
from visavis.stage.port.messages import Prepare
from visavis.stage.port.values import PerformanceSpec

NEEDS_BYTES = 1 << 30  # with less memory left there is none: photos and sessions need it
# A session that starts, or that moves, has the processor for itself.
AFTER_START_S, AFTER_LOSS_S = 3.0, 1.0
RETRY_AFTER_S = 30.0  # if it cannot be opened
TAKE_WITHIN_S = 2.0  # one that is being opened is ready sooner than another one, unless it hangs


class SpareStage:
    """`machines` are told when it starts. `specs`: returns those of all sessions. `run`: handles the stage's events
    until it is lost. `opening`: locked while a stage is opened that is needed now.
    """

    def __init__(
        self,
        supply: StageSupply,
        *,
        machines: Machines,
        suspects: Suspects,
        specs: Callable[[], Collection[PerformanceSpec]],
        run: Callable[[ConnectedStage], Coroutine[None, None, None]],
        in_background: Callable[[Coroutine[None, None, None]], asyncio.Task[None]],
        opening: asyncio.Lock,
    ) -> None:
        self._supply, self._machines, self._suspects = supply, machines, suspects
        self._specs, self._run, self._in_background, self._needed_now = specs, run, in_background, opening
        self.stage: ConnectedStage | None = None
        self.prepared: PerformanceSpec | None = None  # what it was told to prepare
        self._opening: asyncio.Task[None] | None = None  # until there is one
        self._is_starting = False
        self._changed = asyncio.Event()  # replaced before each wait; set when a start is over
        self._closed = False

    def open_later(self, *, after_s: float) -> None:
        """Open one unless there is one, or will be."""
        if self._closed or self.stage is not None or (self._opening is not None and not self._opening.done()):
            return
        self._opening = self._in_background(self._open(after_s=after_s))

    def session_started(self) -> None:
        """A session performs now: it may change what most sessions show."""
        self.open_later(after_s=AFTER_START_S)
        self.prepare()

    async def _open(self, *, after_s: float) -> None:
        await asyncio.sleep(after_s)
        while not self._closed and self.stage is None and not await self._open_now():  # noqa: ASYNC110 (it may take long)
            await asyncio.sleep(RETRY_AFTER_S)

    async def _open_now(self) -> bool:
        """Open one; return False if that is not possible now."""
        if not await has_memory():
            return False
        async with self._needed_now:  # it is opened before
            self._is_starting = True
        self._machines.stage_starts()
        try:
            stage = await self._supply.open()
        except PerformerLost:
            return False
        finally:
            self._machines.stage_starts()  # what it took to start is in the next reports
            self._is_starting = False
            self._changed.set()
        if self._closed or self.stage is not None:
            await stage.aclose()
            return True
        self.use(stage)
        return True

    def use(self, stage: ConnectedStage) -> None:
        """Use this stage, which has no sessions."""
        self.stage, self.prepared = stage, None
        self._changed.set()
        self._in_background(self._run(stage))
        self.prepare()

    async def take(self) -> ConnectedStage | None:
        """Remove and return the stage, to be used for sessions; None if there is none that answers."""
        if self.stage is None and self._is_starting:
            self._changed = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TAKE_WITHIN_S):
                    await self._changed.wait()
        if self._closed or self.stage is None or not answers(self.stage):
            return None
        stage, self.stage = self.stage, None
        self.open_later(after_s=AFTER_LOSS_S)
        return stage

    def prepare(self) -> None:
        """Let it load what most sessions show, so that they go on there sooner."""
        specs = self._specs()
        if self.stage is None or not specs:
            return
        counted = Counter(_look(spec) for spec in specs)
        (look, _), *_ = counted.most_common(1)
        if self._suspects.pack_verdict(look[0], now_s=time.monotonic()) != "go on":
            return
        if self.prepared is None or _look(self.prepared) != look:
            self.prepared = next(spec for spec in specs if _look(spec) == look)
            self.stage.link.tell(Prepare(spec=self.prepared))

    def lose(self, work: LastWork) -> None:
        """The stage is lost: another one follows."""
        self.stage = None
        if work.broke and self.prepared is not None:
            self._suspects.pack_broke(self.prepared.pack, now_s=time.monotonic())
        self.open_later(after_s=AFTER_START_S)

    def close(self) -> ConnectedStage | None:
        """Open none any more; return the one that there is."""
        self._closed = True
        stage, self.stage = self.stage, None
        return stage


def answers(stage: ConnectedStage) -> bool:
    """Whether a stage is connected and has answered lately."""
    return stage.link.alive and not stage.link.quiet


async def has_memory() -> bool:
    """Whether there is memory for one more stage process than is needed."""
    left_bytes = await asyncio.to_thread(memory_left_bytes)
    return left_bytes is None or left_bytes >= NEEDS_BYTES


def _look(spec: PerformanceSpec) -> tuple[PackRef, int, int, Backdrop, Framing]:
    """Return what a stage loads and lays out for a session."""
    return spec.pack, spec.width_px, spec.height_px, spec.output.backdrop, spec.output.framing
