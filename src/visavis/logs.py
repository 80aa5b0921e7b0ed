"""Logs: events on stderr, as lines for a person or as JSON, none of which repeats without a bound."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import Any

import structlog

REPEATS = 20  # of one event ...
WITHIN_S = 60.0  # ... in so long; the next one after that tells how many were left out
EVENTS_REMEMBERED = 1000


class RepeatLimit:
    """Says whether an event is logged. `clock_s`: seconds of any monotonic clock."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._seen: dict[str, tuple[float, int]] = {}  # by event: when its window began, how many came in it

    def admit(self, event: str) -> int | None:
        """Return how many of this event were left out before, None to leave this one out."""
        now_s = self._clock_s()
        began_s, came = self._seen.pop(event, (now_s, 0))
        left_out = 0
        if now_s - began_s >= WITHIN_S:
            left_out, began_s, came = max(0, came - REPEATS), now_s, 0
        self._seen[event] = (began_s, came + 1)
        if len(self._seen) > EVENTS_REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return left_out if came < REPEATS else None

    def process(self, _logger: Any, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        """Leave an event of structlog out, or say with it how many were."""
        left_out = self.admit(str(event.get("event")))
        if left_out is None:
            raise structlog.DropEvent
        return {**event, "left_out": left_out} if left_out else event

    def filter(self, record: logging.LogRecord) -> bool:
        """Leave a record of the standard library's loggers out: those of uvicorn and asyncio."""
        return self.admit(f"{record.name} {record.msg}") is not None


def configure_logs(*, level: str, as_json: bool = False) -> None:
    """Set up the logs of this process. `level`: debug, info, warning or error."""
    limit = RepeatLimit()
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,  # no locals: no speech and no secret
        )
    )
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        limit.process,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if as_json:
        processors.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    for name in ("uvicorn.error", "asyncio", "websockets"):
        logging.getLogger(name).addFilter(limit)
