"""All sessions of one stage process: opens and ends them, carries out commands, and checks which server owns them."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import structlog

from visavis.errors import PerformerLost, StaleOwner, VisavisError
from visavis.machine.process_memory import release_memory
from visavis.rooms.opening import open_room
from visavis.stage.audience_limit import check_audience
from visavis.stage.avatars import LoadedAvatars
from visavis.stage.calibration import measure, remember, remembered
from visavis.stage.costs import CostModel, Measurement
from visavis.stage.lanes import Lanes
from visavis.stage.owner import Owner
from visavis.stage.pacing import Pacing
from visavis.stage.parts import Avatar, Parts
from visavis.stage.port import messages
from visavis.stage.port.events import PerformerEnded
from visavis.stage.port.held import HeldSession
from visavis.stage.port.messages import Done, OfferAnswered, Request, Result, ViewerRemoved
from visavis.stage.port.notes import KeptNote, Notes
from visavis.stage.port.values import PerformanceSpec
from visavis.stage.reporting import Reporting
from visavis.stage.session import MAX_HELD_SPEECH_BYTES, StageSession, background_image
from visavis.stage.taken_messages import TakenMessages
from visavis.stage.timeline import duration_ns
from visavis.stage.turns import RestSelector, Turns
from visavis.stage.video import VideoPipeline, VideoSpec
from visavis.stage.work_marks import WorkMarks

# The epochs of this many ended sessions are kept, so that an old owner that was only suspended cannot open one again.
MAX_ENDED_EPOCHS = 4096
MAX_HELD_BYTES = 96 * 1024 * 1024  # less than a link lets wait (`port.link.MAX_UNSENT_BYTES`)

log = structlog.get_logger("visavis.stage")


@dataclass(slots=True, eq=False)
class _OwnedSession:
    """A running session and its owner. `owner` and `epoch` change when another server takes the session over. `spec`:
    with its present output. `memo`, `notes`: what the next process of its server shall know.
    """

    session: StageSession
    owner: Owner
    epoch: int
    spec: PerformanceSpec
    memo: bytes = b""
    notes: Notes = field(default_factory=Notes)
    taken: TakenMessages = field(default_factory=TakenMessages)
    task: asyncio.Task[None] | None = None


class Stage:
    """The sessions of this process. They run in `tasks`, which the caller cancels at the end. `rest`: of the event
    loop; without it the sessions keep to the full frame rate. `folder`: where it is remembered what sessions cost.
    `marks`: where it is noted for which sessions the stage works.
    """

    def __init__(
        self,
        *,
        parts: Parts,
        tasks: asyncio.TaskGroup,
        rest: RestSelector | None = None,
        folder: Path | None = None,
        marks: WorkMarks | None = None,
    ) -> None:
        self._parts, self._tasks = parts, tasks
        self._marks = marks or WorkMarks()
        self._avatars = LoadedAvatars(parts)
        self._sessions: dict[str, _OwnedSession] = {}
        self._epochs: OrderedDict[str, int] = OrderedDict()  # the highest epoch of each session so far
        self._turns = Turns(marks=self._marks)
        self.pacing = None if rest is None else Pacing(sessions=self._running, count=self._turns.count, rest=rest)
        self.lanes = Lanes(tasks)
        self._folder = folder
        self._costs = CostModel()
        self._measuring = asyncio.Lock()
        self.reporting = Reporting(
            sessions=lambda: {session_id: owned.session for session_id, owned in self._sessions.items()},
            costs=self._costs,
            pacing=self.pacing,
        )

    async def run(self) -> None:
        """Give the sessions their turns, and watch the pace, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._turns.run())
            if self.pacing is not None:
                tasks.create_task(self.pacing.run())

    def set_machine_pace(self, owner: Owner, pace: int) -> None:
        """Take the pace of the machine, as a server knows it."""
        if self.pacing is not None:
            self.pacing.tell(owner.server_id, pace)

    def _running(self) -> list[StageSession]:
        return [owned.session for owned in self._sessions.values()]

    async def execute(self, owner: Owner, request: Request) -> Result:
        """Carry out a command. Up to their first await, commands take effect in the order of the calls.

        Raises `StaleOwner` if another owner has taken the session over, `PerformerLost` for a session that does not run
        here, and what the command raises.
        """
        self._check_epoch(request)
        with self._marks.request(request.session_id):
            return await self._execute(owner, request)

    async def _execute(self, owner: Owner, request: Request) -> Result:
        session_id = request.session_id
        match request.command:
            case messages.Open(spec=spec, position=position):
                await self._open(owner, spec, position)
                return Done()
            case messages.End():
                await self.end(session_id)
                return Done()
        owned = self._sessions.get(session_id)
        if owned is None:
            raise PerformerLost("The session does not run on this stage any more")
        if request.epoch > owned.epoch:
            log.info("session_taken_over", session_id=session_id, epoch=request.epoch)
            owned.owner, owned.epoch = owner, request.epoch
            owned.session.forget_numbers()
        elif owned.owner is not owner:
            raise StaleOwner(f"Another server owns the session at epoch {owned.epoch}")
        if (repeated := owned.taken.repeated(request.command)) is not None:
            return repeated
        if isinstance(request.command, messages.Offer):
            shapes = {one: other.session.shape for one, other in self._sessions.items()}
            check_audience(session_id, shapes, self._costs.costs)
        try:
            result = await _carry_out(owned, request.command)
        except VisavisError as error:
            owned.taken.carried_out(request.command, error)
            raise
        owned.taken.carried_out(request.command, result)
        if isinstance(request.command, messages.SetOutput):
            owned.spec = msgspec.structs.replace(owned.spec, output=request.command.output)
        if layout_ns := owned.session.take_layout_ns():
            self.lanes.charge_layout(session_id, layout_ns)
        return result

    def _check_epoch(self, request: Request) -> None:
        highest = self._epochs.get(request.session_id, 0)
        if request.epoch < highest:
            raise StaleOwner(f"The session has an owner of epoch {highest}; this command is of epoch {request.epoch}")
        self._epochs[request.session_id] = request.epoch
        self._epochs.move_to_end(request.session_id)
        while len(self._epochs) > MAX_ENDED_EPOCHS + len(self._sessions):
            self._epochs.popitem(last=False)

    async def _open(self, owner: Owner, spec: PerformanceSpec, position: int) -> None:
        session_id = spec.session_id
        if session_id in self._sessions:
            raise PerformerLost("The session already runs on this stage")
        try:
            avatar = await self._avatars.acquire(spec.pack, session_id, owner.source)
            image = await background_image(spec.output, session_id=session_id, source=owner.source)
            video = await asyncio.to_thread(VideoPipeline.build, avatar, _video_spec(spec, image))
            await self._measure_costs(avatar)
            owned: _OwnedSession
            session = StageSession(
                session_id=session_id,
                avatar=avatar,
                video=video,
                parts=self._parts,
                source=owner.source,
                seed=spec.seed,
                emit=lambda event: owned.owner.send_event(session_id, event),
                position=position,
            )
            owned = _OwnedSession(session, owner, spec.epoch, spec)
            session.enter_room(
                await open_room(
                    spec.room,
                    session,
                    size_px=(spec.width_px, video.renderer.picture_height_px),
                    wall_clock_at_start_ns=time.time_ns() - duration_ns(position),
                    ice_servers=owner.ice_servers,
                )
            )
        except BaseException:
            self._avatars.release(session_id)
            raise
        self._sessions[session_id] = owned
        if self.pacing is not None:
            self.pacing.apply()
        owned.task = self._tasks.create_task(self._run_session(owned))

    async def prepare(self, owner: Owner, spec: PerformanceSpec) -> None:
        """Load the avatar of a session that may come, and lay it out for its size. If that fails, it is logged."""
        holder = f"prepared:{spec.session_id}"
        try:
            avatar = await self._avatars.acquire(spec.pack, holder, owner.source)
            image = await background_image(spec.output, session_id=spec.session_id, source=owner.source)
            await asyncio.to_thread(VideoPipeline.build, avatar, _video_spec(spec, image))
        except VisavisError as error:
            log.warning("session_not_prepared", session_id=spec.session_id, problem=error.message)
        except Exception:  # the outermost edge of this work
            log.exception("session_not_prepared", session_id=spec.session_id)
        finally:
            self._avatars.release(holder)

    async def _measure_costs(self, avatar: Avatar) -> None:
        """Measure once what sessions cost here, with the first avatar, unless it is remembered."""
        async with self._measuring:
            if self._costs.measured is None:
                self._costs.measured = await asyncio.to_thread(_measurement, self._folder, avatar, self._parts)

    async def _run_session(self, owned: _OwnedSession) -> None:
        """Run one session. If it fails, it ends alone."""
        session_id = owned.session.session_id
        try:
            await owned.session.run(self._turns)
        except Exception as error:  # the outermost edge of a session
            log.exception("performance_failed", session_id=session_id)
            owned.task = None  # `end` must not cancel this task, which calls it
            await self.end_lost(session_id, repr(error))
        except asyncio.CancelledError:
            if self._sessions.get(session_id) is not owned:
                raise
            log.error("performance_cancelled_itself", session_id=session_id)
            owned.task = None
            await self.end_lost(session_id, "its performance was cancelled")

    async def end_lost(self, session_id: str, detail: str) -> None:
        """Tell the owner that a session is lost, and end it. If that fails, it is logged."""
        owned = self._sessions.get(session_id)
        try:
            if owned is not None:
                _end_speech(owned)
                owned.owner.send_event(session_id, PerformerEnded(reason="lost", detail=detail))
            await self.end(session_id)
        except Exception:  # the outermost edge of a session
            log.exception("session_end_failed", session_id=session_id)

    async def end(self, session_id: str) -> None:
        """End a session. No error if it does not run. Its last events leave before its room is closed."""
        owned = self._sessions.pop(session_id, None)
        if owned is None:
            return
        if owned.task is not None:
            owned.task.cancel()
        _end_speech(owned)
        owned.owner.send_event(session_id, PerformerEnded(reason="ended"))
        await owned.session.close_sinks()
        self._avatars.release(session_id)
        del owned
        await asyncio.sleep(0)  # the session's cancelled tasks finish
        await asyncio.to_thread(release_memory)

    def sessions_of(self, owner: Owner) -> dict[str, int]:
        """Return the server's sessions with their epochs."""
        return {session_id: owned.epoch for session_id, owned in self._sessions.items() if owned.owner is owner}

    def raise_epochs(self, owner: Owner) -> None:
        """Another process has become this server: what the one before still sends is refused."""
        for session_id, owned in self._sessions.items():
            if owned.owner is owner:
                owned.epoch = self._epochs[session_id] = self._epochs[session_id] + 1
                owned.session.forget_numbers()

    def held_for(self, owner: Owner) -> tuple[HeldSession, ...]:
        """Return what the stage holds of the server's sessions. Of all their speech at most MAX_HELD_BYTES."""
        left_bytes, held = MAX_HELD_BYTES, []
        for one in [owned for owned in self._sessions.values() if owned.owner is owner]:
            session = one.session.held(
                msgspec.structs.replace(one.spec, epoch=one.epoch),
                memo=one.memo,
                notes=one.notes.all(),
                most_speech_bytes=min(left_bytes, MAX_HELD_SPEECH_BYTES),
            )
            left_bytes -= session.speech_bytes
            held.append(session)
        return tuple(held)

    def remember(self, owner: Owner, session_id: str, memo: bytes) -> None:
        """Remember what the next process of the server shall know. No error for a session that does not run."""
        owned = self._sessions.get(session_id)
        if owned is not None and owned.owner is owner:
            owned.memo = memo
            owned.notes.clear()

    def take_note(self, owner: Owner, session_id: str, note: KeptNote, *, forget_through: int) -> None:
        """Keep a note beside the memo. No error for a session that does not run."""
        owned = self._sessions.get(session_id)
        if owned is not None and owned.owner is owner:
            owned.notes.add(note, forget_through=forget_through)

    async def end_all(self) -> None:
        for session_id in list(self._sessions):
            await self.end(session_id)


async def _carry_out(owned: _OwnedSession, command: messages.Command) -> Result:
    session = owned.session
    match command:
        case messages.GoOn(so_far=so_far):
            session.go_on(so_far)
        case messages.Speak(speech=speech):
            return session.speak(owned.taken.in_turn(speech))
        case messages.Interrupt(through=through):
            session.interrupt(through=through)
        case messages.Resize(width_px=width_px, height_px=height_px):
            await session.resize(width_px=width_px, height_px=height_px)
        case messages.SetOutput(output=output):
            await session.set_output(output)
        case messages.SetState(state=state):
            session.set_state(state)
        case messages.HoldForViewer(seconds=seconds):
            session.hold_for_viewer(seconds)
        case messages.StreamMotion(on=on):
            session.stream_motion(on)
        case messages.Offer(viewer_id=viewer_id, sdp=sdp):
            return OfferAnswered(sdp=await session.entrance.offer(viewer_id=viewer_id, sdp=sdp))
        case messages.AddCandidates(viewer_id=viewer_id, fragment=fragment):
            await session.entrance.add_candidates(viewer_id=viewer_id, fragment=fragment)
        case messages.RemoveViewer(viewer_id=viewer_id):
            return ViewerRemoved(was_there=await session.entrance.remove_viewer(viewer_id))
    return Done()


def _video_spec(spec: PerformanceSpec, image: Path | None) -> VideoSpec:
    return VideoSpec(width_px=spec.width_px, height_px=spec.height_px, fps=spec.fps, output=spec.output, image=image)


def _end_speech(owned: _OwnedSession) -> None:
    """End a session's utterances. If its performance is broken, its server ends them (sessions/utterance_ledger.py)."""
    try:
        owned.session.end_speech()
    except Exception:  # part of the outermost edge of a session
        log.exception("speech_not_ended", session_id=owned.session.session_id)


def _measurement(folder: Path | None, avatar: Avatar, parts: Parts) -> Measurement:
    """Return what was measured on this machine before, or measure."""
    measured = None if folder is None else remembered(folder)
    if measured is None:
        measured = measure(avatar, parts)
        log.info("costs_measured", fixed_ms=measured.costs.fixed_ms, per_mpx_ms=measured.costs.per_mpx_ms)
        if folder is not None:
            remember(folder, measured)
    return measured
