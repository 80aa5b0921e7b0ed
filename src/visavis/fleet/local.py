"""Performers in child processes of this machine: one warm stage from the start, more as sessions come, up to one for
each core.

A stage that dies takes its sessions with it, each of which says so by `PerformerEnded(reason="lost")`; a new stage
takes its place.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import fields
from pathlib import Path

import structlog

from visavis.engine.output import Output
from visavis.errors import NoCapacity, PerformerLost
from visavis.fleet import port
from visavis.fleet.link import StageCommand, StageLink
from visavis.fleet.port import (
    PLAIN,
    Attitude,
    Casting,
    Delivery,
    MotionFrames,
    PerformerEnded,
    PerformerEvent,
    PerformerMetrics,
)
from visavis.rooms.spec import IceServer
from visavis.stage.messages import (
    Attend,
    Dress,
    End,
    Hush,
    Interrupt,
    Message,
    Offer,
    Open,
    PerformanceLost,
    RemoveViewer,
    Resize,
    Speak,
    StreamMotion,
)

SESSIONS_PER_STAGE = 5  # of 512x512 at 25 frames a second on one core
SESSIONS_BEFORE_NEXT_STAGE = 2  # a stage with more than this has the next one started, while there are cores
# and no more than these come to it before the next one is there: sessions stay where they began
SESSIONS_WHILE_NEXT_STARTS = 3
MAX_UNHEARD_METRICS = 60  # and frames of motion
CLOSE_WITHIN_S = 5.0

log = structlog.get_logger("visavis.fleet")


class LocalPerformer:
    """Implements `fleet.port.Performer`."""

    def __init__(self, session_id: str, link: StageLink, has_ended: Callable[[str], None]) -> None:
        self.session_id = session_id
        self._link = link
        self._has_ended = has_ended
        self._last = asyncio.Event()  # of the latest call: set when it and all before it have completed
        self._last.set()
        # bounded by what the stage bounds, and metrics by MAX_UNHEARD_METRICS
        self._events: deque[PerformerEvent] = deque()
        self._happened = asyncio.Event()
        self._ended = False

    async def speak(
        self,
        pcm: bytes,
        *,
        sample_rate_hz: int,
        utterance_id: str | None = None,
        final: bool = False,
        delivery: Delivery = PLAIN,
    ) -> str:
        visemes, mood = delivery.visemes, delivery.mood
        return await self._ask_in_turn(
            lambda n: Speak(
                request=n,
                session_id=self.session_id,
                pcm=pcm,
                sample_rate_hz=sample_rate_hz,
                utterance_id=utterance_id,
                final=final,
                visemes=None if visemes is None else [(v.viseme, v.start_ms, v.end_ms) for v in visemes],
                mood=None if mood is None else list(mood.weights()),
            )
        )

    async def interrupt(self) -> None:
        await self._ask_in_turn(lambda n: Interrupt(request=n, session_id=self.session_id))

    async def hush(self, on: bool) -> None:
        await self._ask(lambda n: Hush(request=n, session_id=self.session_id, on=on))

    async def resize(self, *, width_px: int, height_px: int) -> None:
        await self._ask_in_turn(
            lambda n: Resize(request=n, session_id=self.session_id, width_px=width_px, height_px=height_px)
        )

    async def dress(self, output: Output) -> None:
        await self._ask_in_turn(lambda n: Dress(request=n, session_id=self.session_id, output=output.plain()))

    async def attend(self, state: Attitude) -> None:
        await self._ask_in_turn(lambda n: Attend(request=n, session_id=self.session_id, state=state))

    async def stream_motion(self, on: bool) -> None:
        await self._ask_in_turn(lambda n: StreamMotion(request=n, session_id=self.session_id, on=on))

    async def offer(self, *, viewer_id: str, sdp: str) -> str:
        return await self._ask(lambda n: Offer(request=n, session_id=self.session_id, viewer_id=viewer_id, sdp=sdp))

    async def remove_viewer(self, viewer_id: str) -> bool:
        return bool(await self._ask(lambda n: RemoveViewer(request=n, session_id=self.session_id, viewer_id=viewer_id)))

    async def end(self) -> None:
        if self._ended:
            return
        try:
            await self._ask(lambda n: End(request=n, session_id=self.session_id))
        except PerformerLost:
            pass  # its end is on its way, or has been told
        else:
            self._tell(PerformerEnded(reason="ended"))

    async def events(self) -> AsyncIterator[PerformerEvent]:
        while True:
            while self._events:
                event = self._events.popleft()
                yield event
                if isinstance(event, PerformerEnded):
                    return
            self._happened.clear()
            await self._happened.wait()

    async def _ask_in_turn(self, make: Callable[[int], Message]) -> str:
        """Ask at once, and complete when every call before has: many pieces of speech are on their way together, none
        overtakes another.
        """
        before, self._last = self._last, asyncio.Event()
        after = self._last
        try:
            try:
                return await self._ask(make)
            finally:
                await before.wait()
        finally:
            after.set()

    async def _ask(self, make: Callable[[int], Message]) -> str:
        if self._ended:
            raise PerformerLost("This performance has ended")
        return await self._link.ask(make)

    def _tell(self, event: PerformerEvent) -> None:
        if self._ended:
            return
        if isinstance(event, PerformerEnded):
            self._ended = True
            self._has_ended(self.session_id)
        if isinstance(event, PerformerMetrics | MotionFrames) and len(self._events) >= MAX_UNHEARD_METRICS:
            return
        self._events.append(event)
        self._happened.set()


class LocalFleet:
    """Implements `fleet.port.Fleet`. Opened by `start`, closed by `aclose`."""

    def __init__(
        self,
        *,
        stages: int | None = None,
        sessions_per_stage: int = SESSIONS_PER_STAGE,
        ice_servers: tuple[IceServer, ...] = (),
        parts: str | None = None,
        pictures_dir: Path | None = None,
    ) -> None:
        self._max_stages = stages or os.cpu_count() or 1
        self._sessions_per_stage = sessions_per_stage
        self._command = StageCommand(parts=parts, ice_servers=ice_servers, pictures_dir=pictures_dir)
        self._links: list[StageLink] = []
        self._performers: dict[str, LocalPerformer] = {}
        # by session id: the ends of sessions whose allocation was given up
        self._abandoned: dict[str, asyncio.Task[None]] = {}
        self._changing = asyncio.Lock()  # one stage is started at a time
        self._tasks: set[asyncio.Task[None]] = set()  # owned: aclose ends them
        self._closing = False

    async def start(self) -> LocalFleet:
        """Start the first stage; return when it is ready. Raises `PerformerLost` when it does not come up."""
        await self._add_stage()
        return self

    async def allocate(self, casting: Casting) -> LocalPerformer:
        assert casting.session_id not in self._performers, casting.session_id
        if (abandoned := self._abandoned.get(casting.session_id)) is not None:
            await asyncio.shield(abandoned)
        link = await self._find_place()
        link.sessions.add(casting.session_id)
        performer = self._performers[casting.session_id] = LocalPerformer(casting.session_id, link, self._forget)
        opening = self._in_background(self._open(link, casting))
        try:
            await asyncio.shield(opening)
        except BaseException as error:
            self._forget(casting.session_id)
            if isinstance(error, asyncio.CancelledError):
                self._abandoned[casting.session_id] = self._in_background(
                    self._abandon(link, casting.session_id, opening)
                )
            if isinstance(error, PerformerLost):
                raise NoCapacity("The stage was lost while the session was set up", suggestion="Try again") from error
            raise
        if len(self._links) < self._max_stages and all(
            len(stage.sessions) > SESSIONS_BEFORE_NEXT_STAGE for stage in self._links
        ):
            self._in_background(self._add_stage())
        return performer

    def capacity(self) -> tuple[int, int]:
        return sum(len(link.sessions) for link in self._links), self._max_stages * self._sessions_per_stage

    async def aclose(self) -> None:
        self._closing = True
        for performer in list(self._performers.values()):
            performer._tell(PerformerEnded(reason="ended"))
        stops = [asyncio.create_task(link.stop()) for link in self._links]
        self._links.clear()
        if stops:
            await asyncio.wait(stops, timeout=CLOSE_WITHIN_S)
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)

    # --- stages
    async def _find_place(self) -> StageLink:
        """Return the stage with the fewest sessions, or a new one. Raises `NoCapacity`."""
        free = self._free_links()
        if (
            all(len(link.sessions) >= SESSIONS_WHILE_NEXT_STARTS for link in free)
            and len(self._links) < self._max_stages
        ):
            try:
                await self._add_stage()
            except PerformerLost:
                if not free:
                    raise
            free = self._free_links()
        if not free:
            raise NoCapacity("Every stage is performing as many sessions as it can", suggestion="Try again in a moment")
        return min(free, key=lambda link: len(link.sessions))

    def _free_links(self) -> list[StageLink]:
        return [link for link in self._links if link.alive and len(link.sessions) < self._sessions_per_stage]

    async def _add_stage(self) -> None:
        async with self._changing:
            if self._closing or len(self._links) >= self._max_stages:
                return
            link = await StageLink.start(self._command)
            if self._closing:
                await link.stop()
                return
            self._links.append(link)
            self._in_background(self._attend(link))

    async def _attend(self, link: StageLink) -> None:
        """Listen to a stage as long as it lives, and replace it when it dies by itself."""
        try:
            await link.listen(self._heard)
        except ValueError as error:
            log.error("stage_link_broken", pid=link.process.pid, error=str(error))
        if self._closing:
            return
        self._links.remove(link)
        lost = list(link.sessions)
        for session_id in lost:
            self._lose(session_id, "its stage process died")
        await link.stop()
        log.error("stage_lost", pid=link.process.pid, exit_status=link.process.returncode, sessions=len(lost))
        try:
            await self._add_stage()
        except PerformerLost:
            log.error("stage_not_replaced")

    async def _open(self, link: StageLink, casting: Casting) -> None:
        await link.ask(
            lambda n: Open(
                request=n,
                session_id=casting.session_id,
                pack_path=str(casting.pack_path),
                width_px=casting.width_px,
                height_px=casting.height_px,
                fps=casting.fps,
                seed=casting.seed,
                output=casting.output.plain(),
            )
        )

    async def _abandon(self, link: StageLink, session_id: str, opening: asyncio.Task[None]) -> None:
        """End a session that nobody waits for any more, once its stage has set it up."""
        try:
            await asyncio.wait([opening])
            if opening.exception() is None:
                with contextlib.suppress(PerformerLost):
                    await link.ask(lambda n: End(request=n, session_id=session_id))
        finally:
            del self._abandoned[session_id]

    def _in_background(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _heard(self, message: Message) -> None:
        session_id: str = message.session_id  # type: ignore[attr-defined]
        performer = self._performers.get(session_id)
        if performer is None:
            return
        if isinstance(message, PerformanceLost):
            self._lose(session_id, message.detail)
            return
        # The stage's events are the port's, with the session's id in front.
        kind = getattr(port, message.kind)
        performer._tell(kind(**{field.name: getattr(message, field.name) for field in fields(kind)}))

    def _lose(self, session_id: str, detail: str) -> None:
        performer = self._performers.get(session_id)
        if performer is not None:
            performer._tell(PerformerEnded(reason="lost", detail=detail))

    def _forget(self, session_id: str) -> None:
        self._performers.pop(session_id, None)
        for link in self._links:
            link.sessions.discard(session_id)
