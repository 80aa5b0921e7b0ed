"""The sessions that run or are being started now, and those whose end is not written yet: what others ask about them.
live_sessions.py changes it.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field

import anyio

from visavis.errors import VisavisError
from visavis.sessions.ends import SessionEnd
from visavis.sessions.live_session import LiveSession
from visavis.sessions.metering import last_seen_ms
from visavis.store.records import SessionRecord


@dataclass(slots=True)
class Starting:
    """A session whose performer is being allocated. If that fails, `error` is set before `done`. `waiting`: how many
    requests wait for it.
    """

    account_id: str
    avatar_id: str
    test: bool
    waiting: int = 0
    done: anyio.Event = field(default_factory=anyio.Event)
    started: SessionRecord | None = None
    error: VisavisError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPlace:
    """A session that holds a place of its account; one that is being started has no `started_at_ms` yet. `channel`:
    whether it has one now.
    """

    session_id: str
    started_at_ms: int | None
    expiration_ms: int | None
    viewers: int
    channel: bool


class LiveTable:
    """`unwritten`: the ends of sessions that the database does not have yet, by session."""

    def __init__(self, unwritten: Mapping[str, SessionEnd]) -> None:
        self.running: dict[str, LiveSession] = {}  # by session, until it has ended
        self.starting: dict[str, Starting] = {}
        self._unwritten = unwritten

    def is_live(self, session_id: str) -> bool:
        """Whether the session runs or is being started."""
        return session_id in self.running or session_id in self.starting

    def is_empty(self) -> bool:
        """Whether no session runs or is being started."""
        return not self.running and not self.starting

    def count_of(self, account_id: str) -> int:
        """How many sessions of the account run or are being started. Both count against the plan's limit."""
        return len(self.current_of(account_id))

    def current_of(self, account_id: str) -> set[str]:
        """Return the account's sessions that run or are being started."""
        starting = {session_id for session_id, one in self.starting.items() if one.account_id == account_id}
        return starting | {
            session_id
            for session_id, session in self.running.items()
            if session.record.account_id == account_id and not session.ending
        }

    def places_of(self, account_id: str) -> list[HeldPlace]:
        """Return who holds the places of the account: what runs, the oldest first, then what is being started."""
        current = self.current_of(account_id)
        running = [self.running[session_id] for session_id in current if session_id in self.running]
        held = [
            HeldPlace(
                session_id=session.session_id,
                started_at_ms=session.record.started_at_ms,
                expiration_ms=session.record.expiration_ms,
                viewers=session.viewers,
                channel=session.has_channel,
            )
            for session in sorted(running, key=lambda one: (one.record.started_at_ms or 0, one.session_id))
        ]
        starting = sorted(current - self.running.keys())
        return held + [
            HeldPlace(session_id=one, started_at_ms=None, expiration_ms=None, viewers=0, channel=False)
            for one in starting
        ]

    def uncharged_of(self, account_id: str) -> set[str]:
        """Return the account's sessions that are being started: their first minute is charged when they have started.
        Those of test keys are free.
        """
        return {
            session_id for session_id, one in self.starting.items() if one.account_id == account_id and not one.test
        }

    def current_record(self, record: SessionRecord) -> SessionRecord:
        """Return the session as it is now: its row may lack its end."""
        end = self._unwritten.get(record.id)
        return record if end is None else end.record

    def sessions_of(self, key_ids: Container[str]) -> list[str]:
        """Return the running sessions of these keys."""
        return [session_id for session_id, session in self.running.items() if session.key_id in key_ids]

    def starting_avatars(self) -> set[str]:
        """The avatars of sessions that are being started: their files must stay."""
        return {starting.avatar_id for starting in self.starting.values()}

    def until_ms(self, record: SessionRecord) -> int:
        """Return the instant until which a session has lasted: its end, now, or when it was last seen."""
        record = self.current_record(record)
        if record.ended_at_ms is not None:
            return max(record.ended_at_ms, record.started_at_ms or 0)
        session = self.running.get(record.id)
        return last_seen_ms(record) if session is None else session.now_ms()
