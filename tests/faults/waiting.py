"""Waiting for what nobody tells of, within a bound."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

WITHIN_S = 30.0


async def until(
    condition: Callable[[], object], *, seen: Callable[[], object], within_s: float = WITHIN_S, every_s: float = 0.002
) -> None:
    """Wait until a condition holds. After `within_s` the test fails with what was `seen`."""
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {within_s:g} s: {seen()}"
        await asyncio.sleep(every_s)
