"""A performer on a stage: sends one session's commands over the stage's link, and queues its events. If the stage is
lost, it goes on on another one.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence

from visavis.engine.motion.states import SettableState
from visavis.engine.output import Output
from visavis.errors import HandOverBegun, PerformerLost, StaleOwner, VisavisError
from visavis.fleet.acknowledgements import Acknowledgements
from visavis.fleet.calls import Calls
from visavis.fleet.kept_performance import KeptPerformance
from visavis.fleet.link import StageLink
from visavis.rooms.spec import IceRestarted
from visavis.stage.port import messages
from visavis.stage.port.events import (
    DroppableEvent,
    PerformanceMoved,
    PerformerEnded,
    PerformerEvent,
    PlaybackProgress,
    ViewerLeft,
)
from visavis.stage.port.held import HeldSession
from visavis.stage.port.messages import Command, OfferAnswered, Result, ViewerRemoved
from visavis.stage.port.notes import KeptNote, Notes
from visavis.stage.port.so_far import PerformanceSoFar
from visavis.stage.port.values import PerformanceSpec, Speech, Spoken

_ENDED = PerformerEnded(reason="ended")
NOTES_AT_ONCE_BYTES = 512 * 1024  # less than a whole message (`port.frames.MAX_FRAME_BYTES`), with the memo
MAX_QUEUED_EVENTS = 60  # with more in the queue, metrics and motion are dropped


class StagePerformer:
    """Implements `fleet.port.Performer`."""

    def __init__(
        self,
        spec: PerformanceSpec,
        link: StageLink,
        in_background: Callable[[Coroutine[None, None, None]], asyncio.Task[None]],
        on_ended: Callable[[str], None],
        held: HeldSession | None = None,
        *,
        told_s: float = 0.0,
    ) -> None:
        """`held`: of a session that another server has begun, what its stage holds of it; `told_s`: when the stage has
        told it, on `time.monotonic`.
        """
        self.session_id = spec.session_id
        self.kept = KeptPerformance(spec, now_s=time.monotonic())
        if held is not None:
            so_far = held.performance or PerformanceSoFar(spec=spec)
            self.kept = KeptPerformance.of(so_far, now_s=told_s)
            self.kept.viewers.update(held.viewers)
        self._memo = b"" if held is None else held.memo
        self._notes = Notes(() if held is None else held.notes)
        self._calls = Calls(spec.session_id, spec.epoch, link, self._carried_out)
        self._lost_at_s: float | None = None  # when its stage was lost, until it goes on
        self._lost_viewers = 0  # how many watched then
        self._next_link: StageLink | None = None  # of the stage that opens the session, until it goes on there
        self._in_background, self._on_ended = in_background, on_ended
        self._ending: asyncio.Task[None] | None = None  # set by the first `end`
        self._all_completed = asyncio.Event()  # set when the latest call in order and all before it have completed
        self._all_completed.set()
        self._events: deque[PerformerEvent] = deque()
        self._event_added = asyncio.Event()
        self._acknowledgements = Acknowledgements()  # to the present stage
        self._ended = self._taken = False

    async def speak(self, speech: Speech) -> Spoken:
        spoken = await self._request_in_order(messages.Speak(speech=speech))
        assert isinstance(spoken, Spoken), spoken
        return spoken

    async def keep_line(self, keeping: messages.KeepLine) -> Spoken:
        spoken = await self._request_in_order(keeping)
        assert isinstance(spoken, Spoken), spoken
        return spoken

    async def interrupt(self, *, through: int, message: int = 0) -> None:
        if self.moving and not self._ended:  # nothing plays
            self._drop_speech(through=through)
            if self._next_link is not None:
                dropping = messages.Interrupt(through=through, message=message)
                self._next_link.send(self.session_id, self.kept.spec.epoch, dropping, lambda _: None)
            return
        await self._request(messages.Interrupt(through=through, message=message))

    async def resize(self, *, width_px: int, height_px: int) -> None:
        await self._request_in_order(messages.Resize(width_px=width_px, height_px=height_px))

    async def show_name(self, name: str) -> None:
        await self._request_in_order(messages.ShowName(name=name))

    async def set_output(self, output: Output) -> None:
        await self._request_in_order(messages.SetOutput(output=output))

    async def set_state(self, state: SettableState, *, message: int = 0) -> None:
        await self._request_in_order(messages.SetState(state=state, message=message))

    async def hold_for_viewer(self, seconds: float) -> None:
        await self._request_in_order(messages.HoldForViewer(seconds=seconds))

    async def stream_motion(self, on: bool) -> None:
        await self._request_in_order(messages.StreamMotion(on=on))

    async def answer_call(self, answer: messages.AnswerCall) -> None:
        await self._request(answer)

    async def tell_room(self, state: str, *, reason: str, seconds_left: int | None = None) -> None:
        if not self.moving:
            await self._request(messages.TellRoom(state=state, reason=reason, seconds_left=seconds_left))

    async def offer(self, *, viewer_id: str, sdp: str) -> str:
        answered = await self._request(messages.Offer(viewer_id=viewer_id, sdp=sdp))
        assert isinstance(answered, OfferAnswered), answered
        return answered.sdp

    async def add_candidates(self, *, viewer_id: str, fragment: str, ice_session: int = 0) -> None:
        command = messages.AddCandidates(viewer_id=viewer_id, fragment=fragment, ice_session=ice_session)
        await self._request(command)

    async def restart_ice(self, *, viewer_id: str, fragment: str) -> IceRestarted:
        restarted = await self._request(messages.RestartIce(viewer_id=viewer_id, fragment=fragment))
        assert isinstance(restarted, IceRestarted), restarted
        return restarted

    async def remove_viewer(self, viewer_id: str) -> bool:
        if self.moving:
            return False
        removed = await self._request(messages.RemoveViewer(viewer_id=viewer_id))
        assert isinstance(removed, ViewerRemoved), removed
        return removed.was_there

    async def end(self) -> None:
        if self._ended:
            return
        if self._ending is None:
            if self.moving:
                self.finish(PerformerEnded(reason="ended"))
                return
            self._ending = self._in_background(self._request_end())
        await asyncio.wait((self._ending,))  # if the caller waits no longer, the end goes on

    @property
    def ending(self) -> bool:
        """Whether `end` was called: the stage ends the session, or will when it answers again."""
        return self._ending is not None

    async def _request_end(self) -> None:
        try:
            await self._request(messages.End())
        except (PerformerLost, HandOverBegun):
            pass  # its PerformerEnded is queued, or will come
        else:
            self.emit(PerformerEnded(reason="ended"))

    async def events(self) -> AsyncIterator[PerformerEvent]:
        while True:
            while self._events:
                event = self._events.popleft()
                yield event
                if isinstance(event, PerformerEnded):
                    return
            self._event_added.clear()
            await self._event_added.wait()

    async def _request_in_order(self, command: Command) -> Result:
        """Send a command at once, but return only when all earlier calls in order have completed.

        So many pieces of speech are sent without waiting for each answer, and no call completes before an earlier one.
        """
        earlier_completed, self._all_completed = self._all_completed, asyncio.Event()
        completed = self._all_completed
        try:
            try:
                return await self._request(command)
            finally:
                await earlier_completed.wait()
        finally:
            completed.set()

    async def _request(self, command: Command) -> Result:
        if self._ended:
            raise self._over()
        try:
            return await self._calls.request(command)
        except StaleOwner as error:
            self.emit(PerformerEnded(reason="taken", detail=error.message))
            raise HandOverBegun from error

    def _over(self) -> VisavisError:
        return HandOverBegun() if self._taken else PerformerLost("This performance has ended")

    def leave(self) -> None:
        """See `fleet.port.Performer`."""
        self.finish(PerformerEnded(reason="taken"))

    # --- going on on another stage
    @property
    def moving(self) -> bool:
        """Whether its stage is lost, and no other goes on with it yet."""
        return self._lost_at_s is not None

    @property
    def ended(self) -> bool:
        return self._ended

    @property
    def quiet(self) -> bool:
        """Whether its stage says nothing, and has nothing left to say."""
        return not (self._ended or self.ending or self.moving) and self._calls.are_answered and self.kept.quiet

    @property
    def link(self) -> StageLink | None:
        """The link of its stage, None while it has none."""
        return self._calls.link

    @property
    def next_link(self) -> StageLink | None:
        """The link of the stage that opens the session, until it goes on there."""
        return self._next_link

    def lose_stage(self) -> None:
        """Its stage is lost: its viewers have left. Calls wait for the next stage, but no interrupt does."""
        self._lost_at_s = self._lost_at_s or time.monotonic()
        self._calls.lose_link()
        self._next_link = None
        self._lost_viewers = max(self._lost_viewers, len(self.kept.viewers))
        for viewer_id in list(self.kept.viewers):
            self.emit(ViewerLeft(viewer_id=viewer_id, viewers=len(self.kept.viewers) - 1))
        if through := self._calls.take_interrupts():
            self._drop_speech(through=through)

    def leave_fleet(
        self,
        in_background: Callable[[Coroutine[None, None, None]], asyncio.Task[None]],
        on_ended: Callable[[str], None],
    ) -> None:
        """Another fleet goes on with it: its machine is lost. See `__init__`."""
        self.lose_stage()
        self._in_background, self._on_ended = in_background, on_ended

    def is_performed(self) -> None:
        """Its stage has told that it performs the session."""
        self._calls.is_performed()

    def _drop_speech(self, *, through: int) -> None:
        self.kept.line.interrupt(through=through)
        for end in self.kept.speech.drop(through=through):
            self._acknowledgements.made(end)
            self._queue(end)

    def opening(self, link: StageLink) -> messages.Open:
        """Return the command that opens the session on another stage. It brings all that this stage needs, in case the
        server is killed before `go_on`; until then the stage is told notes and interrupts, too.
        """
        self._next_link = link
        self._acknowledgements = Acknowledgements(self._acknowledgements.untold(self.session_id))
        now_ns = time.monotonic_ns()
        so_far = self.kept.so_far(now_s=now_ns / 1e9, viewers=self._lost_viewers)
        return messages.Open(
            spec=self.kept.spec,
            position=so_far.position,
            position_ns=now_ns if link.address.path else None,
            so_far=so_far,
            memo=self._memo,
            notes=self._notes.all(),
            untold=self._acknowledgements.untold(self.session_id),
        )

    def go_on(self, link: StageLink, *, detail: str) -> None:
        """Go on on another stage, which has opened the session."""
        now_ns = time.monotonic_ns()
        now_s = now_ns / 1e9
        after_s = 0.0 if self._lost_at_s is None else now_s - self._lost_at_s
        so_far = self.kept.so_far(now_s=now_s, viewers=self._lost_viewers)
        self._lost_at_s, self._lost_viewers, self._next_link = None, 0, None
        position_ns = now_ns if link.address.path else None
        untold = self._acknowledgements.untold(self.session_id)
        self._calls.use(link, messages.GoOn(so_far=so_far, position_ns=position_ns, untold=untold))
        notes, more = self._notes.split(size_bytes=NOTES_AT_ONCE_BYTES)
        self._tell(messages.Remember(session_id=self.session_id, memo=self._memo, notes=notes))
        for note in more:
            self._tell(messages.TakeNote(session_id=self.session_id, note=note))
        self.emit(PerformanceMoved(after_s=round(after_s, 3), detail=detail))

    def _carried_out(self, command: Command, result: Result) -> None:
        self.kept.carried_out(command, result, now_s=time.monotonic())

    # --- events
    def finish(self, end: PerformerEnded) -> None:
        """Queue the last event, after the ends of all utterances that the stage has not ended."""
        if self._ended:
            return
        self._ended, self._taken = True, end.reason == "taken"
        if not self._taken:
            for utterance_end in self.kept.speech.drop_all():
                self._queue(utterance_end)
        self._on_ended(self.session_id)
        self._queue(end)
        gone = PerformerLost("The stage that performed this session is gone")
        self._calls.fail(HandOverBegun() if self._taken else gone)

    def acknowledge(self, event: PerformerEvent) -> None:
        """See `fleet.port.Performer`."""
        told = self._acknowledgements.tell(event)
        number = self._acknowledgements.done(event)
        if number is not None and self.link is not None:
            self.link.tell(messages.Acknowledge(session_id=self.session_id, number=number))
        else:  # an older event keeps it from being acknowledged
            self._tell_told(told)

    def client_told(self, event: PerformerEvent) -> None:
        """See `fleet.port.Performer`."""
        self._tell_told(self._acknowledgements.tell(event))

    def _tell_told(self, number: int | None) -> None:
        if number is not None and self.link is not None:
            through = self._acknowledgements.acknowledged
            self.link.tell(messages.Acknowledge(session_id=self.session_id, number=through, told=(number,)))

    def was_told(self, event: PerformerEvent) -> bool:
        """See `fleet.port.Performer`."""
        return self._acknowledgements.was_told(event)

    def remember(self, memo: bytes) -> None:
        """See `fleet.port.Performer`."""
        self._memo = memo
        self._notes.clear()
        self._tell(messages.Remember(session_id=self.session_id, memo=memo))

    async def take_note(self, note: KeptNote, *, forget_through: int, told: Sequence[PerformerEvent] = ()) -> None:
        """See `fleet.port.Performer`."""
        self._notes.add(note, forget_through=forget_through)
        numbers = tuple(one for event in told if (one := self._acknowledgements.tell(event)) is not None)
        session_id = self.session_id
        self._tell(messages.TakeNote(session_id=session_id, note=note, forget_through=forget_through, told=numbers))
        await self.flush()

    async def flush(self) -> None:
        """See `fleet.port.Performer`."""
        if (link := self.link or self._next_link) is not None:
            await link.flush()

    def _tell(self, message: messages.Remember | messages.TakeNote) -> None:
        if (link := self.link or self._next_link) is not None:
            link.tell(message)

    def emit(self, event: PerformerEvent, number: int = 0, *, told: bool = False) -> None:
        """Queue an event for the consumer of `events`. Events after `PerformerEnded` are ignored, and so is an end that
        nobody has asked for: it is found to be lost. `number`: of an event that the stage keeps. `told`: see
        `messages.Event`.
        """
        if self._ended:
            return
        if isinstance(event, PlaybackProgress):  # ten a second: it is kept, and nobody else needs it
            self.kept.observe(event)
            return
        if event == _ENDED and not self.ending:
            return
        self._acknowledgements.took(event, number, told=told)
        if isinstance(event, PerformerEnded):
            self.finish(event)
            return
        if not self.kept.observe(event):
            self.acknowledge(event)
            return
        if isinstance(event, DroppableEvent) and len(self._events) >= MAX_QUEUED_EVENTS:
            return
        self._queue(event)

    def _queue(self, event: PerformerEvent) -> None:
        self._events.append(event)
        self._event_added.set()
