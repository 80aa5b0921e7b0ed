"""The sessions that run or are being started now, and what others ask about them. live_sessions.py changes it."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field

import anyio

from visavis.errors import VisavisError
from visavis.sessions.live_session import LiveSession
from visavis.sessions.metering import billed_minutes, last_seen_ms
from visavis.store.records import SessionRecord


@dataclass(slots=True)
class Starting:
    """A session whose performer is being allocated. If that fails, `error` is set before `done`."""

    key_id: str
    avatar_id: str
    done: anyio.Event = field(default_factory=anyio.Event)
    started: SessionRecord | None = None
    error: VisavisError | None = None


class LiveTable:
    def __init__(self) -> None:
        self.running: dict[str, LiveSession] = {}  # by session, until it has ended
        self.starting: dict[str, Starting] = {}

    def is_live(self, session_id: str) -> bool:
        """Whether the session runs or is being started."""
        return session_id in self.running or session_id in self.starting

    def is_empty(self) -> bool:
        """Whether no session runs or is being started."""
        return not self.running and not self.starting

    def count_of(self, key_id: str) -> int:
        """How many sessions of the key run or are being started. Both count against the plan's limit."""
        return len(self.minutes_of(key_id))

    def minutes_of(self, key_id: str) -> dict[str, int]:
        """Return the minutes so far of the key's sessions that run or are being started, by session."""
        starting = {session_id: 1 for session_id, one in self.starting.items() if one.key_id == key_id}
        return starting | {
            session_id: billed_minutes(started_at_ms=session.clock.started_at_ms, until_ms=session.now_ms())
            for session_id, session in self.running.items()
            if session.key_id == key_id and not session.ending
        }

    def sessions_of(self, key_ids: Container[str]) -> list[str]:
        """Return the running sessions of these keys."""
        return [session_id for session_id, session in self.running.items() if session.key_id in key_ids]

    def starting_avatars(self) -> set[str]:
        """The avatars of sessions that are being started: their files must stay."""
        return {starting.avatar_id for starting in self.starting.values()}

    def until_ms(self, record: SessionRecord) -> int:
        """Return the instant until which a session has lasted: its end, now, or when it was last seen."""
        if record.ended_at_ms is not None:
            return max(record.ended_at_ms, record.started_at_ms or 0)
        session = self.running.get(record.id)
        return last_seen_ms(record) if session is None else session.now_ms()
