"""When a lost channel is opened again. Pure: the caller gives the time."""

from __future__ import annotations

from collections import deque

WAITS_S = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
SPREAD = 1 / 3
# A server that accepts and closes at once sees no more than this.
MOST_TRIES = 8
WITHIN_S = 60.0
# While nobody can be reached, a try costs nobody anything: the channel is back soon after the network is.
UNREACHED_WAIT_S = 1.0
# A connection that held so long was a good one: the waits begin anew.
GOOD_AFTER_S = 10.0
# After these closes the same channel is never opened again: wrong token, no such session, taken over, ended, and
# messages that the server cannot take.
FINAL_CODES = frozenset({1000, 1007, 1009, 4400, 4401, 4404, 4408, 4409, 4410})


class Reconnects:
    """Counts the tries of one channel and says how long to wait before the next one."""

    def __init__(self) -> None:
        self._tries_s: deque[float] = deque(maxlen=MOST_TRIES)
        self._failed = 0
        self._reached = True

    def lost(self, *, lasted_s: float, reached: bool = True) -> None:
        """A connection has ended after `lasted_s` seconds; 0 for one that never opened. `reached`: whether a server has
        answered; the last try does not count if none has.
        """
        self._failed = 0 if lasted_s >= GOOD_AFTER_S else self._failed + 1
        self._reached = reached
        if not reached and self._tries_s:
            self._tries_s.pop()

    def wait_s(self, now_s: float, chance: float, *, asked_s: float | None = None) -> float:
        """Return how long to wait before the next try. `chance`: a random number from 0 to 1. `asked_s`: how long the
        server asks to wait at least.
        """
        wait_s = WAITS_S[min(self._failed, len(WAITS_S) - 1)]
        if not self._reached:
            wait_s = min(wait_s, UNREACHED_WAIT_S)
        wait_s *= 1 - SPREAD * chance
        if asked_s is not None:
            wait_s = max(wait_s, asked_s * (1 + SPREAD * chance))
        if len(self._tries_s) == MOST_TRIES:
            wait_s = max(wait_s, self._tries_s[0] + WITHIN_S - now_s)
        return max(wait_s, 0.0)

    def tries(self, now_s: float) -> None:
        """A try begins now."""
        self._tries_s.append(now_s)
