"""The port between a channel and the sessions: attach to a session with its token, use it, and receive its events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import anyio

from visavis.engine.motion.states import SettableState
from visavis.engine.output import Output
from visavis.output_json import OutputChange
from visavis.stage.port.events import MetricsEvent, MotionEvent, SpeechEvent
from visavis.stage.port.values import Speech, Spoken
from visavis.voice.port import TextPiece

if TYPE_CHECKING:
    from visavis.channel.handed_conversation import Note


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionInit:
    """A valid `session.init`, in either form. `room_platform`, `room_url` and `room_token` are None in the flat
    (own-room) form.
    """

    session_id: str
    token: str
    hosted: bool  # True for the hosted-room form (`config`)
    width_px: int = 1280
    height_px: int = 720
    room_platform: str | None = None
    room_url: str | None = None
    room_token: str | None = None
    display_name: str | None = None
    features: frozenset[str] = frozenset()
    hold_for_viewer_s: float | None = None  # speech waits so long for the first viewer
    origin: str | None = None  # of the page that has opened the channel, if it is one
    received: int | None = None  # to resume: the number of the last message that the client has received


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOver:
    """The session has ended: the channel closes 1000 with `reason` as its text. Always the last event."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenOver:
    """A second channel has attached to this session: this one closes 4409. Always the last event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRevoked:
    """The browser token that has opened the channel was revoked: it closes 4401. Always the last event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerChanges:
    """Another server goes on with the session: what the client has sent so far is carried out and answered, then the
    channel closes 1012. Always the last event. `taken`: the other one has it already, so the channel closes at once,
    and what has no answer gets none here.
    """

    taken: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiring:
    """The session ends in `seconds_left` seconds, or earlier."""

    seconds_left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFailed:
    """The text of an utterance is not spoken to its end; the utterance ends with what was spoken. `code`, `message`:
    those of a `VoiceFailed`.
    """

    utterance_id: str
    code: str
    message: str


LastEvent = SessionOver | TakenOver | TokenRevoked | ServerChanges
SessionEvent = SpeechEvent | MotionEvent | MetricsEvent | Expiring | TextFailed | LastEvent


class AttachedSession(Protocol):
    """One live session, as the channel that is attached to it uses it. `taken_over` is set when another channel has
    taken over; `TakenOver` comes when the events before it were taken.
    """

    session_id: str
    taken_over: anyio.Event

    async def is_ours(self) -> bool:
        """Whether no other server owns the session; waits while that is not known. Asked before each message: what this
        server tells a client, the next one must know.
        """
        ...

    async def speak(self, speech: Speech) -> Spoken:
        """Like `fleet.port.Performer.speak`, after the text that came before; numbers count from this channel's first
        message.

        Raises `QueueFull`, `PerformerLost`, `SessionEnded`.
        """
        ...

    async def say(self, piece: TextPiece) -> str:
        """Speak text, after what came before; numbers as in `speak`. Return the id of its utterance, at once.
        `TextFailed` tells if it is not spoken to its end.

        Raises `QueueFull`, `SessionEnded`.
        """
        ...

    async def interrupt(self, *, through: int, message: int = 0) -> None:
        """Like `fleet.port.Performer.interrupt`; numbers count from this channel's first message."""
        ...

    async def set_state(self, state: SettableState, *, message: int = 0) -> None:
        """Like `fleet.port.Performer.set_state`."""
        ...

    async def update(self, change: OutputChange) -> Output:
        """Change the session's output; return the new output. Changes take effect one at a time, in the order of the
        calls.

        Raises `BackgroundRefused`, `ImageTooLarge`, `NoCapacity`, `PerformerLost`, `SessionEnded`: then the output has
        not changed.
        """
        ...

    def events(self) -> AsyncIterator[SessionEvent]:
        """Every event since the attachment, in order. The first tells the current state; then come the events of
        playback that no channel has sent yet. One consumer. Ends after a `LastEvent`.
        """
        ...

    def delivered(self, event: SessionEvent) -> None:
        """The event was sent to the client, or the client does not want events of its kind: if this server dies, the
        next one need not send it.
        """
        ...

    def begin_conversation(self, pack: Callable[[int], bytes]) -> int:
        """Begin a conversation that the next server can resume, if this one dies. Return its place among those of the
        session, from 1. `pack`: returns the beginning of the conversation with this place.
        """
        ...

    def forget_conversation(self) -> None:
        """No conversation can be resumed any more. Idempotent."""
        ...

    async def flush(self) -> None:
        """Wait until the beginning of the conversation is safe even if this server dies now, at most 10 s."""
        ...

    async def take_note(self, note: Note) -> None:
        """Have a note of the conversation kept for the next server. Its events count as delivered. Returns when the
        note is safe even if this server dies now, but after 10 s at the latest.
        """
        ...

    async def detach(self, unsent: Sequence[SessionEvent] = ()) -> None:
        """Leave the session, because the channel has closed. The session goes on until the channel's grace period is
        over. Idempotent; has no effect on a session that another channel has taken over.

        `unsent`: events that were not sent to the client. Those of playback, and those that still wait, are kept for
        the session's next channel; so is motion, if the conversation has it and can be resumed.
        """
        ...


class LiveSessions(Protocol):
    """The sessions that are performed now, as a channel reaches them."""

    async def attach(self, init: SessionInit) -> AttachedSession:
        """Check the token and attach. The picture gets the size that `init` asks for; motion events are sent if its
        features ask for them.

        Raises `SessionNotFound`, `Unauthorized` (wrong token of the session or of its room, or a revoked API key),
        `TokenExpired` and `OriginRefused` (of a browser token),
        `SessionEnded`, `SessionNotStarted` (a hosted-room session before its start), `InvalidRoomUrl` (not the
        session's own room), `Overtaken` (a channel that came later is, or was, attached) and `HandOverBegun` (the next
        server goes on with all sessions). The session's token is checked first, so that without it nothing but the
        session's existence can be learned.
        """
        ...
