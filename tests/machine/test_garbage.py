"""The garbage collector's pauses: noted, and short once a server is ready."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator

import pytest

from visavis.machine.garbage import PAUSES_S, Pauses

KEEP = """
import gc
import weakref
from visavis.machine.garbage import keep_what_is_there

class Thing:
    pass

def ring():
    thing = Thing()
    thing.itself = thing
    return weakref.ref(thing)

before = len(gc.get_objects())
lost = ring()
keep_what_is_there()
print(before, len(gc.get_objects()), lost() is None)
later = ring()
gc.collect()
print(later() is None)
"""


@pytest.fixture
def pauses() -> Iterator[Pauses]:
    pauses = Pauses()
    yield pauses
    while pauses.note in gc.callbacks:
        gc.callbacks.remove(pauses.note)


def test_pauses_are_noted_by_how_long_they_were(pauses: Pauses) -> None:
    for pause_s in (0.0005, 0.001, 0.0011, 5.0):
        pauses.add(pause_s)
    assert pauses.counts == [2, 1] + [0] * (len(PAUSES_S) - 2) + [1]
    assert pauses.sum_s == pytest.approx(5.0026)


def test_each_collection_is_noted_once(pauses: Pauses) -> None:
    pauses.watch()
    pauses.watch()
    before = sum(pauses.counts)
    gc.disable()
    try:
        gc.collect()
    finally:
        gc.enable()
    assert sum(pauses.counts) == before + 1 and pauses.sum_s > 0


def test_what_is_there_is_kept_out_of_collections_and_what_comes_is_not() -> None:
    """In a process of its own: nothing would undo it in this one."""
    ran = subprocess.run([sys.executable, "-c", KEEP], capture_output=True, check=True, text=True)
    before, after, lost, later = ran.stdout.split()
    assert int(after) < int(before) / 10 and (lost, later) == ("True", "True")
