"""So many requests a minute. Pure: it is told the time."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

WINDOW_S = 60.0
_CALLERS_REMEMBERED = 10_000  # those not seen for longest are forgotten, which is to their favour


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What is left to a caller; `resets_at_s` is unix time."""

    allowed: bool
    limit: int
    remaining: int
    resets_at_s: int
    retry_after_s: int

    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers that tell it, as ASGI has them."""
        return [
            (b"x-ratelimit-limit", b"%d" % self.limit),
            (b"x-ratelimit-remaining", b"%d" % self.remaining),
            (b"x-ratelimit-reset", b"%d" % self.resets_at_s),
        ]


class RateLimit:
    """Fixed windows of a minute per caller, each beginning with the caller's first request."""

    def __init__(self, limit: int) -> None:
        self.limit = limit  # changes when servers come and go
        # caller -> start of its window (unix s), requests in it
        self._windows: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def take(self, caller: str, *, now_s: float) -> Allowance:
        """Count one request."""
        start_s, count = self._windows.pop(caller, (now_s, 0))
        if now_s - start_s >= WINDOW_S or now_s < start_s:
            start_s, count = now_s, 0
        allowed = count < self.limit
        count += allowed
        self._windows[caller] = start_s, count
        if len(self._windows) > _CALLERS_REMEMBERED:
            self._windows.popitem(last=False)
        end_s = start_s + WINDOW_S
        return Allowance(
            allowed=allowed,
            limit=self.limit,
            remaining=max(0, self.limit - count),
            resets_at_s=math.ceil(end_s),
            retry_after_s=max(1, math.ceil(end_s - now_s)),
        )
