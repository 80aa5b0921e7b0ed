"""All sessions of one stage process, whoever owns them: carries out their commands and tells their events."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import sys
import time
from collections import OrderedDict
from dataclasses import dataclass

import structlog

from visavis.errors import PerformerLost, StaleOwner
from visavis.rooms.opening import open_room
from visavis.stage.avatars import LoadedAvatars
from visavis.stage.owner import Owner
from visavis.stage.parts import Parts
from visavis.stage.port import messages
from visavis.stage.port.events import PerformerEnded
from visavis.stage.port.messages import Done, OfferAnswered, Request, Result, Spoken, ViewerRemoved
from visavis.stage.port.values import PerformanceSpec
from visavis.stage.session import StageSession, background_of
from visavis.stage.video import VideoPipeline, VideoSpec

REMEMBERED_EPOCHS = 4096  # of sessions that have ended: an owner that only slept must not begin them anew

log = structlog.get_logger("visavis.stage")


@dataclass(slots=True, eq=False)
class _Performance:
    """A session that is performed here. `owner` and `epoch` change when another server takes the session over."""

    session: StageSession
    owner: Owner
    epoch: int
    running: asyncio.Task[None] | None = None


class Stage:
    """`tasks` runs every session; whoever gives it ends it."""

    def __init__(self, *, parts: Parts, tasks: asyncio.TaskGroup) -> None:
        self._parts, self._tasks = parts, tasks
        self._avatars = LoadedAvatars(parts)
        self._performances: dict[str, _Performance] = {}
        self._epochs: OrderedDict[str, int] = OrderedDict()  # the highest epoch seen of each session

    async def do(self, owner: Owner, request: Request) -> Result:
        """Carry out a command. Up to their first await, commands take effect in the order of the calls.

        Raises `StaleOwner` for an owner that another one has followed, and what the command raises.
        """
        self._check_epoch(request)
        session_id = request.session_id
        match request.command:
            case messages.Open(spec=spec):
                await self._open(owner, spec)
                return Done()
            case messages.End():
                await self.end(session_id)
                return Done()
        performance = self._performances.get(session_id)
        if performance is None:
            raise PerformerLost("This session is not performed here any more")
        if request.epoch > performance.epoch:
            log.info("session_taken_over", session_id=session_id, epoch=request.epoch)
            performance.owner, performance.epoch = owner, request.epoch
        elif performance.owner is not owner:
            raise StaleOwner(f"Another server owns the session at epoch {performance.epoch}")
        session = performance.session
        match request.command:
            case messages.Speak(speech=speech):
                return Spoken(utterance_id=session.speak(speech))
            case messages.Interrupt(through=through):
                await session.interrupt(through=through)
            case messages.Resize(width_px=width_px, height_px=height_px):
                await session.resize(width_px=width_px, height_px=height_px)
            case messages.SetOutput(output=output):
                await session.set_output(output)
            case messages.SetState(state=state):
                session.set_state(state)
            case messages.StreamMotion(on=on):
                session.stream_motion(on)
            case messages.Offer(viewer_id=viewer_id, sdp=sdp):
                return OfferAnswered(sdp=await session.entrance.offer(viewer_id=viewer_id, sdp=sdp))
            case messages.RemoveViewer(viewer_id=viewer_id):
                return ViewerRemoved(was_there=await session.entrance.remove_viewer(viewer_id))
        return Done()

    def _check_epoch(self, request: Request) -> None:
        seen = self._epochs.get(request.session_id, 0)
        if request.epoch < seen:
            raise StaleOwner(f"The session has an owner of epoch {seen}; this command is of epoch {request.epoch}")
        self._epochs[request.session_id] = request.epoch
        self._epochs.move_to_end(request.session_id)
        while len(self._epochs) > REMEMBERED_EPOCHS + len(self._performances):
            self._epochs.popitem(last=False)

    async def _open(self, owner: Owner, spec: PerformanceSpec) -> None:
        session_id = spec.session_id
        if session_id in self._performances:
            raise PerformerLost("This session is performed here already")
        try:
            avatar = await self._avatars.take(spec.pack, session_id, owner.source)
            image = await background_of(spec.output, session_id=session_id, source=owner.source)
            video_spec = VideoSpec(
                width_px=spec.width_px, height_px=spec.height_px, fps=spec.fps, output=spec.output, image=image
            )
            video = await asyncio.to_thread(VideoPipeline.build, avatar, video_spec)
            performance: _Performance
            session = StageSession(
                session_id=session_id,
                avatar=avatar,
                video=video,
                parts=self._parts,
                source=owner.source,
                seed=spec.seed,
                tell=lambda event: performance.owner.tell(session_id, event),
            )
            performance = _Performance(session, owner, spec.epoch)
            session.enter(
                await open_room(
                    spec.room, session, wall_clock_at_start_ns=time.time_ns(), ice_servers=owner.ice_servers
                )
            )
        except BaseException:
            self._avatars.give_back(session_id)
            raise
        self._performances[session_id] = performance
        performance.running = self._tasks.create_task(self._perform(performance))

    async def _perform(self, performance: _Performance) -> None:
        """Run one session: its failure is its own."""
        session_id = performance.session.session_id
        try:
            await performance.session.run()
        except Exception as error:  # the outermost edge of a session
            log.exception("performance_failed", session_id=session_id)
            performance.running = None  # it ends itself
            performance.owner.tell(session_id, PerformerEnded(reason="lost", detail=repr(error)))
            await self.end(session_id)

    async def end(self, session_id: str) -> None:
        """End a session; one that is not there is ended already."""
        performance = self._performances.pop(session_id, None)
        if performance is None:
            return
        if performance.running is not None:
            performance.running.cancel()
        await performance.session.leave()
        self._avatars.give_back(session_id)
        del performance
        await asyncio.sleep(0)  # the tasks of the session take their leave
        await asyncio.to_thread(_give_memory_back)

    def owned_by(self, owner: Owner) -> list[str]:
        return [session_id for session_id, p in self._performances.items() if p.owner is owner]

    async def end_all(self) -> None:
        for session_id in list(self._performances):
            await self.end(session_id)


def _give_memory_back() -> None:
    """Free what an ended session held: pictures are few objects but many megabytes, which the collector
    does not see.
    """
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another libc than glibc
            ctypes.CDLL(None).malloc_trim(0)
