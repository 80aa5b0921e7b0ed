"""Decides by the reports of one viewer how much of the full bit rate its network takes. Pure.

Video is encoded once for all viewers, so the slowest viewer that can be helped decides. Loss alone does not tell a
narrow network from a bad one, where a lower bit rate helps nobody. So a viewer that still loses its packets at the
lowest bit rate decides no longer: it *struggles*.
"""

from __future__ import annotations

from collections.abc import Iterable

SHARES = (1.0, 0.7, 0.5, 0.35, 0.25)  # of the full bit rate; each change costs a keyframe, so there are few
LOST_SHARE = 0.12  # more than this is lost: the network is too narrow, or bad
CLEAN_SHARE = 0.05
QUEUE_MS = 200.0  # so much longer than its shortest the round trip has become: packets wait in a queue
LONG_QUEUE_MS = 600.0  # so much longer: it grows, because much more is sent than passes; ...
LONG_QUEUE_TAKES = 0.6  # ... then so much of what is sent is taken for what passes, though nothing is lost yet
LOWER_AFTER = 2  # reports (one a second) of such a network
RAISE_AFTER = 20  # clean reports; twice as many after each raise that did not hold, up to ...
MAX_RAISE_AFTER = 160
STRUGGLES_AFTER = 10  # such reports at the lowest bit rate
_NEW = 0.3  # the weight of a new round trip in the mean


class ViewerBitRate:
    """One viewer. `report` is called once a second."""

    def __init__(self) -> None:
        self.struggles = False
        self._level = 0  # in SHARES
        self._bad = self._clean = 0  # reports since the last change
        self._lost_share = 1.0  # the least of the bad reports since then
        self._raise_after = RAISE_AFTER
        self._round_trip_ms: float | None = None  # the mean of the last ones ...
        self._shortest_ms = float("inf")  # ... and the shortest mean
        self._last_ms = 0.0  # the last round trip

    @property
    def share(self) -> float:
        return SHARES[self._level]

    def report(self, *, round_trip_ms: float | None, lost_share: float) -> None:
        if self._is_bad(round_trip_ms, lost_share):
            self._bad, self._clean = self._bad + 1, 0
            self._lost_share = min(self._lost_share, lost_share)
            if self._level < len(SHARES) - 1:
                if self._bad >= LOWER_AFTER:
                    self._level, self._bad, self._lost_share = self._level_that_fits(), 0, 1.0
                    self._raise_after = min(MAX_RAISE_AFTER, 2 * self._raise_after)
            elif self._bad >= STRUGGLES_AFTER:
                self.struggles = True
        elif lost_share <= CLEAN_SHARE:
            self._bad, self._clean, self._lost_share = 0, self._clean + 1, 1.0
            if self._clean >= self._raise_after:
                self.struggles, self._clean = False, 0
                self._level = max(0, self._level - 1)

    def _level_that_fits(self) -> int:
        """Return the next level, or a further one if only that fits into what has arrived: a network takes as much as
        comes through it.
        """
        arrived = self.share * (1 - self._lost_share)
        if self._last_ms > self._shortest_ms + LONG_QUEUE_MS:
            arrived = min(arrived, self.share * LONG_QUEUE_TAKES)
        fitting = (level for level, share in enumerate(SHARES) if level > self._level and share <= arrived)
        return next(fitting, len(SHARES) - 1)

    def _is_bad(self, round_trip_ms: float | None, lost_share: float) -> bool:
        if round_trip_ms is not None:
            self._last_ms = round_trip_ms
            before_ms = round_trip_ms if self._round_trip_ms is None else self._round_trip_ms
            self._round_trip_ms = before_ms + _NEW * (round_trip_ms - before_ms)
            self._shortest_ms = min(self._shortest_ms, self._round_trip_ms)
        queued = self._round_trip_ms is not None and self._round_trip_ms > self._shortest_ms + QUEUE_MS
        return lost_share > LOST_SHARE or queued


def share_for(viewers: Iterable[ViewerBitRate]) -> float:
    """Return the share of the full bit rate that all viewers take, except those that struggle."""
    return min((viewer.share for viewer in viewers if not viewer.struggles), default=1.0)
