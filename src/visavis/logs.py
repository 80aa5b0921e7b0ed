"""Logs: events on stderr, as readable lines or as JSON. Nobody can flood them: events that repeat are limited, and so
are all lines together and the length of each value.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog

from visavis.errors import DISK_ERRORS, VisavisError

REPEATS = 20  # one event is logged at most this many times ...
WITHIN_S = 60.0  # ... in this time; the next one after it says how many were left out
# Every session has a line of each, or of the last three for each stage that it is on.
_OF_SESSIONS = ("session_started", "session_ended", "session_opened", "session_taken_over", "session_left")
MORE_REPEATS = dict.fromkeys(_OF_SESSIONS, 600)
MAX_LINES = 3000  # of all events together, in the same time
MAX_EVENTS = 1000  # events whose repeats are counted
MAX_VALUE_CHARS = 1000  # of a value that is a text; longer ones are cut
MAX_TRACE_CHARS = 10_000


class RepeatLimit:
    """Decides whether an event is logged. `clock_s`: seconds of any monotonic clock."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._counts: dict[str, tuple[float, int]] = {}  # by event: the start of its time window, and the count in it
        self._lines_since_s, self._lines = clock_s(), 0

    def admit(self, event: str) -> int | None:
        """Return None if this event is left out, otherwise how many were left out before it."""
        now_s = self._clock_s()
        repeats = MORE_REPEATS.get(event, REPEATS)
        start_s, count = self._counts.pop(event, (now_s, 0))
        left_out = 0
        if now_s - start_s >= WITHIN_S:
            left_out, start_s, count = max(0, count - repeats), now_s, 0
        self._counts[event] = (start_s, count + 1)
        if len(self._counts) > MAX_EVENTS:
            del self._counts[next(iter(self._counts))]
        return left_out if count < repeats and self._admit_line(now_s) else None

    def _admit_line(self, now_s: float) -> bool:
        if now_s - self._lines_since_s >= WITHIN_S:
            self._lines_since_s, self._lines = now_s, 0
        self._lines += 1
        return self._lines <= MAX_LINES

    def process(self, _logger: Any, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        """A processor of structlog: drop the event, or add how many were left out before it."""
        left_out = self.admit(str(event.get("event")))
        if left_out is None:
            raise structlog.DropEvent
        return {**event, "left_out": left_out} if left_out else event

    def filter(self, record: logging.LogRecord) -> bool:
        """A filter for the standard library's loggers, which uvicorn and asyncio use."""
        return self.admit(f"{record.name} {record.msg}") is not None


def cut_values(_logger: Any, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """A processor of structlog: cut long texts."""
    for name, value in event.items():
        most = MAX_TRACE_CHARS if name == "exception" else MAX_VALUE_CHARS
        if isinstance(value, str) and len(value) > most:
            event[name] = value[:most] + "…"
    return event


def shorten_expected_errors(_logger: Any, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Log an error of ours or of the disk in one line. Any other error has its traceback."""
    error = sys.exc_info()[1] if event.get("exc_info") is True else None
    if isinstance(error, VisavisError):
        del event["exc_info"]
        return {**event, "code": error.code, "problem": error.message}
    if isinstance(error, OSError) and error.errno in DISK_ERRORS:
        del event["exc_info"]
        return {**event, "problem": str(error)}
    return event


class _Lasting:
    """A stream that goes on if the disk behind it is full: what cannot be written is lost, and nothing else."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError):
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def configure_logs(*, level: str, as_json: bool = False) -> None:
    """Set up the logs of this process. `level`: debug, info, warning or error. `as_json`: each line is a JSON object,
    also what libraries and Python's warnings write.
    """
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
        shorten_expected_errors,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if as_json:
        processors.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, cut_values, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        # A line and its end in one call: where Python buffers nothing, lines of processes side by side were torn.
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _Lasting(sys.stderr))),
        cache_logger_on_first_use=True,
    )
    # Libraries use the standard library's loggers. Their records come to the root's handler, but those of uvicorn to
    # one of its own, unless they are to be JSON (server.py).
    handler = logging.StreamHandler(sys.stderr)
    handler.setLevel(logging.WARNING)
    handler.addFilter(limit)
    if as_json:
        handler.setFormatter(_json_formatter())
        logging.captureWarnings(True)
    else:
        logging.getLogger("uvicorn.error").addFilter(limit)
    logging.getLogger().handlers = [handler]
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # a form that cannot be read is the client's matter


def _json_formatter() -> logging.Formatter:
    """Return a formatter that writes records of the standard library's loggers as the same JSON."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            cut_values,
            structlog.processors.JSONRenderer(),
        ],
    )
