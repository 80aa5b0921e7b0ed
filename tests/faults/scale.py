"""How large the faults are: a reduced size in seconds, or in full for `make faults` (VISAVIS_FAULTS=full)."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

FULL = os.environ.get("VISAVIS_FAULTS") == "full"
SCALE = 10 if FULL else 1


def some(cases: Sequence[Any], count: int) -> Sequence[Any]:
    """Return so many of the cases, spread evenly, at the reduced size: each starts programs of its own."""
    return cases if FULL else cases[:: -(-len(cases) // count)]


def only_in_full(test: Callable[..., Any]) -> Callable[..., Any] | None:
    """Leave a test out of the reduced size: it takes many seconds. (A test that is skipped fails the CI.)"""
    return test if FULL else None
