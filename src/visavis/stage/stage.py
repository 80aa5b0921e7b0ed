"""All sessions of one stage process: opens and ends them, carries out commands, and checks which server owns them."""

from __future__ import annotations

import asyncio
import os
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import structlog

from visavis.errors import PerformerLost, StaleOwner, VisavisError
from visavis.machine.process_memory import release_memory
from visavis.rooms.opening import open_room
from visavis.rooms.port import RoomAnswer, ViewerEntrance
from visavis.rooms.spec import hold_for_viewer_s, named
from visavis.stage.audience_limit import check_audience
from visavis.stage.avatars import LoadedAvatars
from visavis.stage.calibration import measure, remember, remembered
from visavis.stage.costs import CostModel, Measurement
from visavis.stage.fence import Fence, StageCutOff
from visavis.stage.kept_session import KeptSession
from visavis.stage.lanes import Lanes
from visavis.stage.owner import Owner
from visavis.stage.pacing import Pacing
from visavis.stage.parts import Avatar, Parts
from visavis.stage.port import messages
from visavis.stage.port.events import PerformerEnded
from visavis.stage.port.held import HeldSession
from visavis.stage.port.line import KeptLine
from visavis.stage.port.messages import Done, NotHere, OfferAnswered, Request, Result, TakenOver, ViewerRemoved
from visavis.stage.port.notes import KeptNote
from visavis.stage.port.values import PerformanceSpec, Speech, Spoken
from visavis.stage.reporting import Reporting
from visavis.stage.session import MAX_HELD_SPEECH_BYTES, StageSession, background_image
from visavis.stage.taken_messages import TakenMessages
from visavis.stage.timeline import duration_ns
from visavis.stage.turns import RestSelector, Turns
from visavis.stage.video import VideoPipeline, VideoSpec
from visavis.stage.work_marks import WorkMarks

# The epochs of this many ended sessions are kept, so that an old owner that was only suspended cannot open one again.
MAX_ENDED_EPOCHS = 4096
HEARD_WITHIN_S, CHECK_EVERY_S = 2.0, 0.05  # four pings (port/heartbeat.py)
MAX_HELD_BYTES = 96 * 1024 * 1024  # less than a link lets wait (`port.link.MAX_UNSENT_BYTES`)

log = structlog.get_logger("visavis.stage")


@dataclass(slots=True, eq=False)
class _OwnedSession:
    """A running session and its owner. `owner` and `epoch` change when another server takes the session over. `spec`:
    with its present output. `kept`: what the next process of its server shall know. `ownership`: see
    `PerformanceSpec`; rises with `take_over`.
    """

    session: StageSession
    owner: Owner
    epoch: int
    spec: PerformanceSpec
    kept: KeptSession
    ownership: int = 0
    taken: TakenMessages = field(default_factory=TakenMessages)
    task: asyncio.Task[None] | None = None


@dataclass(slots=True, eq=False)
class _Opening:
    """A session that is being opened. `over`: set when it has been, or has failed."""

    owner: Owner
    kept: KeptSession
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Stage:
    """The sessions of this process. They run in `tasks`, which the caller cancels at the end. `rest`: of the event
    loop; without it the sessions keep to the full frame rate. `folder`: where it is remembered what sessions cost.
    `marks`: where it is noted for which sessions the stage works. `fence`: of a stage that is in a fleet.
    """

    def __init__(
        self,
        *,
        parts: Parts,
        tasks: asyncio.TaskGroup,
        rest: RestSelector | None = None,
        folder: Path | None = None,
        marks: WorkMarks | None = None,
        fence: Fence | None = None,
    ) -> None:
        self._parts, self._tasks = parts, tasks
        self._fence = fence
        self._marks = marks or WorkMarks()
        self._avatars = LoadedAvatars(parts)
        self._sessions: dict[str, _OwnedSession] = {}
        self._opening: dict[str, _Opening] = {}
        self._epochs: OrderedDict[str, int] = OrderedDict()  # the highest epoch of each session so far
        self._turns = Turns(marks=self._marks, check=None if fence is None else self._check_fence)
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
        with self._marks.request(request.session_id):
            if isinstance(request.command, messages.TakeOver):
                return await self._take_over(owner, request.session_id, ownership=request.command.ownership)
            try:
                self._check_epoch(request)
                return await self._execute(owner, request)
            except StaleOwner as error:
                command = type(request.command).__name__
                log.warning(
                    "command_refused",
                    session_id=request.session_id,
                    server_id=owner.server_id,
                    command=command,
                    problem=error.message,
                )
                raise

    async def _take_over(self, owner: Owner, session_id: str, *, ownership: int) -> TakenOver | NotHere:
        """Give a session to a server; return what it needs to go on with it. A second call of the same server is
        answered anew: the first answer may be lost. Raises `StaleOwner`.
        """
        if (opening := self._opening.get(session_id)) is not None:
            await opening.over.wait()
        owned = self._sessions.get(session_id)
        if owned is None:
            return NotHere()
        if ownership < owned.ownership or (ownership == owned.ownership and owned.owner is not owner):
            raise StaleOwner(f"The session has an owner of epoch {owned.ownership}; this one has {ownership}")
        before, owned.ownership = owned.owner, ownership
        self._raise_epoch(owned)
        if before is not owner:
            owned.owner, owned.session.source = owner, owner.source
            owner.log.take(session_id, before.log)
            before.tell_taken(session_id)
        _note_owner("session_taken_over", owned, before=before.server_id)
        return TakenOver(session=self._held(owned, most_speech_bytes=MAX_HELD_SPEECH_BYTES))

    async def _execute(self, owner: Owner, request: Request) -> Result:
        session_id = request.session_id
        match request.command:
            case messages.Open() as opening:
                await self._open(owner, opening)
                return Done()
            case messages.End():
                await self.end(session_id)
                return Done()
            case messages.Interrupt(through=through) if (kept := self._kept_of(owner, session_id)) and kept.waits:
                owner.log.add_untold(session_id, kept.interrupt(through=through))
                return Done()
        owned = self._sessions.get(session_id)
        if owned is None:
            raise PerformerLost("The session does not run on this stage any more")
        if request.epoch > owned.epoch:
            before, owned.owner, owned.epoch = owned.owner, owner, request.epoch
            _note_owner("session_taken_over", owned, before=before.server_id)
            _forget_numbers(owned)
        elif owned.owner is not owner:
            raise StaleOwner(f"Another server owns the session at epoch {owned.epoch}")
        if (repeated := owned.taken.repeated(request.command)) is not None:
            return repeated
        if isinstance(request.command, messages.Offer):
            shapes = {one: other.session.shape for one, other in self._sessions.items()}
            check_audience(session_id, shapes, self._costs.costs)
            self.reporting.viewer_joins()
        try:
            result = await _carry_out(owned, request.command)
        except VisavisError as error:
            owned.taken.carried_out(request.command, error)
            raise
        owned.taken.carried_out(request.command, result)
        if isinstance(request.command, messages.SetOutput):
            owned.spec = msgspec.structs.replace(owned.spec, output=request.command.output)
        elif isinstance(request.command, messages.ShowName):
            owned.spec = msgspec.structs.replace(owned.spec, room=named(owned.spec.room, request.command.name))
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

    async def _open(self, owner: Owner, opening: messages.Open) -> None:
        session_id = opening.spec.session_id
        await self._until_heard(owner)
        if session_id in self._sessions or session_id in self._opening:
            raise PerformerLost("The session already runs on this stage")
        one = self._opening[session_id] = _Opening(owner, KeptSession(opening, now_ns=time.monotonic_ns()))
        owner.log.forget_untold(session_id)
        owner.log.keep_untold(session_id, opening.untold)
        try:
            await self._set_up(owner, opening, one.kept)
        except BaseException:
            owner.log.forget_untold(session_id)
            raise
        finally:
            del self._opening[session_id]
            one.over.set()
        if owner.gone:  # nobody would ever end it
            await self.end(session_id)
            raise PerformerLost("The server that wanted this session is gone")

    async def _set_up(self, owner: Owner, opening: messages.Open, kept: KeptSession) -> None:
        spec, position = opening.spec, opening.position
        session_id = spec.session_id
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
                position_ns=opening.position_ns,
                hold_for_viewer_s=hold_for_viewer_s(spec.room),
            )
            owned = _OwnedSession(session, owner, spec.epoch, spec, kept, spec.ownership)
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
        _note_owner("session_opened", owned)
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
        except StageCutOff as error:
            silent_s = round(owned.session.silent_s, 3)
            log.error("session_cut_off", session_id=session_id, pid=os.getpid(), silent_s=silent_s, problem=str(error))
            owned.task = None
            await self._cut_off(session_id)
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

    def _check_fence(self, session_id: str) -> None:
        """Raises `StageCutOff` if a session may not be shown any more."""
        owned = self._sessions.get(session_id)
        if self._fence is not None and owned is not None:
            self._fence.check(owned.owner.heard_ns)

    async def _until_heard(self, owner: Owner) -> None:
        """Wait until a server is heard that wants a session opened: a stage that slept may find in its socket what was
        sent long ago, and another stage may perform that session by now. Raises `PerformerLost`.
        """
        try:
            async with asyncio.timeout(HEARD_WITHIN_S):
                while not self._hears(owner):  # noqa: ASYNC110 (time alone changes it, and the next ping)
                    await asyncio.sleep(CHECK_EVERY_S)
        except TimeoutError:
            if owner.link is not None:
                owner.link.abort()  # a server that lives connects again
            raise PerformerLost("The stage has not heard its server since it was asked") from None

    def _hears(self, owner: Owner) -> bool:
        try:
            if self._fence is not None:
                self._fence.check(owner.heard_ns)
        except StageCutOff:
            return False
        return True

    async def _cut_off(self, session_id: str) -> None:
        """Show a session no longer. Its server is told nothing: for it the session is lost with its stage, and goes on
        elsewhere, or here.
        """
        owned = self._sessions.pop(session_id)
        try:
            await _leave_room(owned)
            self._avatars.release(session_id)
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
        await _leave_room(owned)
        self._avatars.release(session_id)
        del owned
        await asyncio.sleep(0)  # the session's cancelled tasks finish
        await asyncio.to_thread(release_memory)

    def sessions_of(self, owner: Owner) -> dict[str, int]:
        """Return the server's sessions with their epochs."""
        return {session_id: owned.epoch for session_id, owned in self._sessions.items() if owned.owner is owner}

    async def until_opened(self, owner: Owner) -> None:
        """Wait until no session of a server is being opened."""
        while opening := [one for one in self._opening.values() if one.owner is owner]:
            await opening[0].over.wait()

    def raise_epochs(self, owner: Owner) -> None:
        """Another process has become this server: what the one before still sends is refused, and sessions that wait
        for its `GoOn` go on.
        """
        for owned in self._sessions.values():
            if owned.owner is owner:
                self._raise_epoch(owned)

    def _raise_epoch(self, owned: _OwnedSession) -> None:
        session_id = owned.session.session_id
        _go_on(owned)
        highest = max(owned.epoch, self._epochs.get(session_id, 0))  # that of a session without commands is forgotten
        owned.epoch = self._epochs[session_id] = highest + 1
        _forget_numbers(owned)

    def held_for(self, owner: Owner) -> tuple[HeldSession, ...]:
        """Return what the stage holds of the server's sessions. Of all their speech at most MAX_HELD_BYTES."""
        left_bytes, held = MAX_HELD_BYTES, []
        for one in [owned for owned in self._sessions.values() if owned.owner is owner]:
            session = self._held(one, most_speech_bytes=min(left_bytes, MAX_HELD_SPEECH_BYTES))
            left_bytes -= session.speech_bytes
            held.append(session)
        return tuple(held)

    def _held(self, one: _OwnedSession, *, most_speech_bytes: int) -> HeldSession:
        return one.session.held(
            msgspec.structs.replace(one.spec, epoch=one.epoch, ownership=one.ownership),
            memo=one.kept.memo,
            notes=one.kept.notes.all(),
            line=one.kept.line.so_far(),
            most_speech_bytes=most_speech_bytes,
        )

    def remember(self, owner: Owner, session_id: str, memo: bytes, notes: tuple[KeptNote, ...]) -> None:
        """Remember what the next process of the server shall know. No error for a session that does not run."""
        if (kept := self._kept_of(owner, session_id)) is not None:
            kept.remember(memo, notes)

    def take_note(self, owner: Owner, session_id: str, note: KeptNote, *, forget_through: int) -> None:
        """Keep a note beside the memo. No error for a session that does not run."""
        if (kept := self._kept_of(owner, session_id)) is not None:
            kept.take_note(note, forget_through=forget_through)

    def _kept_of(self, owner: Owner, session_id: str) -> KeptSession | None:
        """Return what is kept of a server's session that runs or is being opened."""
        one = self._sessions.get(session_id) or self._opening.get(session_id)
        return one.kept if one is not None and one.owner is owner else None

    async def end_all(self) -> None:
        await asyncio.gather(*(self.end(session_id) for session_id in list(self._sessions)))


async def _carry_out(owned: _OwnedSession, command: messages.Command) -> Result:
    session = owned.session
    match command:
        case messages.GoOn(so_far=so_far, position_ns=position_ns, untold=untold):
            owned.owner.log.keep_untold(session.session_id, untold)
            owned.kept.take_so_far()
            owned.kept.line = KeptLine(so_far.line)
            session.go_on(so_far, position_ns=position_ns)
        case messages.Speak(speech=speech):
            return _speak(owned, owned.taken.in_turn(speech))
        case messages.KeepLine(spoken=spoken):
            owned.kept.keep_line(command)
            return spoken
        case messages.Interrupt(through=through):
            session.interrupt(through=through)
            owned.kept.line.interrupt(through=through)
        case messages.Resize(width_px=width_px, height_px=height_px):
            await session.resize(width_px=width_px, height_px=height_px)
        case messages.ShowName(name=name):
            session.show_name(name)
        case messages.SetOutput(output=output):
            await session.set_output(output)
        case messages.SetState(state=state):
            session.set_state(state)
        case messages.HoldForViewer(seconds=seconds):
            session.hold_for_viewer(seconds)
        case messages.StreamMotion(on=on):
            session.stream_motion(on)
        case messages.AnswerCall(call_id=call_id, payload=payload, code=code, problem=problem):
            session.answer_call(RoomAnswer(call_id=call_id, payload=payload, code=code, problem=problem))
        case messages.TellRoom(state=state, reason=reason, seconds_left=seconds_left):
            session.tell_room(state, reason=reason, seconds_left=seconds_left)
        case messages.Offer() | messages.AddCandidates() | messages.RestartIce() | messages.RemoveViewer():
            return await _serve_viewer(session.entrance, command)
    return Done()


def _speak(owned: _OwnedSession, speech: Speech) -> Spoken:
    spoken = owned.session.speak(speech)
    if speech.line is not None:
        owned.kept.line.advance(speech.line)
    return spoken


async def _serve_viewer(
    entrance: ViewerEntrance,
    command: messages.Offer | messages.AddCandidates | messages.RestartIce | messages.RemoveViewer,
) -> Result:
    match command:
        case messages.Offer(viewer_id=viewer_id, sdp=sdp):
            return OfferAnswered(sdp=await entrance.offer(viewer_id=viewer_id, sdp=sdp))
        case messages.AddCandidates(viewer_id=viewer_id, fragment=fragment, ice_session=number):
            await entrance.add_candidates(viewer_id=viewer_id, fragment=fragment, ice_session=number)
            return Done()
        case messages.RestartIce(viewer_id=viewer_id, fragment=fragment):
            return await entrance.restart_ice(viewer_id=viewer_id, fragment=fragment)
        case messages.RemoveViewer(viewer_id=viewer_id):
            return ViewerRemoved(was_there=await entrance.remove_viewer(viewer_id))


def _video_spec(spec: PerformanceSpec, image: Path | None) -> VideoSpec:
    return VideoSpec(width_px=spec.width_px, height_px=spec.height_px, fps=spec.fps, output=spec.output, image=image)


def _forget_numbers(owned: _OwnedSession) -> None:
    """Another server owns the session now: its numbers begin anew."""
    owned.session.forget_numbers()
    owned.kept.line.forget_numbers()


def _go_on(owned: _OwnedSession) -> None:
    """Let a session go on that another stage has performed and whose server was killed before it could say so."""
    so_far = owned.kept.take_so_far()
    try:
        if so_far is not None:
            owned.session.go_on(so_far, position_ns=owned.kept.position_ns)
            log.warning("session_went_on_alone", session_id=owned.session.session_id)
    except Exception:  # the outermost edge of a session
        log.exception("session_not_gone_on", session_id=owned.session.session_id)


def _note_owner(event: str, owned: _OwnedSession, **more: str) -> None:
    """Log who owns a session on this stage from now on: with `session_left` it tells of a whole fleet that no two
    stages have shown one session.
    """
    log.info(
        event,
        session_id=owned.session.session_id,
        server_id=owned.owner.server_id,
        ownership=owned.ownership,
        epoch=owned.epoch,
        pid=os.getpid(),
        **more,
    )


async def _leave_room(owned: _OwnedSession) -> None:
    """Close a session's room, and log it with the time for which the session has shown nothing by then."""
    try:
        await owned.session.close_sinks()
    finally:
        log.info(
            "session_left",
            session_id=owned.session.session_id,
            ownership=owned.ownership,
            pid=os.getpid(),
            silent_s=round(owned.session.silent_s, 3),
        )


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
