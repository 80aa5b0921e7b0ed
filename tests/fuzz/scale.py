"""How much is tried: a little in seconds, or all of it for `make fuzz` (VISAVIS_FUZZ=full)."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

FULL = os.environ.get("VISAVIS_FUZZ") == "full"


def examples(few: int, many: int) -> settings:
    """Return the settings of a property: so many examples in CI, and so many in full.

    In CI they are the same ones each time, so that no change fails by the luck of another. The machine may be busy: no
    test fails because an example is slow.
    """
    return settings(
        max_examples=many if FULL else few,
        derandomize=not FULL,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
