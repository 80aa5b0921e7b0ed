"""Limits how often one viewer gets a keyframe for all. Pure: the caller passes times in (seconds, monotonic).

A keyframe and the picture after it take as many bits as a second of others, so each takes bits from the pictures of all
viewers. A viewer whose packets get lost asks for one every few seconds; a flood of requests is answered at the pace of
the limit. Browsers ask again five times a second until they have their first keyframe, which comes late through a
narrow network: more of them would fill it. So the one that a joining viewer gets counts, too.
"""

from __future__ import annotations

AT_ONCE = 2  # keyframes that a viewer gets without waiting ...
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
