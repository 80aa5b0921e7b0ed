"""Logs: events on stderr, as readable lines or as JSON. Events that repeat are limited."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from typing import Any

import structlog

REPEATS = 20  # one event is logged at most this many times ...
WITHIN_S = 60.0  # ... in this time; the next one after it says how many were left out
MAX_EVENTS = 1000  # events whose repeats are counted


class RepeatLimit:
    """Decides whether an event is logged. `clock_s`: seconds of any monotonic clock."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._counts: dict[str, tuple[float, int]] = {}  # by event: the start of its time window, and the count in it

    def admit(self, event: str) -> int | None:
        """Return None if this event is left out, otherwise how many were left out before it."""
        now_s = self._clock_s()
        start_s, count = self._counts.pop(event, (now_s, 0))
        left_out = 0
        if now_s - start_s >= WITHIN_S:
            left_out, start_s, count = max(0, count - REPEATS), now_s, 0
        self._counts[event] = (start_s, count + 1)
        if len(self._counts) > MAX_EVENTS:
            del self._counts[next(iter(self._counts))]
        return left_out if count < REPEATS else None

    def process(self, _logger: Any, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        """A processor of structlog: drop the event, or add how many were left out before it."""
        left_out = self.admit(str(event.get("event")))
        if left_out is None:
            raise structlog.DropEvent
        return {**event, "left_out": left_out} if left_out else event

    def filter(self, record: logging.LogRecord) -> bool:
        """A filter for the standard library's loggers, which uvicorn and asyncio use."""
        return self.admit(f"{record.name} {record.msg}") is not None


def configure_logs(*, level: str, as_json: bool = False) -> None:
    """Set up the logs of this process. `level`: debug, info, warning or error."""
    limit = RepeatLimit()
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            exception_formatter=structlog.dev.plain_traceback,  # without local variables, which may hold secrets
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
    # Libraries use the standard library's loggers. Their records come to the root's handler, but those of uvicorn to
    # one of its own.
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.addFilter(limit)
    logging.getLogger().handlers = [handler]
    logging.getLogger("uvicorn.error").addFilter(limit)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # a form that cannot be read is the client's matter
