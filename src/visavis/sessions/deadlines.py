"""Decides when a live session ends by itself, and when its channel is warned. Pure: the caller passes events and times
in.

Times are seconds of any monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from visavis.sessions.lifecycle import EndReason

WARNINGS_S = (60.0, 10.0)  # so long before its expiration a session warns its channel


def warning_before(seconds_left: int) -> str:
    """Return the name of the warning that is due so long before the expiration."""
    first_s, last_s = WARNINGS_S
    return f"expiring {last_s if seconds_left <= last_s else first_s:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GracePeriods:
    """How long a session goes on without its first viewer, without any viewer, and without its channel."""

    join_timeout_s: float
    room_empty_grace_s: float
    channel_grace_s: float


class Deadlines:
    """The deadlines of one live session: at most one for its room, one for its channel, one for its expiration."""

    def __init__(self, grace_periods: GracePeriods, *, now_s: float, expires_at_s: float | None) -> None:
        self._grace_periods = grace_periods
        self._deadlines: dict[EndReason, float] = {EndReason.NOBODY_JOINED: now_s + grace_periods.join_timeout_s}
        if expires_at_s is not None:
            self._deadlines[EndReason.EXPIRED] = expires_at_s
        self._expires_at_s = expires_at_s
        self._warnings_s = [] if expires_at_s is None else [expires_at_s - warning_s for warning_s in WARNINGS_S]

    def viewers_changed(self, viewers: int, *, now_s: float) -> None:
        """Note the number of viewers in the room. After the first viewer, an empty room starts the grace period."""
        self._deadlines.pop(EndReason.ROOM_EMPTY, None)
        if viewers > 0:
            self._deadlines.pop(EndReason.NOBODY_JOINED, None)
        elif EndReason.NOBODY_JOINED not in self._deadlines:
            self._deadlines[EndReason.ROOM_EMPTY] = now_s + self._grace_periods.room_empty_grace_s

    def room_ended(self, reason: EndReason, *, now_s: float) -> None:
        """The avatar is no longer in its room: the session ends now."""
        self._deadlines[reason] = now_s

    def channel_opened(self) -> None:
        self._deadlines.pop(EndReason.CHANNEL_LOST, None)

    def channel_closed(self, *, now_s: float) -> None:
        self._deadlines[EndReason.CHANNEL_LOST] = now_s + self._grace_periods.channel_grace_s

    def next_deadline_s(self) -> float | None:
        """Return when `due` or `take_warning` will have something new; None if never."""
        return min((*self._deadlines.values(), *self._warnings_s), default=None)

    def take_warning(self, *, now_s: float) -> int | None:
        """Return the seconds until the expiration if it is time for a warning, None if not. Each warning comes once."""
        due = [warning_s for warning_s in self._warnings_s if warning_s <= now_s]
        self._warnings_s = [warning_s for warning_s in self._warnings_s if warning_s > now_s]
        return self._seconds_left(now_s) if due else None

    def warning_for_new_channel(self, *, now_s: float) -> int | None:
        """Return the seconds until the expiration if the first warning is over: a new channel has missed it."""
        seconds_left = self._seconds_left(now_s)
        return seconds_left if seconds_left is not None and seconds_left <= WARNINGS_S[0] else None

    def _seconds_left(self, now_s: float) -> int | None:
        return None if self._expires_at_s is None else max(0, round(self._expires_at_s - now_s))

    def due(self, *, now_s: float) -> EndReason | None:
        """Return the reason whose deadline has passed first, None if no deadline has passed."""
        passed = [(deadline, reason) for reason, deadline in self._deadlines.items() if deadline <= now_s]
        return min(passed)[1] if passed else None
