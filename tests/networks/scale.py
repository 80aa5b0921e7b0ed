"""How long the networks are watched: seconds in the tests, or in full for `make networks` (VISAVIS_NETWORKS=full)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T", bound=Callable[..., object])
FULL = os.environ.get("VISAVIS_NETWORKS") == "full"


def only_in_full(test: T) -> T | None:
    """Leave a test out of the reduced size: it takes minutes. (A test that is skipped fails the CI.)"""
    return test if FULL else None
