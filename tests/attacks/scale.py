"""How large the attacks are: a reduced size in seconds, or in full for `make attacks` (VISAVIS_ATTACKS=full)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T", bound=Callable[..., object])
FULL = os.environ.get("VISAVIS_ATTACKS") == "full"
SCALE = 10 if FULL else 1


def only_in_full(test: T) -> T | None:
    """Leave a test out of the reduced size: it takes minutes. (A test that is skipped fails the CI.)"""
    return test if FULL else None
