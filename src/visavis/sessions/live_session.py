"""One live session: handles its performer's events, its channel and its deadlines."""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio
import structlog
from anyio.abc import TaskGroup

from visavis.channel.handed_conversation import Note, pack
from visavis.channel.port import Expiring, ServerChanges, SessionOver, TextFailed
from visavis.engine.motion.states import AvatarState
from visavis.engine.output import Output
from visavis.errors import Overtaken, SessionEnded, VisavisError, VoiceFailed
from visavis.fleet.port import Performer
from visavis.output_json import OutputChange
from visavis.sessions.attachment import MAX_KEPT_PLAYBACK, MAX_QUEUED_MOTION, Attachment, KeptEvent
from visavis.sessions.backgrounds import Backgrounds
from visavis.sessions.deadlines import Deadlines, warning_before
from visavis.sessions.ends import SessionEnd
from visavis.sessions.joining import Joining
from visavis.sessions.lifecycle import EndReason
from visavis.sessions.live_news import CLIENT, LiveNews
from visavis.sessions.metering import SessionClock, ended_at_ms
from visavis.sessions.observer import Observer
from visavis.sessions.played import Played
from visavis.sessions.room_calls import carry_out
from visavis.sessions.session_memo import SessionMemo
from visavis.sessions.session_metrics import SessionMetrics
from visavis.sessions.utterance_ledger import UtteranceLedger
from visavis.stage.port.events import (
    FirstFrameSent,
    MetricsEvent,
    MotionEvent,
    PerformanceMoved,
    PerformerEnded,
    PerformerEvent,
    PerformerMetrics,
    PlaybackEvent,
    RoomCalled,
    RoomEnded,
    SegmentsOpen,
    SpeechEvent,
    StateChanged,
    ViewerJoined,
    ViewerLeft,
)
from visavis.stage.port.held import HeldSession
from visavis.stage.port.notes import KeptNote
from visavis.stage.port.values import Speech, Spoken
from visavis.store.audit import Actor
from visavis.store.last_seen import Seen
from visavis.store.records import SessionRecord
from visavis.voice.line import SpeechLine
from visavis.voice.voices import Voices
from visavis.webhooks.feed import Feed

_END_TIMEOUT_S = 2.0
SPEECH_STARTS_WITHIN_S = 0.5

log = structlog.get_logger()


async def certain() -> None:
    """Of a server that is in no fleet: nobody takes its sessions over, and nobody looks whose they are."""


class LiveSession:
    """A session that is performed. `run` returns when it is over."""

    def __init__(
        self,
        *,
        record: SessionRecord,
        performer: Performer,
        deadlines: Deadlines,
        size_px: tuple[int, int],
        output: Output,
        backgrounds: Backgrounds,
        save_output: Callable[[str, Output], Awaitable[None]],
        request_end: Callable[[str, EndReason], Awaitable[Any]],
        clock: SessionClock,
        observer: Observer,
        feed: Feed,
        own_room: bool = True,
        has_agent: bool = False,
        voices: Voices | None = None,
        until_certain: Callable[[], Awaitable[None]] = certain,
    ) -> None:
        self._until_certain = until_certain
        self.record = record  # as it was started
        self.session_id, self.key_id = record.id, record.key_id
        self.performer = performer
        self._deadlines = deadlines
        self._size_px = size_px  # changes when a channel asks for another size
        self.output = output  # changes with `update`
        self._backgrounds = backgrounds
        self._save_output = save_output
        self._update_lock = anyio.Lock()
        self._request_end = request_end
        self.clock = clock
        self._observer = observer
        self._news = LiveNews(
            record, feed, now_ms=self.now_ms, acknowledge=performer.acknowledge, told=performer.client_told
        )
        self.metrics = SessionMetrics()
        self.played = Played.from_plain(record.played)  # grows with each end of an utterance and each viewer
        self.last_number = 0  # the highest number of speech or interrupt that a channel has used
        self.last_speech_s = -math.inf  # when a channel has last sent speech
        self._attachment: Attachment | None = None  # the channel that is attached now
        self._attach_lock = anyio.Lock()
        self._last_arrival = 0  # of the channel that was attached last
        # events of playback, of text that was not spoken, and of motion, that wait for the next channel
        self._kept: deque[KeptEvent] = deque(maxlen=MAX_KEPT_PLAYBACK)
        self._keeps_motion = False  # while there is no channel: the client may come back for the motion
        self._own_room = own_room  # of this server
        self._has_agent = has_agent  # in the room, where it speaks and is told what happens
        self.line = SpeechLine(speak=self._speak, keep=performer.keep_line, failed=self._text_failed, voices=voices)
        self._tasks: TaskGroup | None = None  # while `run` runs
        self._utterances = UtteranceLedger()
        self._state: AvatarState = "idle"  # of the performer's last StateChanged
        self._streams_motion = False
        self._memo = SessionMemo()
        self._held_notes: tuple[KeptNote, ...] = ()  # set by `go_on`
        self._viewers = 0
        self.joining = Joining()
        self._first_frame_at_ms: int | None = None  # set by the first FirstFrameSent
        self._last_frame_at_ms: int | None = None  # advances while anybody watches
        self.end: SessionEnd | None = None  # set once, when the end is decided
        self.taken = False  # set once: another server performs the session now, and nothing of it is written here
        self._end_reason: EndReason | None = None  # set once, when the performance begins to end
        self._events_over = anyio.Event()  # the performer's events have been handled, or are not handled any more
        self._events_over.set()  # until `run` consumes them
        self._over = anyio.Event()
        self._deadlines_changed = anyio.Event()  # replaced before each wait

    async def run(self) -> None:
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._consume_events)
            tasks.start_soon(self._watch_deadlines)
            tasks.start_soon(self.line.run)
            await self._over.wait()
            tasks.cancel_scope.cancel()

    async def _consume_events(self) -> None:
        self._events_over, taken = anyio.Event(), False
        try:
            async for event in self.performer.events():
                self._handle(event)
                if isinstance(event, PerformerEnded):
                    taken = event.reason == "taken"
                    break
        finally:
            self._events_over.set()
        if self.ending:
            self._end_channel()
        elif taken:
            self.drop()
        else:
            await self._request_end(self.session_id, EndReason.PERFORMER_LOST)

    def _handle(self, event: PerformerEvent) -> None:
        self.played = self.played.after(event)
        if isinstance(event, StateChanged):
            self._state = event.state
        if isinstance(event, SpeechEvent | SegmentsOpen):
            self._utterances.observe(event, now_s=anyio.current_time())
        if isinstance(event, MetricsEvent):
            self.metrics.take(event)
            self._observer.measured(self.record, event)
        told = self.performer.was_told(event)  # before the server was started
        if isinstance(event, SpeechEvent | MotionEvent | MetricsEvent) and not told:
            self._forward(event)
        has_client = self._attachment is not None or not self._has_agent
        needed = isinstance(event, PlaybackEvent) and has_client and not told
        self._news.heard(event, client_needs=needed)
        if isinstance(event, FirstFrameSent):
            now = self.now_ms()
            self._first_frame_at_ms = self._first_frame_at_ms or now
            self._last_frame_at_ms = now
        elif isinstance(event, PerformerMetrics) and event.frames > 0 and self._viewers > 0:
            self._last_frame_at_ms = self.now_ms()
        elif isinstance(event, ViewerJoined | ViewerLeft):
            if isinstance(event, ViewerJoined):
                offered_s = self.joining.joined(event.viewer_id)
                after_s = None if offered_s is None else anyio.current_time() - offered_s
                self._observer.viewer_joined(self.record, after_s=after_s)
            else:
                self.joining.left(event.viewer_id, now_s=anyio.current_time())
            if event.viewers == 0 and self._first_frame_at_ms is not None:
                self._last_frame_at_ms = self.now_ms()
            self._viewers = event.viewers
            self._deadlines.viewers_changed(event.viewers, now_s=anyio.current_time())
            self._deadlines_changed.set()
        elif isinstance(event, RoomEnded):
            log.info("room_ended", session_id=self.session_id, reason=event.end, detail=event.detail)
            self._deadlines.room_ended(EndReason(event.end), now_s=anyio.current_time())
            self._deadlines_changed.set()
        elif isinstance(event, RoomCalled):
            self._start(self._answer_call, event)
        elif isinstance(event, PerformanceMoved):
            self._observer.moved(self.record, event)
        elif isinstance(event, PerformerEnded) and event.reason == "lost":
            log.error("performer_lost", session_id=self.session_id, detail=event.detail)

    def _forward(self, event: SpeechEvent | TextFailed | MotionEvent | MetricsEvent) -> None:
        """Pass an event to the channel. While there is none, keep for the next one what became of speech. Where an
        agent speaks in the room, the stage tells it.
        """
        if self._attachment is not None:
            self._attachment.emit(event)
        elif isinstance(event, TextFailed) or (isinstance(event, PlaybackEvent) and not self._has_agent):
            self._kept.append(event)
        elif isinstance(event, MotionEvent) and self._keeps_motion:
            self._keep_motion(event)

    def _keep_motion(self, event: MotionEvent) -> None:
        if sum(isinstance(kept, MotionEvent) for kept in self._kept) < MAX_QUEUED_MOTION:
            self._kept.append(event)

    def _start(self, work: Callable[..., Coroutine[Any, Any, None]], *arguments: Any) -> None:
        """Do some work beside the events. What fails in it ends the session."""
        if self._tasks is not None and not self.ending:
            self._tasks.start_soon(work, *arguments)

    async def _answer_call(self, call: RoomCalled) -> None:
        answer = await carry_out(call, self.update)
        with contextlib.suppress(VisavisError):  # its stage is lost, and with it the caller's connection
            await self.performer.answer_call(answer)

    async def _tell_room(self, state: str, reason: str, seconds_left: int | None = None) -> None:
        with contextlib.suppress(VisavisError):
            await self.performer.tell_room(state, reason=reason, seconds_left=seconds_left)

    def delivered(self, event: PlaybackEvent) -> None:
        """See `AttachableSession.delivered`."""
        self._news.taken(event, by=CLIENT)

    async def _speak(self, speech: Speech) -> Spoken:
        """See `voice.line.Speak`."""
        spoken = await self.performer.speak(speech)
        if not spoken.repeated:
            self._utterances.spoken(spoken.utterance_id, duration_s=spoken.samples / speech.sample_rate_hz)
        return spoken

    def _text_failed(self, utterance_id: str, error: VoiceFailed) -> None:
        """See `voice.line.Failed`."""
        self._forward(TextFailed(utterance_id=utterance_id, code=error.code, message=error.message))

    async def _watch_deadlines(self) -> None:
        """Warn the channel, and end the session when a deadline has passed."""
        while True:
            self._deadlines_changed = anyio.Event()
            deadline_s = self._deadlines.next_deadline_s()
            with anyio.move_on_after(None if deadline_s is None else max(0.0, deadline_s - anyio.current_time())):
                await self._deadlines_changed.wait()
            seconds_left = self._deadlines.take_warning(now_s=anyio.current_time())
            if seconds_left is not None:
                self.warn_expiring(seconds_left, EndReason.EXPIRED, warning=warning_before(seconds_left))
            reason = self._deadlines.due(now_s=anyio.current_time())
            if reason is not None:
                await self._request_end(self.session_id, reason)
                return

    def now_ms(self) -> int:
        """Return the instant that the session's own clock shows."""
        return self.clock.instant_ms(now_s=anyio.current_time())

    def interrupt_confirmed(self, *, after_s: float) -> None:
        """See `AttachableSession.interrupt_confirmed`."""
        self.metrics.interrupt_confirmed(after_s * 1000)
        self._observer.interrupt_confirmed(after_s=after_s)

    @property
    def viewers(self) -> int:
        """How many watch now."""
        return self._viewers

    @property
    def has_channel(self) -> bool:
        return self._attachment is not None

    @property
    def ending(self) -> bool:
        return self._end_reason is not None

    @property
    def end_reason(self) -> EndReason | None:
        return self._end_reason

    def decide_end(self, reason: EndReason, *, by: Actor | None = None) -> SessionEnd:
        """Return the session's end. The first call decides its reason, its time and who has asked for it."""
        if self.end is None:
            end_ms = ended_at_ms(self.record, reason, now_ms=self.now_ms())
            self.end = SessionEnd(
                before=self.record, reason=reason, ended_at_ms=end_ms, metering=self.metering(until_ms=end_ms), by=by
            )
        return self.end

    def metering(self, *, until_ms: int) -> dict[str, int | None]:
        """Return when a viewer got the first frame and the last one until then, as columns of the session's row."""
        frames = {"first_frame_at_ms": self._first_frame_at_ms, "last_frame_at_ms": self._last_frame_at_ms}
        return {name: None if at_ms is None else min(at_ms, until_ms) for name, at_ms in frames.items()}

    def seen(self) -> Seen:
        """Return what the next server must know if this one dies now."""
        return Seen(
            seen_at_ms=self.now_ms(),
            first_frame_at_ms=self._first_frame_at_ms,
            last_frame_at_ms=self._last_frame_at_ms,
        )

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of the output as viewers see it. A transparent output is sent with twice the height."""
        return self._size_px

    async def resize(self, *, width_px: int, height_px: int) -> None:
        if (width_px, height_px) != self._size_px:
            await self.performer.resize(width_px=width_px, height_px=height_px)
            self._size_px = width_px, height_px

    async def update(self, change: OutputChange) -> Output:
        """See `channel.port.AttachedSession.update`."""
        async with self._update_lock:
            picture = await self._backgrounds.read(change, holder=self.record.account_id)
            if picture is not None:
                await self._backgrounds.save(self.session_id, picture)
            output = change.apply_to(self.output, picture_id=None if picture is None else picture.picture_id)
            try:
                await self.performer.set_output(output)
            except BaseException:
                if picture is not None:
                    with anyio.CancelScope(shield=True):
                        await self._backgrounds.delete_unused(self.session_id, self.output)
                raise
            with anyio.CancelScope(shield=True):
                had_picture, self.output = self.output.backdrop.picture_id is not None, output
                await self._save_output(self.session_id, output)
                if had_picture:
                    await self._backgrounds.delete_unused(self.session_id, output)
            return output

    async def stream_motion(self, on: bool) -> None:
        if on is not self._streams_motion and not self.ending:
            await self.performer.stream_motion(on)
            self._streams_motion = on

    @asynccontextmanager
    async def attaching(self, arrival: int) -> AsyncIterator[None]:
        """Let one channel after the other attach. `arrival`: a number that is higher the later a channel has come.
        Raises `Overtaken` if a later one is, or was, attached.
        """
        async with self._attach_lock:
            if arrival < self._last_arrival:
                raise Overtaken
            yield
            self._last_arrival = arrival

    def open_channel(self, *, keeps_motion: bool = False) -> Attachment:
        """Attach a new channel. It takes over from the channel that is attached, if any. `keeps_motion`: see
        `Attachment`. Raises `SessionEnded`.
        """
        if self.ending:
            raise SessionEnded(reason=self.end_reason)
        if self._attachment is not None:
            self._kept.extend(self._attachment.take_over())
        kept = [event for event in self._kept if keeps_motion or not isinstance(event, MotionEvent)]
        self._attachment = Attachment(self, kept=[StateChanged(state=self._state), *kept], keeps_motion=keeps_motion)
        self._kept.clear()
        self._keeps_motion = False
        seconds_left = self._deadlines.warning_for_new_channel(now_s=anyio.current_time())
        if seconds_left is not None:
            self.tell_expiring(seconds_left)
        self._deadlines.channel_opened()
        self._deadlines_changed.set()
        if not self._memo.had_channel:
            self._memo = replace(self._memo, had_channel=True)
            self.performer.remember(self._memo.packed())
        return self._attachment

    def leave_channel(self, *, taken: bool = False) -> None:
        """Have the channel leave: another server goes on with this session, or has `taken` it already."""
        if self._attachment is not None:
            self._attachment.finish(ServerChanges(taken=taken))

    def drop(self) -> None:
        """Another server owns this session: have the channel come again, and be over. Nothing is ended."""
        self.taken = True
        self.leave_channel(taken=True)
        self._over.set()

    async def is_ours(self) -> bool:
        """See `channel.port.AttachedSession.is_ours`."""
        await self._until_certain()
        return not self.taken

    def begin_conversation(self, pack: Callable[[int], bytes]) -> int:
        """See `channel.port.AttachedSession.begin_conversation`."""
        index = self._memo.conversations + 1
        self._memo = replace(self._memo, conversations=index, conversation=pack(index))
        self.performer.remember(self._memo.packed())
        return index

    def forget_conversation(self) -> None:
        """See `channel.port.AttachedSession.forget_conversation`."""
        if self._memo.conversation:
            self._memo = replace(self._memo, conversation=b"")
            self.performer.remember(self._memo.packed())

    async def take_note(self, note: Note) -> None:
        """See `channel.port.AttachedSession.take_note`."""
        kept = KeptNote(number=note.last_number, note=pack(note))
        events = [message.event for message in note.messages if message.event is not None]
        try:
            await self.performer.take_note(kept, forget_through=note.forgotten, told=events)
        finally:  # the conversation has them
            for event in events:
                self._news.taken(event, by=CLIENT)

    @property
    def conversation(self) -> tuple[bytes, tuple[KeptNote, ...]]:
        """The beginning of the conversation that an earlier server has led, packed, and its notes."""
        return self._memo.conversation, self._held_notes

    def go_on(self, held: HeldSession) -> None:
        """Take what a stage holds of this session, which an earlier server has begun. Called once, before `run`."""
        now_s = anyio.current_time()
        self._memo, self._held_notes = SessionMemo.unpacked(held.memo), held.notes
        self._state, self._streams_motion = held.state, held.streams_motion
        self._keeps_motion = held.streams_motion and bool(self._memo.conversation)
        segments = () if held.performance is None else held.performance.segments
        self._utterances.restore(held.utterances, (one.segment_id for one in segments), now_s=now_s)
        if held.performance is not None:
            self.line.go_on(held.performance.line)
        self._viewers = len(held.viewers)
        for viewer_id in held.viewers:
            self.joining.joined(viewer_id)
        self._first_frame_at_ms, self._last_frame_at_ms = self.record.first_frame_at_ms, self.record.last_frame_at_ms
        if self._first_frame_at_ms is None and held.first_frame_s is not None:
            self._first_frame_at_ms = self.now_ms() - int(held.first_frame_s * 1000)
        if self._viewers:
            self._last_frame_at_ms = self.now_ms()
        # A room of another server gets pictures before anybody has joined.
        was_watched = self.played.viewers > 0 or (self._own_room and self._first_frame_at_ms is not None)
        if self._viewers or was_watched:
            self._deadlines.viewers_changed(1, now_s=now_s)
        if not self._viewers and was_watched:
            self._deadlines.viewers_changed(0, now_s=now_s)
        if self._memo.had_channel:
            self._deadlines.channel_closed(now_s=now_s)
        self._news.adopted(held.viewers)

    def warn_expiring(self, seconds_left: int, reason: EndReason, *, warning: str | None = None) -> None:
        """Tell the channel, webhooks and the room's agent that the session ends in so many seconds at most. `warning`:
        see `LiveNews`.
        """
        self.tell_expiring(seconds_left)
        self._news.expiring(seconds_left, warning=warning)
        if self._has_agent:
            self._start(self._tell_room, "expiring", reason.value, seconds_left)

    def tell_expiring(self, seconds_left: int) -> None:
        """Tell the channel that the session ends in so many seconds at most."""
        if self._attachment is not None:
            self._attachment.emit(Expiring(seconds_left=seconds_left))

    def is_speaking(self) -> bool:
        """Whether there is speech that has not ended: it plays, waits for a viewer, for its sound or for the rest that
        its sender has not sent yet, or has just been sent.
        """
        return (
            self._state == "speaking"
            or self._utterances.has_open
            or self.line.busy
            or anyio.current_time() - self.last_speech_s < SPEECH_STARTS_WITHIN_S
        )

    def close_channel(self, attachment: Attachment, unsent: Iterable[KeptEvent]) -> bool:
        """See `AttachableSession.close_channel`."""
        is_current = self._attachment is attachment
        if is_current:
            self._attachment = None
            self._keeps_motion = attachment.keeps_motion
        for event in unsent:
            self._forward(event)
        if not is_current:
            return False
        self._deadlines.channel_closed(now_s=anyio.current_time())
        self._deadlines_changed.set()
        return True

    async def end_performance(self, reason: EndReason) -> None:
        """End the performance, whose utterances end with it; then tell the channel. Idempotent; a second caller returns
        when the first call is done.
        """
        if self.ending:
            await self._over.wait()
            return
        self._end_reason = reason
        try:
            with anyio.move_on_after(_END_TIMEOUT_S) as timeout:
                if self._has_agent:
                    await self._tell_room("ended", reason.value)
                await self.performer.end()
                await self._events_over.wait()
            if timeout.cancelled_caught:
                log.error("performer_end_timed_out", session_id=self.session_id)
        except Exception:
            log.exception("performer_end_failed", session_id=self.session_id)
        finally:
            self._end_channel()
            self._news.over()
            self._over.set()

    def _end_channel(self) -> None:
        """Tell the channel the end: first of the utterances that have none, because their stage is lost, then of the
        session. Idempotent.
        """
        for end in self._utterances.end_all(now_s=anyio.current_time()):
            self.played = self.played.after(end)
            self._forward(end)
            self._news.utterance_given_up(end)
        if self._attachment is not None and self._end_reason is not None:
            self._attachment.finish(SessionOver(reason=self._end_reason.value))
