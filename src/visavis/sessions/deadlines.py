"""Decides when a live session ends by itself. Pure: the caller passes events and times in.

Times are seconds of any monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from visavis.sessions.lifecycle import EndReason


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

    def viewers_changed(self, viewers: int, *, now_s: float) -> None:
        """Note the number of viewers in the room. After the first viewer, an empty room starts the grace period."""
        self._deadlines.pop(EndReason.ROOM_EMPTY, None)
        if viewers > 0:
            self._deadlines.pop(EndReason.NOBODY_JOINED, None)
        elif EndReason.NOBODY_JOINED not in self._deadlines:
            self._deadlines[EndReason.ROOM_EMPTY] = now_s + self._grace_periods.room_empty_grace_s

    def channel_opened(self) -> None:
        self._deadlines.pop(EndReason.CHANNEL_LOST, None)

    def channel_closed(self, *, now_s: float) -> None:
        self._deadlines[EndReason.CHANNEL_LOST] = now_s + self._grace_periods.channel_grace_s

    def next_deadline_s(self) -> float | None:
        return min(self._deadlines.values(), default=None)

    def due(self, *, now_s: float) -> EndReason | None:
        """Return the reason whose deadline has passed first, None if no deadline has passed."""
        passed = [(deadline, reason) for reason, deadline in self._deadlines.items() if deadline <= now_s]
        return min(passed)[1] if passed else None
