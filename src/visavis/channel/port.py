"""What the channel needs of the sessions: to attach to one with its token, and to hear of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from visavis.engine.motion.states import SettableState
from visavis.engine.output import Output
from visavis.output_json import OutputChange
from visavis.stage.port.events import MotionEvent, PerformerMetrics, SpeechEvent
from visavis.stage.port.values import Speech


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOver:
    """The session has ended: the channel closes 1000 with `reason` as its text. Always the last event."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenOver:
    """A second channel has attached to this session: this one closes 4409. Always the last event."""


SessionEvent = SpeechEvent | MotionEvent | PerformerMetrics | SessionOver | TakenOver


class AttachedSession(Protocol):
    """A channel's hold on one live session."""

    session_id: str

    async def speak(self, speech: Speech) -> str:
        """As `fleet.port.Performer.speak`; numbers count from this channel's first message.

        Raises `QueueFull`, `PerformerLost`, `SessionEnded`.
        """
        ...

    async def interrupt(self, *, through: int) -> None:
        """As `fleet.port.Performer.interrupt`; numbers count from this channel's first message."""
        ...

    async def set_state(self, state: SettableState) -> None:
        """As `fleet.port.Performer.set_state`."""
        ...

    async def update(self, change: OutputChange) -> Output:
        """Have the session look otherwise; return how it looks now. One change at a time, in the order of the calls.

        Raises `BackgroundRefused`, `ImageTooLarge`, `NoCapacity`, `PerformerLost`, `SessionEnded`: then it looks as
        before.
        """
        ...

    def events(self) -> AsyncIterator[SessionEvent]:
        """Every event since the attachment, in order, the first being the state it is in; one consumer; ends after
        SessionOver or TakenOver.
        """
        ...

    async def detach(self) -> None:
        """The channel has closed: the session lives on for its grace. Idempotent; never ends a session that another
        channel has taken over.
        """
        ...


class LiveSessions(Protocol):
    """The sessions that are being performed now, as the channel sees them."""

    async def attach(self, init: SessionInit) -> AttachedSession:
        """Check the token and attach; the picture takes the size asked for, and motion is told if the features ask for
        it.

        Raises `NotFound` (unknown session), `Unauthorized` (wrong token), `SessionEnded`, `SessionNotStarted` (a hosted
        session before its start), `InvalidRequest` (room.url is not the session's own). A token is checked before
        anything else is told about the session.
        """
        ...
