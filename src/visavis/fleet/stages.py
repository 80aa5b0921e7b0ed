"""A fleet of stages: gives each session a stage, opens stages as they are needed, and replaces a stage that dies or
that does not answer.

One stage is open from the start; more are opened when sessions come, up to the supply's limit. When a stage dies or is
silent for too long, a new stage takes its place, and its sessions go on on other stages (moves.py).

A session keeps its place until its stage has ended it. Every second the stage tells which sessions it performs, and
what differs from the table of places is put right.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Set
from functools import partial

import structlog

from visavis.errors import NoCapacity, PackUnreadable, PerformerLost, StaleOwner
from visavis.fleet.admission import Limits
from visavis.fleet.link import StageLink
from visavis.fleet.machines import Machines
from visavis.fleet.moves import LostStage, Moves
from visavis.fleet.performer import StagePerformer
from visavis.fleet.port import Adopted, Capacity, Place
from visavis.fleet.spare_stage import SpareStage, answers, has_memory
from visavis.fleet.supply import ConnectedStage, StageSupply
from visavis.fleet.suspects import LastWork, Suspects
from visavis.fleet.take_overs import TakeOvers
from visavis.stage.pace import PACES
from visavis.stage.port.events import PerformerEnded
from visavis.stage.port.held import HeldSession
from visavis.stage.port.messages import Acknowledge, End, Event, Leave, Open, Pong
from visavis.stage.port.report import SessionShape, StageReport
from visavis.stage.port.values import PerformanceSpec

SIZES_PX = ((512, 512), (1280, 720), (1280, 960), (960, 1280), (1280, 1280))  # that `capacity` tells about
SESSIONS_BEFORE_NEXT_STAGE = 2  # when every stage has more sessions, the next stage is opened, up to the supply's limit
# A stage with this many sessions gets no more until the next stage is open. Sessions only move to another stage if
# theirs is lost, so this keeps them evenly distributed.
SESSIONS_WHILE_NEXT_STARTS = 3
END_WITHIN_S = 1.0  # for the sessions, when the fleet closes
CLOSE_WITHIN_S = 4.0  # for the stages after that
# When the fleet lets go of its stages: for sessions whose stage dies or hangs just then, and for the stages after that.
MOVED_WITHIN_S, LET_GO_WITHIN_S = 8.0, 3.0
CHECK_EVERY_S = 0.02
RETRY_AFTER_S = 1.0  # if a lost stage cannot be replaced
MAX_STARTS = 2  # a session whose stage is lost while it starts is started once more, alone
MAX_ALONE = 4  # stages with one session, beyond the others: each takes the memory of a process

log = structlog.get_logger("visavis.fleet")


class StageFleet:
    """Implements `fleet.port.Fleet` and `fleet.moves.Places`."""

    def __init__(
        self,
        supply: StageSupply,
        *,
        limits: Limits = Limits(),  # noqa: B008  it is frozen
        keep_spare: bool = False,
        open_all: bool = False,
        owns_sessions: Callable[[], bool] = lambda: True,
    ) -> None:
        """`keep_spare`: keep one more stage process ready, to replace a lost one at once. `open_all`: open all stages
        at the start. They run anyway, and other servers have sessions there: the one with the least to do gets the
        next. `owns_sessions`: whether no other server can have taken this one's sessions over.
        """
        self._supply, self._open_all, self._owns_sessions = supply, open_all, owns_sessions
        self._shapes: dict[str, SessionShape] = {}  # of the sessions that were placed
        self._machines = Machines(limits, self._shapes)
        self._stages: list[ConnectedStage] = []
        self._alone: list[ConnectedStage] = []  # each has one session, which may be the cause that stages died
        self._suspects = Suspects()
        self._performers: dict[str, StagePerformer] = {}
        self._abandoned: dict[str, asyncio.Task[None]] = {}  # by session: tasks that end cancelled allocations
        self._opening: set[str] = set()  # sessions whose stage has not answered yet
        self._strays: set[str] = set()  # sessions without a place, while their stage ends them
        self._take_overs = TakeOvers()
        self._opening_lock = asyncio.Lock()  # one stage that is needed is opened at a time
        self._spare: SpareStage | None = None
        if keep_spare:
            self._spare = SpareStage(
                supply,
                machines=self._machines,
                suspects=self._suspects,
                specs=lambda: [performer.kept.spec for performer in self._performers.values()],
                run=self._run_stage,
                in_background=self._in_background,
                opening=self._opening_lock,
            )
        self._moves = Moves(self, self._suspects, self._in_background)
        self._tasks: set[asyncio.Task[None]] = set()  # aclose cancels them
        self._closing = False

    async def start(self) -> None:
        if not self._stages:
            await self._add_stage()
            while self._open_all and not self._closing and len(self._stages) < self._supply.max_stages:
                try:
                    await self._add_stage()
                except PerformerLost:  # the others will do
                    break
        if self._spare is not None:
            self._spare.open_later(after_s=0.0)

    async def adopt(self) -> list[Adopted]:
        adopted = []
        found = sorted(await self._supply.adopt(), key=lambda stage: not stage.link.held)
        for stage in found:
            if not stage.link.held and self._stages:
                self._use_empty(stage)
                continue
            self._stages.append(stage)
            for held in stage.link.held:
                spec = held.spec
                shape = SessionShape(width_px=spec.width_px, height_px=spec.height_px, fps=spec.fps)
                told_s = stage.link.ready_s
                performer = self._place(stage, spec, shape, held, told_s=told_s)
                adopted.append(Adopted(performer=performer, held=held, told_s=told_s))
            self._in_background(self._run_stage(stage))
        return adopted

    def _use_empty(self, stage: ConnectedStage) -> None:
        """Use a stage that an earlier server has left and that has no sessions: its spare one, or one too many."""
        if self._spare is not None and self._spare.stage is None:
            self._spare.use(stage)
        elif len(self._stages) < self._supply.max_stages:
            self._stages.append(stage)
            self._in_background(self._run_stage(stage))
        else:
            self._in_background(stage.aclose())

    def _place(
        self,
        stage: ConnectedStage,
        spec: PerformanceSpec,
        shape: SessionShape,
        held: HeldSession | None = None,
        *,
        told_s: float = 0.0,
    ) -> StagePerformer:
        """Give a session its place on a stage."""
        stage.link.sessions.add(spec.session_id)
        self._shapes[spec.session_id] = shape
        performer = StagePerformer(spec, stage.link, self._in_background, self._remove, held, told_s=told_s)
        self._performers[spec.session_id] = performer
        return performer

    async def allocate(self, spec: PerformanceSpec) -> StagePerformer:
        session_id = spec.session_id
        assert session_id not in self._performers, session_id
        if (abandoned := self._abandoned.get(session_id)) is not None:
            await asyncio.shield(abandoned)
        performer, starts = None, 0
        while performer is None:
            how = self._suspects.pack_verdict(spec.pack, now_s=time.monotonic())
            if how == "over":
                raise PackUnreadable("This avatar's pack breaks every stage that loads it")
            if starts == MAX_STARTS or self._closing:
                raise NoCapacity("The stage was lost while the session was set up", suggestion="Try again")
            performer, starts = await self._allocate(spec, alone=how == "alone" or starts > 0), starts + 1
        self._suspects.pack_opened(spec.pack)
        performer.kept.opened(now_s=time.monotonic())
        if len(self._stages) < self._supply.max_stages and all(
            len(stage.link.sessions) > SESSIONS_BEFORE_NEXT_STAGE for stage in self._stages
        ):
            self._in_background(self._add_stage_if_possible())
        if self._spare is not None:
            self._spare.session_started()
        return performer

    async def _allocate(self, spec: PerformanceSpec, *, alone: bool) -> StagePerformer | None:
        """Open a session on a stage; return None if the stage is lost meanwhile. `alone`: on one of its own, if there
        can be one.
        """
        session_id = spec.session_id
        shape = SessionShape(width_px=spec.width_px, height_px=spec.height_px, fps=spec.fps)
        stage = await self._choose_stage(shape)
        if alone:
            stage = await self._open_alone() or stage
        performer = self._place(stage, spec, shape)
        opening = self._in_background(self._open_session(stage, spec))
        self._opening.add(session_id)
        opening.add_done_callback(lambda _: self._opening.discard(session_id))
        try:
            await asyncio.shield(opening)
        except BaseException as error:
            self._remove(session_id)
            if isinstance(error, asyncio.CancelledError):
                self._abandoned[session_id] = self._in_background(self._abandon(stage, spec, opening))
            if isinstance(error, PerformerLost):
                if not stage.link.alive:
                    await stage.lost.wait()
                    await self._note_pack(stage, spec)
                return None
            raise
        if self.is_lost(stage) and not performer.moving:
            self._remove(session_id)
            return None
        return performer

    async def _note_pack(self, stage: ConnectedStage, spec: PerformanceSpec) -> None:
        """A stage was lost while it opened a session: note it if its pack may be the cause."""
        work = await stage.last_work()
        if work.broke and spec.session_id in (work.sessions or {spec.session_id}):
            log.error("stage_broke_at_pack", stage=stage.name, session_id=spec.session_id, pack=spec.pack.avatar_id)
            self._suspects.pack_broke(spec.pack, now_s=time.monotonic())

    def capacity(self) -> Capacity:
        links = self._links()
        cores = self._machines.cores(links)
        return Capacity(
            sessions=sum(len(link.sessions) for link in links) + len(self._machines.moving),
            places=tuple(
                Place(width_px=width_px, height_px=height_px, free=self._places(links, width_px, height_px))
                for width_px, height_px in SIZES_PX
            ),
            load=cores.load,
            rate=float(PACES[self._machines.pace(links)]),
            cores=cores,
        )

    def _places(self, links: list[StageLink], width_px: int, height_px: int) -> int:
        shape = SessionShape(width_px=width_px, height_px=height_px)
        more_stages = max(0, self._supply.max_local_stages - len(links))
        return self._machines.places(links, shape, more_stages=more_stages)

    def reports(self) -> list[StageReport]:
        return [link.report for link in self._links()]

    def problem(self) -> str | None:
        if not any(stage.link.alive for stage in self._stages):
            return "No stage process is running"
        return None if any(answers(stage) for stage in self._stages) else "No stage process answers"

    def leave(self) -> None:
        for stage in self._all_stages():
            stage.link.tell(Leave())

    async def let_go(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MOVED_WITHIN_S):
                await self._until_all_have_stages()
        self._closing = True
        stages = self._all_stages()
        self._close_lists()
        self._performers.clear()
        if stages:
            await asyncio.wait([asyncio.create_task(stage.link.let_go()) for stage in stages], timeout=LET_GO_WITHIN_S)

    async def _until_all_have_stages(self) -> None:
        """Wait until every session is on a stage that has answered all calls: the next server finds no other."""
        while True:
            had_stages = self._all_have_stages()
            await asyncio.gather(*(stage.link.settle() for stage in self._all_stages()))
            if had_stages and self._all_have_stages():
                return
            await asyncio.sleep(CHECK_EVERY_S)

    def _all_have_stages(self) -> bool:
        return all(one.link is not None and one.link.alive for one in self._performers.values())

    async def aclose(self) -> None:
        self._closing = True
        self.leave()
        endings = [asyncio.create_task(performer.end()) for performer in self._performers.values()]
        if endings:
            await asyncio.wait(endings, timeout=END_WITHIN_S)
        for performer in list(self._performers.values()):
            performer.emit(PerformerEnded(reason="ended"))
        closings = [asyncio.create_task(stage.aclose()) for stage in self._all_stages()]
        self._close_lists()
        if closings:
            await asyncio.wait(closings, timeout=CLOSE_WITHIN_S)
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=1.0)
        await self._supply.aclose()

    def surrender(self, detail: str) -> tuple[list[StagePerformer], LostStage]:
        """Give all sessions away: the machine of these stages is lost. Those that are being opened for the first time
        fail; those that are being ended have ended. Afterwards only `aclose` may be called. `detail`: what happened.
        """
        self._closing = True
        self._moves.abandon()
        machine_id = next((stage.link.report.machine_id for stage in self._stages), "")
        performers = [one for one in self._performers.values() if one.moving or one.session_id not in self._opening]
        lost = LostStage(machine_id=machine_id, sessions=len(performers), detail=detail)
        for performer in performers:
            self._remove(performer.session_id)
            performer.leave_fleet(self._in_background, lambda _: None)
            if performer.ending:
                performer.finish(PerformerEnded(reason="lost", detail=detail))
        return [one for one in performers if not one.ended], lost

    def quiet(self) -> list[StagePerformer]:
        """Return the sessions that say nothing now, and have nothing left to say."""
        return [one for one in self._performers.values() if one.quiet and one.session_id not in self._opening]

    async def give_away(self, performer: StagePerformer, detail: str) -> LostStage:
        """Give one session away, and end it here. Another fleet goes on with it (`take_in`)."""
        spec, link = performer.kept.spec, performer.link
        lost = LostStage(machine_id="", sessions=1, detail=detail)
        self._remove(spec.session_id)
        performer.leave_fleet(self._in_background, lambda _: None)
        if link is not None:
            with contextlib.suppress(PerformerLost, StaleOwner):
                await link.request(spec.session_id, spec.epoch, End())
        return lost

    def take_in(self, performer: StagePerformer, lost: LostStage) -> None:
        """Go on with a session that another fleet has surrendered. If that cannot be, it ends."""
        spec = performer.kept.spec
        self._shapes[spec.session_id] = SessionShape(width_px=spec.width_px, height_px=spec.height_px, fps=spec.fps)
        self._machines.moving[spec.session_id] = self._shapes[spec.session_id]
        self._performers[spec.session_id] = performer
        performer.leave_fleet(self._in_background, self._remove)
        self._moves.move([performer], lost)

    async def take_over(self, session_id: str, *, ownership: int) -> Adopted | None:
        """Go on with a session of another server, whose lease has ended; None if no stage here performs it. Raises
        `PerformerLost` if that is not known, because not all stages answer, and `StaleOwner` if the session has a later
        owner. `ownership`: see `PerformanceSpec`.
        """
        with self._take_overs.awaited(session_id):
            if (before := self._performers.get(session_id)) is not None:  # of a time when it was this server's
                before.leave()
            asked: list[ConnectedStage] = []
            while stages := [one for one in self._stages if one not in asked]:
                asked += stages
                asking = (self._ask_for(one, session_id, ownership) for one in stages)
                answers = await asyncio.gather(*asking, return_exceptions=True)
                if found := next((one for one in answers if isinstance(one, Adopted)), None):
                    return found
                if failed := next((one for one in answers if isinstance(one, BaseException)), None):
                    raise failed
                await self._add_stage()
        if len(asked) < self._supply.max_stages:
            raise PerformerLost("Not all stages of the machine can be asked")
        return None

    def give_up(self, session_id: str) -> None:
        """The session is not taken over any more."""
        self._take_overs.forget(session_id)

    async def _ask_for(self, stage: ConnectedStage, session_id: str, ownership: int) -> Adopted | None:
        """Ask one stage for a session; None if it does not perform it. Raises `PerformerLost` if it does not answer,
        and `StaleOwner`.
        """

        def take(held: HeldSession) -> Adopted:
            spec, told_s = held.spec, time.monotonic()
            shape = SessionShape(width_px=spec.width_px, height_px=spec.height_px, fps=spec.fps)
            performer = self._place(stage, spec, shape, held, told_s=told_s)
            for event in self._take_overs.early(session_id, stage.link):
                performer.emit(event.event, event.number, told=event.told)
            return Adopted(performer=performer, held=held, told_s=told_s)

        return await self._take_overs.ask(stage.link, session_id, ownership, take)

    # --- stages
    def _all_stages(self) -> list[ConnectedStage]:
        """Return the stages, with the spare one."""
        spare = None if self._spare is None else self._spare.stage
        return [*self._stages, *self._alone, *([] if spare is None else [spare])]

    def _close_lists(self) -> None:
        self._stages.clear()
        self._alone.clear()
        if self._spare is not None:
            self._spare.close()

    async def _choose_stage(self, shape: SessionShape) -> ConnectedStage:
        """Return the stage that has the least to do, or a new one. Raises `NoCapacity`."""
        free = self._free_stages(shape)
        more_wanted = all(len(stage.link.sessions) >= SESSIONS_WHILE_NEXT_STARTS for stage in free)
        if len(self._stages) < self._supply.max_stages and more_wanted and (free or self._one_more_stage_helps(shape)):
            try:
                await self._add_stage()
            except PerformerLost:
                if not free:
                    raise
            free = self._free_stages(shape)
        if not free:
            problem = self.problem() or "Every stage is performing as many sessions as it can"
            raise NoCapacity(problem, suggestion="Try again in a moment")
        return min(free, key=lambda stage: (self._machines.weight(stage.link), len(stage.link.sessions)))

    def _free_stages(self, shape: SessionShape) -> list[ConnectedStage]:
        links = self._links()
        return [s for s in self._stages if answers(s) and self._machines.can_take(s.link, links, shape)]

    def _one_more_stage_helps(self, shape: SessionShape) -> bool:
        """Whether a stage that is opened now could take a session. One on another machine could."""
        links = self._links()
        if not links or not self._supply.max_local_stages:
            return True
        return self._places(links, shape.width_px, shape.height_px) > 0

    def _links(self) -> list[StageLink]:
        return [stage.link for stage in (*self._stages, *self._alone) if stage.link.alive]

    async def _add_stage(self, *, wanted: int | None = None) -> None:
        """Open one more stage, unless the limit is reached or there are as many as `wanted`. Raises `PerformerLost`."""
        most = self._supply.max_stages if wanted is None else min(wanted, self._supply.max_stages)
        async with self._opening_lock:
            if self._closing or len(self._stages) >= most:
                return
            await self._open_into(self._stages)

    async def _open_into(self, stages: list[ConnectedStage]) -> ConnectedStage | None:
        """Take the spare stage, or open one, for one of the lists; None if the fleet closes. The caller holds the lock.
        Raises `PerformerLost`.
        """
        if self._spare is not None and (spare := await self._spare.take()) is not None:
            stages.append(spare)
            return spare
        self._machines.stage_starts()
        stage = await self._supply.open()
        self._machines.stage_starts()  # what it took to start is in the next reports
        if self._closing:
            await stage.aclose()
            return None
        stages.append(stage)
        self._in_background(self._run_stage(stage))
        return stage

    async def _open_alone(self) -> ConnectedStage | None:
        """Open a stage for one session, beyond the others; None if there can be none."""
        if not self._supply.max_local_stages or not await has_memory():
            return None
        async with self._opening_lock:
            if self._closing or len(self._alone) >= MAX_ALONE:
                return None
            with contextlib.suppress(PerformerLost):
                return await self._open_into(self._alone)
        return None

    async def _close_alone(self, stage: ConnectedStage) -> None:
        """The session of a stage of its own is over."""
        if stage in self._alone:
            self._alone.remove(stage)
            await stage.aclose()

    async def _add_stage_if_possible(self) -> None:
        with contextlib.suppress(PerformerLost):
            await self._add_stage()

    async def _run_stage(self, stage: ConnectedStage) -> None:
        """Handle a stage's events until it dies or is silent for too long; then move its sessions and replace it."""
        try:
            detail = await self._watch(stage)
            work = await stage.last_work()
            self._suspects.lost(stage.link.sessions, work, now_s=time.monotonic())
        finally:
            stage.lost.set()
        if self._closing:
            return
        wanted = self._take_out(stage, detail, work)
        await stage.aclose()
        while len(self._stages) < wanted and not self._closing:
            try:
                await self._add_stage(wanted=wanted)
                return
            except PerformerLost as error:
                log.error("stage_not_replaced", problem=error.message)
            except Exception:  # the outermost edge of a stage: whatever it was, the stage must be replaced
                log.exception("stage_not_replaced")
            await asyncio.sleep(RETRY_AFTER_S)

    def _take_out(self, stage: ConnectedStage, detail: str, work: LastWork) -> int:
        """Take a lost stage out, and move its sessions; return how many stages there shall be."""
        wanted = len(self._stages)
        if self._spare is not None and stage is self._spare.stage:
            self._spare.lose(work)
            return wanted
        if stage in self._stages:
            self._stages.remove(stage)
        elif stage in self._alone:
            self._alone.remove(stage)
        else:
            return wanted  # it was closed
        worked_for = sorted(work.sessions & stage.link.sessions)
        log.error(
            "stage_lost",
            stage=stage.name,
            sessions=len(stage.link.sessions),
            detail=detail,
            broke=work.broke,
            worked_for=worked_for,
        )
        self._lose(stage, stage.link.sessions, detail)
        return wanted

    async def _watch(self, stage: ConnectedStage) -> str:
        """Handle a stage's events until it cannot be used any more; kill it if it is silent. Return what happened."""
        take_report = partial(self._take_report, stage)
        listening = asyncio.create_task(stage.link.listen(partial(self._dispatch, stage), take_report))
        watching = asyncio.create_task(stage.link.watch(silent_s=stage.silent_s))
        try:
            await asyncio.wait((listening, watching), return_when=asyncio.FIRST_COMPLETED)
            detail = "its stage is gone"
            if not listening.done():
                detail = f"its stage has not answered for {stage.silent_s:g} s"
                stage.kill()
            await listening
            return detail
        except Exception:  # a fault of ours: without a reader the stage is of no use
            log.exception("stage_handling_failed", stage=stage.name)
            stage.kill()
            return "the connection to its stage failed"
        finally:
            listening.cancel()
            watching.cancel()

    def _take_report(self, stage: ConnectedStage) -> None:
        self._machines.take_report(stage.link, self._links())

    def _lose(self, stage: ConnectedStage, session_ids: Set[str], detail: str) -> None:
        """Move sessions that their stage does not perform any more. Those that are being opened are opened anew by
        whoever opens them.
        """
        found = (self._performers.get(session_id) for session_id in sorted(session_ids - self._opening))
        performers = [one for one in found if one is not None and one.link is stage.link]
        lost = LostStage(machine_id=stage.link.report.machine_id, sessions=len(session_ids), detail=detail)
        for performer in performers:
            stage.link.remove(performer.session_id)
            self._machines.moving[performer.session_id] = self._shapes[performer.session_id]
        self._moves.move(performers, lost)

    async def place_moved(self, performer: StagePerformer, lost: LostStage, *, alone: bool) -> ConnectedStage:
        """See `moves.Places`."""
        self.check_owner()
        spec = performer.kept.spec
        shape = SessionShape(width_px=spec.width_px, height_px=spec.height_px, fps=spec.fps)
        own = await self._open_alone() if alone else None
        if own is not None:
            if performer.ended:
                await self._close_alone(own)
                raise NoCapacity("The session has ended")
            self._give_place(performer, own, shape)
            return own
        while not (free := self._stages_for_moved(spec.session_id, shape, lost)):
            if self._closing or len(self._stages) >= self._supply.max_stages:
                # As many as the lost stage had fit on its replacement, even if what they cost has risen.
                free = self._stages_for_moved(spec.session_id, shape, lost, at_most=lost.sessions)
                break
            await self._add_stage(wanted=len(self._stages) + 1)
        if not free or performer.ended:
            raise NoCapacity("Every stage is performing as many sessions as it can")
        stage = min(free, key=lambda stage: (self._machines.weight(stage.link), len(stage.link.sessions)))
        self._give_place(performer, stage, shape)
        return stage

    def _give_place(self, performer: StagePerformer, stage: ConnectedStage, shape: SessionShape) -> None:
        """Give a session that is moving a place on a stage, which opens it next."""
        self._machines.moving.pop(performer.session_id, None)
        stage.link.sessions.add(performer.session_id)
        self._shapes[performer.session_id] = shape
        self._opening.add(performer.session_id)

    def _stages_for_moved(
        self, session_id: str, shape: SessionShape, lost: LostStage, *, at_most: int = 0
    ) -> list[ConnectedStage]:
        links = self._links()
        for link in links:
            link.remove(session_id)  # a stage that is connected again may have it still
        can_take = partial(self._machines.can_take_moved, machine_id=lost.machine_id, at_most=at_most)
        return [stage for stage in self._stages if answers(stage) and can_take(stage.link, links, shape)]

    def placed(self, performer: StagePerformer) -> None:
        """See `moves.Places`."""
        self._opening.discard(performer.session_id)

    def check_owner(self) -> None:
        """See `moves.Places`."""
        if not self._owns_sessions():
            raise PerformerLost("This server has not renewed its lease: its sessions may be another's by now")

    def is_lost(self, stage: ConnectedStage) -> bool:
        """See `moves.Places`."""
        return not stage.link.alive and stage not in self._stages and stage not in self._alone

    async def _open_session(self, stage: ConnectedStage, spec: PerformanceSpec) -> None:
        await stage.link.request(spec.session_id, spec.epoch, Open(spec=spec))

    async def _abandon(self, stage: ConnectedStage, spec: PerformanceSpec, opening: asyncio.Task[None]) -> None:
        """End a session whose allocation was cancelled, after its stage has opened it."""
        try:
            await asyncio.wait([opening])
            if opening.exception() is None:
                with contextlib.suppress(PerformerLost):
                    await stage.link.request(spec.session_id, spec.epoch, End())
        finally:
            del self._abandoned[spec.session_id]

    def _in_background(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _dispatch(self, stage: ConnectedStage, message: Event | Pong) -> None:
        if isinstance(message, Pong):
            self._reconcile(stage, message.epochs)
            return
        performer = self._performers.get(message.session_id)
        if performer is not None and performer.link is stage.link:
            performer.emit(message.event, message.number, told=message.told)
        elif performer is not None and performer.next_link is stage.link:
            return  # nobody needs it, and an acknowledgement would cover what the stage keeps of the one before
        elif self._take_overs.awaits(message, stage.link):
            return
        elif message.number and not self._closing:  # of a session that is over, or elsewhere: nobody needs it
            stage.link.tell(Acknowledge(session_id=message.session_id, number=message.number))

    def _reconcile(self, stage: ConnectedStage, epochs: dict[str, int]) -> None:
        """Compare what a stage performs with its places: end what has no place, and free the place of what has ended.

        Sessions that are being opened or ended are left alone: their answer is on its way.
        """
        for session_id in stage.link.sessions & epochs.keys():
            performer = self._performers.get(session_id)
            if performer is not None and performer.link is stage.link:
                performer.is_performed()
        for session_id in stage.link.sessions - epochs.keys() - self._opening:
            performer = self._performers.get(session_id)
            if performer is not None and not performer.ending:
                log.error("session_not_on_its_stage", session_id=session_id, stage=stage.name)
                self._lose(stage, {session_id}, "its stage does not perform it any more")
        if not self._owns_sessions():  # what is moving cannot be opened now: it shall not be ended, either
            return
        known = stage.link.sessions | self._abandoned.keys() | self._strays | self._take_overs.awaited_sessions
        for session_id in epochs.keys() - known:
            log.error("session_without_place", session_id=session_id, stage=stage.name)
            self._strays.add(session_id)
            self._in_background(self._end_stray(stage, session_id, epochs[session_id]))

    async def _end_stray(self, stage: ConnectedStage, session_id: str, epoch: int) -> None:
        try:
            with contextlib.suppress(PerformerLost):
                await stage.link.request(session_id, epoch, End())
                stage.link.remove(session_id)
        finally:
            self._strays.discard(session_id)

    def _remove(self, session_id: str) -> None:
        self._performers.pop(session_id, None)
        self._shapes.pop(session_id, None)
        self._machines.moving.pop(session_id, None)
        self._suspects.forget(session_id)
        for stage in self._stages:
            stage.link.remove(session_id)
        for stage in [one for one in self._alone if session_id in one.link.sessions]:
            stage.link.remove(session_id)
            self._in_background(self._close_alone(stage))
