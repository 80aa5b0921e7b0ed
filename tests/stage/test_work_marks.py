"""The marks of a stage's work, in memory that its server shares."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from visavis.stage.work_marks import SLOTS, SharedMarks, WorkMarks

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory that needs no disk is Linux'")


@pytest.fixture
def shared() -> Iterator[SharedMarks]:
    shared = SharedMarks.make()
    assert shared is not None
    yield shared
    shared.close()


def test_a_turn_is_marked_while_it_lasts(shared: SharedMarks) -> None:
    marks = WorkMarks.at(shared.descriptor)
    assert shared.sessions() == frozenset()
    marks.begin_turn("sess_1")
    assert shared.sessions() == {"sess_1"}
    marks.begin_turn("s")
    assert shared.sessions() == {"s"}
    marks.end_turn()
    assert shared.sessions() == frozenset()


def test_requests_are_marked_beside_the_turn_until_the_last_of_a_session_is_carried_out(shared: SharedMarks) -> None:
    marks = WorkMarks.at(shared.descriptor)
    with marks.request("a"):
        marks.begin_turn("b")
        with marks.request("a"), marks.request("c"):
            assert shared.sessions() == {"a", "b", "c"}
        marks.end_turn()
        assert shared.sessions() == {"a"}
    assert shared.sessions() == frozenset()


def test_more_sessions_than_slots_are_not_marked_and_slots_come_back(shared: SharedMarks) -> None:
    marks = WorkMarks.at(shared.descriptor)
    for _ in range(3):
        with ExitStack() as all_of_them:
            for number in range(SLOTS + 5):
                all_of_them.enter_context(marks.request(f"s{number}"))
            assert shared.sessions() == {f"s{number}" for number in range(SLOTS - 1)}
        assert shared.sessions() == frozenset()


def test_marks_without_memory_do_nothing() -> None:
    marks = WorkMarks()
    marks.begin_turn("a")
    with marks.request("a"):
        marks.end_turn()


def test_another_process_finds_the_memory_of_a_stage(shared: SharedMarks) -> None:
    WorkMarks.at(shared.descriptor).begin_turn("sess_1")
    found = SharedMarks.of_process(os.getpid(), shared.descriptor)
    assert found is not None and found.sessions() == {"sess_1"}
    found.close()
    found.close()
    assert found.sessions() == frozenset()
    assert SharedMarks.of_process(os.getpid(), 9999) is None and SharedMarks.of_process(os.getpid(), None) is None
