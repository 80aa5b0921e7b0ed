"""Limits how often one viewer gets a keyframe for all. Pure: the caller passes times in (seconds, monotonic).

A keyframe is ten times as large as another picture, so each takes bits from the pictures of all viewers. A viewer whose
packets get lost asks for one every few seconds; a flood of requests is answered at the pace of the limit.
"""

from __future__ import annotations

AT_ONCE = 3  # keyframes that a viewer gets without waiting ...
EVERY_S = 1.0  # ... and then one in this time


class KeyframeRequests:
    """The requests of one viewer."""

    def __init__(self) -> None:
        self._full_at_s = 0.0  # when the viewer may again get `AT_ONCE` keyframes without waiting

    def wait_s(self, now_s: float) -> float:
        """Return how long a request must wait: 0 if it can be answered now. Then it is counted."""
        begins_s = max(self._full_at_s, now_s)
        wait_s = begins_s - now_s - (AT_ONCE - 1) * EVERY_S
        if wait_s > 0:
            return wait_s
        self._full_at_s = begins_s + EVERY_S
        return 0.0
