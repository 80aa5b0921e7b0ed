"""What the logs of stages prove, and what they do not."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from tests.fleet_faults.stage_logs import Ended, Line, at_the_same_time, epochs_that_fell, lines_of, shown


def logged(at_s: int, event: str, pid: int, **more: Any) -> str:
    stamp = f"2026-11-30T10:00:{at_s:02}.000000Z"
    return json.dumps({"event": event, "pid": pid, "session_id": "a", "server_id": "s", "timestamp": stamp} | more)


def read(**logs: list[str]) -> list[Line]:
    return lines_of(logs)


OPENED = logged(1, "session_opened", 10, ownership=1)
NEXT = logged(9, "session_opened", 20, ownership=2)


def test_a_session_that_was_left_before_the_next_machine_opened_it_was_on_one_at_a_time() -> None:
    lines = read(one=["not json", OPENED, logged(10, "session_left", 10, silent_s=1.5)], other=[NEXT])
    one, other = shown(lines)
    assert (one.machine, one.pid, other.machine) == ("one", 10, "other")
    assert one.until_s - one.from_s == 7.5 and other.until_s == math.inf
    assert at_the_same_time([one, other]) == [] and epochs_that_fell(lines) == []


def test_a_session_that_was_shown_after_the_next_machine_opened_it_was_on_two() -> None:
    lines = read(one=[OPENED, logged(10, "session_left", 10, silent_s=0.5)], other=[NEXT])
    ((one, other),) = at_the_same_time(shown(lines))
    assert (one.machine, other.machine) == ("one", "other")


def test_a_process_that_says_nothing_more_shows_its_session_until_it_was_killed() -> None:
    lines = read(one=[OPENED], other=[NEXT])
    at_s = lines[0].at_s
    assert len(at_the_same_time(shown(lines))) == 1, "nobody has killed it"
    assert at_the_same_time(shown(lines, [Ended(pid=10, at_s=at_s + 5)])) == []
    assert len(at_the_same_time(shown(lines, [Ended(pid=10, at_s=at_s - 5)]))) == 1, "one of that number before"
    killed = logged(8, "stage_killed", 10)
    assert at_the_same_time(shown(read(one=[OPENED, killed], other=[NEXT]))) == []


def test_a_stage_that_was_cut_off_shows_nothing_from_its_last_turn_on() -> None:
    cut_off = logged(10, "session_cut_off", 10, silent_s=2.5)
    for more in ([], [logged(10, "session_left", 10, silent_s=2.5)], [logged(11, "stage_killed", 10)]):
        lines = read(one=[OPENED, cut_off, *more], other=[NEXT])
        assert at_the_same_time(shown(lines)) == []
    early = logged(10, "session_cut_off", 10, silent_s=0.5)
    assert len(at_the_same_time(shown(read(one=[OPENED, early], other=[NEXT])))) == 1


def test_lines_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        shown(read(one=[OPENED, logged(2, "session_opened", 10, ownership=1)]))
    with pytest.raises(ValueError, match="had not opened"):
        shown(read(one=[logged(2, "session_left", 10, silent_s=0)]))


def test_an_epoch_rises_with_each_machine_and_each_server() -> None:
    taken = logged(3, "session_taken_over", 10, ownership=2, server_id="t")
    again = logged(4, "session_opened", 11, ownership=2, server_id="t")  # by another process of the machine
    assert epochs_that_fell(read(one=[OPENED, taken, again])) == []
    for ownership in (1, 2):
        wrong = logged(5, "session_opened", 20, ownership=ownership, server_id="t")
        assert len(epochs_that_fell(read(one=[OPENED, taken, again], other=[wrong]))) == 1
    wrong = logged(3, "session_taken_over", 10, ownership=1, server_id="t")
    assert len(epochs_that_fell(read(one=[OPENED, wrong]))) == 1
