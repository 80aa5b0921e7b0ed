"""When a failed delivery is tried again. Pure. Times are unix milliseconds."""

from __future__ import annotations

FIRST_PAUSE_MS = 5_000
LONGEST_PAUSE_MS = 2 * 3_600_000
TRIED_FOR_MS = 24 * 3_600_000
JITTER = 0.2  # of a pause, to either side: what has failed together is not tried again together


def next_attempt_ms(*, began_at_ms: int, failed_at_ms: int, chance: float, retry_after_ms: int = 0) -> int | None:
    """Return when a delivery that was begun and has failed just now is tried again; None after a day, when it is given
    up. The pause is as long as the delivery has been tried, so it doubles each time. `chance`: random, 0 to 1.
    `retry_after_ms`: what the receiver asks for.
    """
    last_ms = began_at_ms + TRIED_FOR_MS
    if failed_at_ms >= last_ms:
        return None
    pause_ms = min(max(failed_at_ms - began_at_ms, FIRST_PAUSE_MS), LONGEST_PAUSE_MS)
    pause_ms = int(pause_ms * (1 + JITTER * (2 * chance - 1)))
    return min(failed_at_ms + max(pause_ms, min(retry_after_ms, LONGEST_PAUSE_MS)), last_ms)
