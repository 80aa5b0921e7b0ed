"""Attaches a channel to a live session: the channel's calls in one direction, the session's events in the other."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Protocol, TypeGuard, TypeVar

import anyio
import msgspec
import structlog

from visavis.channel.handed_conversation import Note
from visavis.channel.port import LastEvent, SessionEvent, TakenOver, TextFailed
from visavis.engine.motion.states import SettableState
from visavis.engine.output import Output
from visavis.errors import HandOverBegun, PerformerLost, SessionEnded
from visavis.fleet.port import Performer
from visavis.output_json import OutputChange
from visavis.stage.port.events import MotionEvent, MotionFrames, PlaybackEvent
from visavis.stage.port.values import Speech, Spoken
from visavis.voice.line import SpeechLine
from visavis.voice.port import TextPiece

# With one metrics event a second, a quarter of an hour. The channel disconnects a client that accepts nothing much
# earlier.
MAX_QUEUED_EVENTS = 1024
MAX_QUEUED_MOTION = 128  # with ten motion events a second, 13 s: later motion is of no use
# Events of playback are never dropped for a client that can still send speech: a stage takes 4096 utterances, and each
# has at most a start, a cut sample and an end. The limit is for rooms whose speech nobody with a channel asks about.
MAX_KEPT_PLAYBACK = 16 * 1024
KeptEvent = PlaybackEvent | TextFailed | MotionEvent  # what waits for the next channel
# How many numbers a channel may still use after another has taken over from it: more than the frames that are read
# ahead (channel/read_ahead.py).
NUMBERS_LEFT = 16 * 1024

Result = TypeVar("Result")

log = structlog.get_logger()


class AttachableSession(Protocol):
    """What an attachment needs of its session.

    `last_number`: the highest number of speech or interrupt that a channel of the session has used. `last_speech_s`:
    when one has last sent speech, in seconds of `anyio.current_time`. `ending`: the end has begun, so no more speech is
    taken.
    """

    session_id: str
    performer: Performer
    line: SpeechLine
    last_number: int
    last_speech_s: float

    @property
    def ending(self) -> bool: ...

    @property
    def end_reason(self) -> str | None: ...

    async def update(self, change: OutputChange) -> Output:
        """Like `channel.port.AttachedSession.update`."""
        ...

    async def stream_motion(self, on: bool) -> None:
        """Switch the performer's motion events on or off."""
        ...

    def interrupt_confirmed(self, *, after_s: float) -> None:
        """An interrupt of the channel was confirmed, so long after it had come."""
        ...

    async def is_ours(self) -> bool:
        """Like `channel.port.AttachedSession.is_ours`."""
        ...

    def begin_conversation(self, pack: Callable[[int], bytes]) -> int:
        """Like `channel.port.AttachedSession.begin_conversation`."""
        ...

    def forget_conversation(self) -> None:
        """Like `channel.port.AttachedSession.forget_conversation`."""
        ...

    async def take_note(self, note: Note) -> None:
        """Like `channel.port.AttachedSession.take_note`."""
        ...

    def delivered(self, event: PlaybackEvent) -> None:
        """The channel has sent an event of playback to its client, or the client does not want it."""
        ...

    def close_channel(self, attachment: Attachment, unsent: Iterable[KeptEvent]) -> bool:
        """Detach a channel, and keep the events that it has not sent for the next one. Returns False if another channel
        has taken over from it; then that one gets the events.
        """
        ...


class Attachment:
    """Implements `channel.port.AttachedSession`.

    A channel numbers its speech from its first message; for a performer the numbers of a session only rise. So the
    highest number that the session has used before is added to those of the channel. What a channel has taken before
    another took over from it is still carried out, with lower numbers than those of the other: so its interrupts do not
    touch the other's speech. `kept`: events that no channel has sent yet. `keeps_motion`: the conversation can be
    resumed and has motion, so motion is kept while the client is away, too.
    """

    def __init__(
        self, session: AttachableSession, kept: Iterable[SessionEvent] = (), *, keeps_motion: bool = False
    ) -> None:
        self.session_id = session.session_id
        self.keeps_motion = keeps_motion
        self._session = session
        self._number_offset = session.last_number + NUMBERS_LEFT
        self._events: deque[SessionEvent] = deque(kept)
        self._event_added = anyio.Event()  # replaced before each wait
        self.taken_over = anyio.Event()
        self._finished = False  # set once: no event follows the queued ones
        self._left = False  # set by `detach`: until then what a channel has taken is carried out, also at a takeover

    async def speak(self, speech: Speech) -> Spoken:
        number = self._session_number(speech.number)
        self._session.last_speech_s = anyio.current_time()
        return await _unless_taken(self._line().speak(msgspec.structs.replace(speech, number=number)))

    async def say(self, piece: TextPiece) -> str:
        number = self._session_number(piece.number)
        self._session.last_speech_s = anyio.current_time()
        line = self._line()
        utterance_id = line.say(replace(piece, number=number))
        await _unless_taken(line.keep_waiting())
        return utterance_id

    async def interrupt(self, *, through: int, message: int = 0) -> None:
        began_s = anyio.current_time()
        number = self._session_number(through)
        self._line().interrupt(through=number)
        await _unless_taken(self._performer().interrupt(through=number, message=message))
        self._session.interrupt_confirmed(after_s=anyio.current_time() - began_s)

    async def set_state(self, state: SettableState, *, message: int = 0) -> None:
        await _unless_taken(self._performer().set_state(state, message=message))

    async def is_ours(self) -> bool:
        return await self._session.is_ours()

    def begin_conversation(self, pack: Callable[[int], bytes]) -> int:
        return self._session.begin_conversation(pack)

    def forget_conversation(self) -> None:
        self._session.forget_conversation()

    async def flush(self) -> None:
        await self._session.performer.flush()

    async def take_note(self, note: Note) -> None:
        await self._session.take_note(note)

    def _session_number(self, channel_number: int) -> int:
        number = self._number_offset + channel_number
        self._session.last_number = max(self._session.last_number, number)
        return number

    async def update(self, change: OutputChange) -> Output:
        self._performer()
        return await _unless_taken(self._session.update(change))

    def _line(self) -> SpeechLine:
        self._performer()
        return self._session.line

    def _performer(self) -> Performer:
        if self._left or self._session.ending:
            raise SessionEnded(reason=self._session.end_reason)
        return self._session.performer

    async def events(self) -> AsyncIterator[SessionEvent]:
        while True:
            while self._events:
                event = self._events.popleft()
                yield event
                if isinstance(event, LastEvent):
                    return
            if self._finished:
                return
            self._event_added = anyio.Event()
            await self._event_added.wait()

    def delivered(self, event: SessionEvent) -> None:
        if isinstance(event, PlaybackEvent):
            self._session.delivered(event)

    async def detach(self, unsent: Sequence[SessionEvent] = ()) -> None:
        self._finished = self._left = True
        self._event_added.set()
        kept = [event for event in unsent if self._keeps(event)]
        if self._session.close_channel(self, [*kept, *self.take_kept()]) and not self.keeps_motion:
            with suppress(PerformerLost, HandOverBegun):  # then there is no motion to switch off
                await self._session.stream_motion(False)

    def take_kept(self) -> list[KeptEvent]:
        """Remove and return the queued events that are kept for the next channel."""
        kept = [event for event in self._events if self._keeps(event)]
        self._events = deque(event for event in self._events if not self._keeps(event))
        return kept

    def _keeps(self, event: SessionEvent) -> TypeGuard[KeptEvent]:
        return isinstance(event, PlaybackEvent | TextFailed) or (self.keeps_motion and isinstance(event, MotionEvent))

    def emit(self, event: SessionEvent) -> None:
        """Queue an event for the channel. If the queue is full, the event is dropped, but none of playback. After the
        last event, what is kept waits for the next channel.
        """
        if self._finished and not self._keeps(event):
            return
        if len(self._events) >= _most_queued_before(event):
            log.warning("channel_event_dropped", session_id=self.session_id, event_type=type(event).__name__)
            return
        self._events.append(event)
        self._event_added.set()

    def take_over(self) -> list[KeptEvent]:
        """Another channel takes over. Return the queued events that are kept for it."""
        kept = self.take_kept()
        self.finish(TakenOver())
        self.taken_over.set()
        return kept

    def finish(self, event: LastEvent) -> None:
        """Queue the last event; later ones are ignored."""
        if self._finished:
            return
        self._finished = True
        self._events.append(event)
        self._event_added.set()


async def _unless_taken(call: Awaitable[Result]) -> Result:
    """Return what a call returns. Once another server has taken the session, wait for ever: whether it has taken what
    was called is not known here. The channel closes without an answer, and its client sends the message to the other.
    """
    try:
        return await call
    except HandOverBegun:
        await anyio.sleep_forever()
        raise


def _most_queued_before(event: SessionEvent) -> int:
    if isinstance(event, PlaybackEvent):
        return MAX_KEPT_PLAYBACK
    return MAX_QUEUED_MOTION if isinstance(event, MotionFrames) else MAX_QUEUED_EVENTS
