"""How server and stage notice that the other end is silent. Pure: the caller passes times in.

The server sends a Ping every PING_EVERY_S and the stage answers each with a Pong, from the event loop that performs its
sessions. So a stage that is stopped, or that loops for ever, is silent.
"""

from __future__ import annotations

PING_EVERY_S = 1.0
FENCED_PING_EVERY_S = 0.5  # to a stage that gives sessions up whose server it has not heard for 1.5 s (stage/fence.py)
CHECK_EVERY_S = 0.25
# A check that comes later than this finds that this process itself did not run: it was stopped, or its machine was.
MAX_COUNTED_S = 2 * CHECK_EVERY_S
QUIET_S = 2.0  # two pings without an answer: a stage that is silent for so long gets no more sessions


class Silence:
    """How long the other end has been silent while this process ran. Times are seconds of any monotonic clock.

    What a process misses while it is stopped is in its socket when it goes on. So after a common pause, whichever end
    goes on first, neither takes the other for dead.
    """

    def __init__(self, *, now_s: float) -> None:
        self.silent_s = 0.0
        self._checked_s = now_s

    def heard(self) -> None:
        """Note that something came from the other end."""
        self.silent_s = 0.0

    def check(self, *, now_s: float) -> float:
        """Count the time since the last check, at most MAX_COUNTED_S of it; return how long it is silent now."""
        self.silent_s += min(now_s - self._checked_s, MAX_COUNTED_S)
        self._checked_s = now_s
        return self.silent_s
