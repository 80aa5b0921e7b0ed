"""Starts that have failed while no request waited for them: the next request for the session is told. Pure."""

from __future__ import annotations

from visavis.errors import VisavisError

KEPT_S = 60.0  # a client that was told to try again comes back earlier


class FailedStarts:
    """Times are seconds of any monotonic clock."""

    def __init__(self) -> None:
        self._failures: dict[str, tuple[VisavisError, float]] = {}  # by session, the oldest first, with its time

    def add(self, session_id: str, error: VisavisError, *, now_s: float) -> None:
        self._forget_old(now_s)
        self._failures[session_id] = error, now_s

    def take(self, session_id: str, *, now_s: float) -> VisavisError | None:
        """Return the failure of the session's start, once."""
        self._forget_old(now_s)
        error, _ = self._failures.pop(session_id, (None, 0.0))
        return error

    def _forget_old(self, now_s: float) -> None:
        for session_id in [name for name, (_, at_s) in self._failures.items() if at_s <= now_s - KEPT_S]:
            del self._failures[session_id]
