"""How long a session lasted, and what it is billed. Pure: the caller passes times in.

Instants are unix milliseconds. The machine's clock may be set while a session runs, even backwards. So the instants
of a session are measured from its start by a monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from visavis.sessions.lifecycle import EndReason
from visavis.store.records import AnySession, SessionRecord

_MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionClock:
    """The clock of one live session. `started_s`: its start, in seconds of a monotonic clock."""

    started_at_ms: int
    started_s: float

    def instant_ms(self, *, now_s: float) -> int:
        """Return the instant that the monotonic clock now shows."""
        return self.started_at_ms + max(0, int((now_s - self.started_s) * 1000))


def ended_at_ms(record: SessionRecord, reason: EndReason, *, now_ms: int) -> int:
    """Return the instant at which a started session ends: now, but not before its start and not after its expiration.
    A session that expires ends at its expiration, however late that is noticed.
    """
    expiration_ms = now_ms if record.expiration_ms is None else record.expiration_ms
    end_ms = expiration_ms if reason is EndReason.EXPIRED else min(now_ms, expiration_ms)
    return max(end_ms, record.started_at_ms or 0)


def last_seen_ms(record: AnySession) -> int:
    """Return the last instant at which a session, not performed any more, is known to have been performed."""
    return max(record.started_at_ms or 0, record.seen_at_ms or 0)


def billed_minutes(*, started_at_ms: int | None, until_ms: int) -> int:
    """Return the minutes of a session: whole ones, rounded up, at least one; none if it was never started."""
    return 0 if started_at_ms is None else max(1, -(-(until_ms - started_at_ms) // _MINUTE_MS))
