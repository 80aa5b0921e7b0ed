"""Logs: events that repeat are counted instead of written."""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from visavis.errors import StorageUnusable
from visavis.logs import (
    MAX_LINES,
    MAX_VALUE_CHARS,
    REPEATS,
    WITHIN_S,
    RepeatLimit,
    cut_values,
    shorten_expected_errors,
)


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_an_event_that_repeats_is_written_a_few_times_and_then_counted() -> None:
    clock = Clock()
    limit = RepeatLimit(clock)
    assert [limit.admit("flood") for _ in range(1000)] == [0] * REPEATS + [None] * (1000 - REPEATS)
    assert limit.admit("something else") == 0
    clock.now_s = WITHIN_S
    assert limit.admit("flood") == 1000 - REPEATS
    assert limit.admit("flood") == 0


def test_records_of_libraries_are_limited_by_their_message_without_its_values() -> None:
    limit = RepeatLimit(Clock())
    records = [logging.LogRecord("asyncio", logging.ERROR, "", 0, "fd %d", (n,), None) for n in range(100)]
    assert sum(limit.filter(record) for record in records) == REPEATS


def test_the_number_of_counted_events_is_bounded() -> None:
    limit = RepeatLimit(Clock())
    for n in range(5000):
        limit.admit(f"event {n}")
    assert len(limit._counts) <= 1000


def test_every_session_has_its_lines_and_all_lines_together_are_limited() -> None:
    clock = Clock()
    limit = RepeatLimit(clock)
    assert [limit.admit("session_started") for _ in range(100)] == [0] * 100
    admitted = sum(limit.admit(f"event {n}") is not None for n in range(2 * MAX_LINES))
    assert admitted == MAX_LINES - 100
    clock.now_s = WITHIN_S
    assert limit.admit("session_started") == 0


def test_long_values_are_cut() -> None:
    event = cut_values(None, "", {"event": "x", "detail": "y" * 5000, "exception": "z" * 5000, "count": 10**30})
    assert len(event["detail"]) == MAX_VALUE_CHARS + 1 and len(event["exception"]) == 5000 and event["count"] == 10**30


def test_json_logs_contain_nothing_else() -> None:
    """Events, records of libraries, and warnings: all are JSON."""
    script = """
import asyncio, logging, warnings, structlog
from visavis.logs import configure_logs
configure_logs(level="info", as_json=True)
log = structlog.get_logger()
log.info("session_started", session_id="sess_1", minutes=1)
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed")
    logging.getLogger("uvicorn.error").exception("broken %s", "pipe")
warnings.warn("old")
logging.getLogger("asyncio").error("%d tasks", 3)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.stdout == ""
    assert [line["event"] for line in lines][:3] == ["session_started", "failed", "broken pipe"]
    assert lines[0]["session_id"] == "sess_1" and lines[0]["level"] == "info" and lines[0]["timestamp"].endswith("Z")
    assert "ZeroDivisionError" in lines[1]["exception"] and "ZeroDivisionError" in lines[2]["exception"]
    assert "old" in lines[3]["event"] and lines[3]["logger"] == "py.warnings"
    assert lines[4]["event"] == "3 tasks"


def shortened(error: Exception) -> dict[str, object]:
    try:
        raise error
    except Exception:  # noqa: BLE001 (any error is logged)
        return dict(shorten_expected_errors(None, "error", {"event": "failed", "exc_info": True}))


def test_an_error_of_ours_and_of_the_disk_is_one_line_and_any_other_keeps_its_traceback() -> None:
    full = StorageUnusable("The disk is full")
    assert shortened(full) == {"event": "failed", "code": "STORAGE_UNUSABLE", "problem": "The disk is full"}
    assert shortened(OSError(errno.ENOSPC, "No space left on device", "/data/x")) == {
        "event": "failed",
        "problem": "[Errno 28] No space left on device: '/data/x'",
    }
    for fault in (ZeroDivisionError(), FileNotFoundError(errno.ENOENT, "No such file", "ours")):
        assert shortened(fault) == {"event": "failed", "exc_info": True}


LOG_A_LITTLE = """
import structlog
from visavis.logs import configure_logs
configure_logs(level="info")
structlog.get_logger().info("it_goes_on")
print("to the end")
"""


def test_a_log_whose_disk_is_full_ends_nothing() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", LOG_A_LITTLE], stdout=subprocess.PIPE, stderr=full, text=True, check=False
        )
    assert (done.returncode, done.stdout) == (0, "to the end\n")


WRITE_LINES = """
import logging, sys, structlog
from visavis.logs import configure_logs
configure_logs(level="info", as_json=sys.argv[1] == "json")
structlog.get_logger().info("one", text="a" * 300)
logging.getLogger("asyncio").error("two")
"""


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_line_is_written_at_once(form: str) -> None:
    """A server and its stages write to one file: between a line and its end, another process would write its own.
    Without a buffer, as many images set it, each part of a line is written by itself.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)  # which keeps what is written at once together
    with ours, theirs:
        subprocess.run(
            [sys.executable, "-c", WRITE_LINES, form],
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            stderr=theirs.fileno(),
            check=True,
        )
        lines = [ours.recv(10_000).decode() for _ in range(2)]
    assert [line.count("\n") for line in lines] == [1, 1]
    assert "one" in lines[0] and "two" in lines[1] and all(line.endswith("\n") for line in lines)
