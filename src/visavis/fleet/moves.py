"""Moves the sessions of a lost stage to other stages, or ends them where there is no place."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Protocol

import structlog

from visavis.errors import NoCapacity, PerformerLost, VisavisError
from visavis.fleet.performer import StagePerformer
from visavis.fleet.supply import ConnectedStage
from visavis.fleet.suspects import Suspects
from visavis.stage.port.events import PerformerEnded
from visavis.stage.port.messages import End

# Then a session for which no stage could be opened ends; not counted while another server may own it, because the
# database is away.
MOVE_WITHIN_S = 10.0
RETRY_AFTER_S = 0.5

log = structlog.get_logger("visavis.fleet")


@dataclass(frozen=True, slots=True, kw_only=True)
class LostStage:
    """A stage that was lost. `sessions`: how many it had. `detail`: what happened."""

    machine_id: str
    sessions: int
    detail: str


class Places(Protocol):
    """The stages of a fleet, as moves use them."""

    async def place_moved(self, performer: StagePerformer, lost: LostStage, *, alone: bool) -> ConnectedStage:
        """Give a session a place on another stage, which may have to be opened first. `alone`: on a stage of its own,
        if there can be one. Raises `NoCapacity` if there is no place, and `PerformerLost` if a stage cannot be opened
        now.
        """
        ...

    def placed(self, performer: StagePerformer) -> None:
        """The session's stage has opened it, or has refused to."""
        ...

    def check_owner(self) -> None:
        """Raises `PerformerLost` while another server may own the sessions of this one."""
        ...

    def is_lost(self, stage: ConnectedStage) -> bool:
        """Whether the sessions of a stage have been moved away already."""
        ...


class Moves:
    """The moves of one fleet. Their tasks run `in_background`."""

    def __init__(
        self,
        places: Places,
        suspects: Suspects,
        in_background: Callable[[Coroutine[None, None, None]], asyncio.Task[None]],
    ) -> None:
        self._places, self._suspects, self._in_background = places, suspects, in_background
        self._tasks: set[asyncio.Task[None]] = set()

    def abandon(self) -> None:
        """Stop moving: another fleet goes on with the sessions that are being moved."""
        for task in self._tasks:
            task.cancel()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = self._in_background(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def move(self, performers: Iterable[StagePerformer], lost: LostStage) -> None:
        """Move sessions away from a lost stage. Those that are ending end now, and those that may be the
        cause come last.
        """
        moving: list[StagePerformer] = []
        for performer in performers:
            performer.lose_stage()
            if performer.ending:
                performer.finish(PerformerEnded(reason="lost", detail=lost.detail))
            elif not self._is_over(performer, lost):
                moving.append(performer)
        moving.sort(key=lambda one: self._suspects.verdict(one.session_id) == "alone")
        if moving:
            self._start(self._move_all(moving, lost, deadline_s=time.monotonic() + MOVE_WITHIN_S))

    def _is_over(self, performer: StagePerformer, lost: LostStage) -> bool:
        """End a session that has lost too many stages in a row; return whether it has."""
        if self._suspects.verdict(performer.session_id) != "over":
            return False
        self._give_up(performer, lost, self._suspects.reason(performer.session_id))
        return True

    async def _move_all(self, performers: list[StagePerformer], lost: LostStage, *, deadline_s: float) -> None:
        """Place the sessions one after the other; open them at the same time."""
        for performer in performers:
            stage = await self._place(performer, lost, deadline_s=deadline_s)
            if stage is not None:
                self._start(self._open(performer, stage, lost, deadline_s=deadline_s))

    async def _place(self, performer: StagePerformer, lost: LostStage, *, deadline_s: float) -> ConnectedStage | None:
        while not performer.ended:
            try:
                alone = self._suspects.verdict(performer.session_id) == "alone"
                return await self._places.place_moved(performer, lost, alone=alone)
            except NoCapacity as error:
                self._give_up(performer, lost, f"no other has a place for it ({error.message})")
            except PerformerLost as error:
                deadline_s = self._waits_until(deadline_s)
                if time.monotonic() >= deadline_s:
                    self._give_up(performer, lost, f"no other could be opened ({error.message})")
                else:
                    await asyncio.sleep(RETRY_AFTER_S)
            except Exception:  # the outermost edge of a move
                log.exception("session_move_failed", session_id=performer.session_id)
                self._give_up(performer, lost, "its move has failed")
        return None

    def _waits_until(self, deadline_s: float) -> float:
        """Return the deadline of a move, which begins anew while another server may own the session."""
        try:
            self._places.check_owner()
        except PerformerLost:
            return time.monotonic() + MOVE_WITHIN_S
        return deadline_s

    async def _open(
        self, performer: StagePerformer, stage: ConnectedStage, lost: LostStage, *, deadline_s: float
    ) -> None:
        """Open a session on the stage where it has a place, and let it go on there."""
        self._suspects.came(performer.session_id, now_s=time.monotonic())
        try:
            await self._request_open(performer, stage)
        except VisavisError as error:
            stage_died = isinstance(error, PerformerLost) and not stage.link.alive
            if stage_died:
                await stage.lost.wait()  # then it is known which sessions are suspected
            self._places.placed(performer)
            if (later_s := self._waits_until(deadline_s)) > deadline_s:
                await self._move_all([performer], lost, deadline_s=later_s)
            elif not stage_died or time.monotonic() >= deadline_s:
                self._give_up(performer, lost, f"another could not open it ({error.message})")
            elif not self._is_over(performer, lost):
                await self._move_all([performer], lost, deadline_s=deadline_s)
            return
        except Exception:  # the outermost edge of a move
            self._places.placed(performer)
            log.exception("session_move_failed", session_id=performer.session_id)
            self._give_up(performer, lost, "its move has failed")
            return
        self._places.placed(performer)
        if performer.ended:
            await self._end_on(performer, stage)
        elif self._places.is_lost(stage):
            if not self._is_over(performer, lost):
                await self._move_all([performer], lost, deadline_s=deadline_s)
        else:
            performer.go_on(stage.link, detail=lost.detail)
            self._suspects.came(performer.session_id, now_s=time.monotonic())

    async def _request_open(self, performer: StagePerformer, stage: ConnectedStage) -> None:
        await self._end_on(performer, stage)  # a stage that was connected to before may have it still
        self._places.check_owner()
        spec = performer.kept.spec
        await stage.link.request(spec.session_id, spec.epoch, performer.opening(stage.link))

    async def _end_on(self, performer: StagePerformer, stage: ConnectedStage) -> None:
        spec = performer.kept.spec
        with contextlib.suppress(PerformerLost):  # it has ended with its stage
            await stage.link.request(spec.session_id, spec.epoch, End())
        if performer.ended:
            stage.link.remove(spec.session_id)

    def _give_up(self, performer: StagePerformer, lost: LostStage, reason: str) -> None:
        performer.finish(PerformerEnded(reason="lost", detail=f"{lost.detail}, and {reason}"))
