"""The sessions that run or are being started now, and those whose end is not written yet: what others ask about them.
live_sessions.py changes it.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import anyio

from visavis.errors import VisavisError
from visavis.sessions.ends import SessionEnd
from visavis.sessions.live_session import LiveSession
from visavis.sessions.metering import last_seen_ms
from visavis.store.records import AnySession, SessionRecord

Found = TypeVar("Found", bound=AnySession)


@dataclass(slots=True)
class Starting:
    """A session whose performer is being allocated. If that fails, `error` is set before `done`. `waiting`: how many
    requests wait for it.
    """

    avatar_id: str
    waiting: int = 0
    done: anyio.Event = field(default_factory=anyio.Event)
    started: SessionRecord | None = None
    error: VisavisError | None = None


class LiveTable:
    """`unwritten`: the ends of sessions that the database does not have yet, by session."""

    def __init__(self, unwritten: Mapping[str, SessionEnd]) -> None:
        self.running: dict[str, LiveSession] = {}  # by session, until it has ended
        self.starting: dict[str, Starting] = {}
        self.taking: dict[str, anyio.Event] = {}  # those of another server that this one takes over; set when it has
        # Held while sessions become this server's in the database before they are in `taking`, and while it is asked
        # which are this server's.
        self.owning = anyio.Lock()
        self._unwritten = unwritten

    def is_live(self, session_id: str) -> bool:
        """Whether the session runs, is being started, or is being taken over."""
        return session_id in self.running or session_id in self.starting or session_id in self.taking

    def is_empty(self) -> bool:
        """Whether no session runs or is being started."""
        return not self.running and not self.starting

    def ended(self) -> list[str]:
        """Return the sessions that have ended although their rows do not say so yet."""
        return list(self._unwritten)

    def seen_of(self, session_id: str) -> dict[str, object]:
        """Return what holders of places are told by: their viewers, and whether they have a channel. A session that is
        being started, or that another server performs, has none here.
        """
        session = self.running.get(session_id)
        if session is None:
            return {"viewers": 0, "channel": False}
        return {"viewers": session.viewers, "channel": session.has_channel}

    def current_record(self, record: Found) -> Found | SessionRecord:
        """Return the session as it is now: its row may lack its end."""
        end = self._unwritten.get(record.id)
        return record if end is None else end.record

    def sessions_of(self, key_ids: Container[str]) -> list[str]:
        """Return the running sessions of these keys."""
        return [session_id for session_id, session in self.running.items() if session.key_id in key_ids]

    def starting_avatars(self) -> set[str]:
        """The avatars of sessions that are being started: their files must stay."""
        return {starting.avatar_id for starting in self.starting.values()}

    def until_ms(self, record: AnySession) -> int:
        """Return the instant until which a session has lasted: its end, now, or when it was last seen."""
        record = self.current_record(record)
        if record.ended_at_ms is not None:
            return max(record.ended_at_ms, record.started_at_ms or 0)
        session = self.running.get(record.id)
        return last_seen_ms(record) if session is None else session.now_ms()
