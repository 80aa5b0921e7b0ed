"""Decides by the reports of one viewer how much of the full bit rate its network takes. Pure.

Video is encoded once for all viewers, so the slowest viewer that can be helped decides. Loss alone does not tell a
narrow network from a bad one, where a lower bit rate helps nobody. So a viewer that still loses its packets at the
lowest bit rate decides no longer: it *struggles*.

The first viewer of an empty room begins with half of the full rate, and gets the rest after a few good reports. So its
first pictures are small, and a narrow network is not full before its first report. The first round trips are compared
with the one before any media: a network for which half is too much already shows by them that its queue grows, seconds
before it loses anything. A viewer that joins others takes what they get.

A way may also become longer in the middle: by another network, a relay, or others who fill it. A queue of ours would be
gone at a lower bit rate, so what stays is taken for the way's own length after a while.
"""

from __future__ import annotations

from collections.abc import Iterable

SHARES = (1.0, 0.7, 0.5, 0.35, 0.25, 0.15)  # of the full bit rate; each change costs a keyframe, so there are few
LOST_SHARE = 0.12  # more than this is lost: the network is too narrow, or bad
CLEAN_SHARE = 0.05
QUEUE_MS = 200.0  # so much longer than its shortest the round trip has become: packets wait in a queue
LONG_QUEUE_MS = 600.0  # so much longer: it grows, because much more is sent than passes; ...
LONG_QUEUE_TAKES = 0.6  # ... then so much of what is sent is taken for what passes, though nothing is lost yet
LOWER_AFTER = 2  # reports (one a second) of such a network, and ...
EARLY_REPORTS = 5  # ... among the first ones, a single report of a long queue
START_LEVEL = 2  # in SHARES
START_REPORTS = 3  # that are not bad, in a row; then the full rate
START_QUEUE_MS = 100.0  # so much longer than before any media the round trip of such a report is at most
HOLDS_AFTER = 10  # reports since the rate was raised; if it is lowered earlier, it falls back to what was held before
RAISE_AFTER = 20  # clean reports; twice as many each time the rate falls again, by one level or several, up to ...
MAX_RAISE_AFTER = 160
STRUGGLES_AFTER = 10  # such reports at the lowest bit rate
_NEW = 0.3  # the weight of a new round trip in the mean
_AGE = 0.02  # so much nearer the shortest round trip comes to the mean with each report


class ViewerBitRate:
    """One viewer. `report` is called once a second. `starts_low`: nobody else watches."""

    def __init__(self, *, starts_low: bool = False) -> None:
        self.struggles = False
        self._level = START_LEVEL if starts_low else 0  # in SHARES
        self._starts = starts_low  # until the rate is changed for the first time
        self._falls = False  # from the first level that it is lowered by until it is raised
        self._reports = 0  # that told a round trip
        self._held_before: int | None = None  # the level from which the rate was raised, until it holds
        self._since_raise = 0  # reports
        self._bad = self._clean = 0  # reports since the last change
        self._lost_share = 1.0  # the least of the bad reports since then
        self._raise_after = RAISE_AFTER
        self._round_trip_ms: float | None = None  # the mean of the last ones ...
        self._shortest_ms = float("inf")  # ... and the shortest mean, slowly forgotten
        self._last_ms = 0.0  # the last round trip

    @property
    def share(self) -> float:
        return SHARES[self._level]

    def report(self, *, round_trip_ms: float | None, lost_share: float, checked_ms: float | None = None) -> None:
        """`round_trip_ms`: None if there is no report yet. `checked_ms`: the round trip before any media was sent."""
        self._reports += round_trip_ms is not None
        self._since_raise += 1
        if self._since_raise > HOLDS_AFTER:
            self._held_before = None
        if self._is_bad(round_trip_ms, lost_share, checked_ms):
            self._bad, self._clean = self._bad + 1, 0
            self._lost_share = min(self._lost_share, lost_share)
            if self._level < len(SHARES) - 1:
                if self._bad >= LOWER_AFTER or self._overflows(checked_ms):
                    self._lower(checked_ms)
            elif self._bad >= STRUGGLES_AFTER:
                self.struggles = True
        elif self._starts:
            self._clean = self._clean + 1 if self._reports and not self._fills(checked_ms) else 0
            if self._clean >= START_REPORTS:
                self._raise(to=0)
        elif lost_share <= CLEAN_SHARE:
            self._bad, self._clean, self._lost_share = 0, self._clean + 1, 1.0
            if self._clean >= self._raise_after:
                self.struggles = False
                self._raise(to=max(0, self._level - 1))

    def _raise(self, *, to: int) -> None:
        if to < self._level:
            self._held_before, self._since_raise = self._level, 0
        self._level, self._clean, self._starts, self._falls = to, 0, False, False
        self._bad, self._lost_share = 0, 1.0

    def _lower(self, checked_ms: float | None) -> None:
        """Take what was held before the rate was raised, or the next level, or a further one if only that fits."""
        self._level = self._level_that_fits(checked_ms) if self._held_before is None else self._held_before
        self._bad, self._lost_share, self._held_before, self._starts = 0, 1.0, None, False
        if not self._falls:
            self._falls, self._raise_after = True, min(MAX_RAISE_AFTER, 2 * self._raise_after)

    def _level_that_fits(self, checked_ms: float | None) -> int:
        """Return the first lower level that fits into what has arrived: a network takes as much as comes through it."""
        arrived = self.share * (1 - self._lost_share)
        if self._last_ms > self._shortest_ms + LONG_QUEUE_MS or self._overflows(checked_ms):
            arrived = min(arrived, self.share * LONG_QUEUE_TAKES)
        fitting = (level for level, share in enumerate(SHARES) if level > self._level and share <= arrived)
        return next(fitting, len(SHARES) - 1)

    def _overflows(self, checked_ms: float | None) -> bool:
        """Whether a long queue is told of by one of the first reports, or before a raised rate holds: what was sent
        then has filled it.
        """
        if checked_ms is None or not self._reports:
            return False
        if self._reports > EARLY_REPORTS:
            if self._held_before is None:
                return False
            checked_ms = max(checked_ms, self._shortest_ms)
        return self._last_ms > checked_ms + LONG_QUEUE_MS

    def _fills(self, checked_ms: float | None) -> bool:
        """Whether a queue begins to fill that was empty before any media."""
        return checked_ms is not None and self._last_ms > checked_ms + START_QUEUE_MS

    def _is_bad(self, round_trip_ms: float | None, lost_share: float, checked_ms: float | None) -> bool:
        if round_trip_ms is not None:
            self._last_ms = round_trip_ms
            before_ms = round_trip_ms if self._round_trip_ms is None else self._round_trip_ms
            self._round_trip_ms = before_ms + _NEW * (round_trip_ms - before_ms)
            aged_ms = min(self._shortest_ms, before_ms)
            self._shortest_ms = min(aged_ms + _AGE * (self._round_trip_ms - aged_ms), self._round_trip_ms)
        shortest_ms = self._shortest_ms
        if self._starts and checked_ms is not None:
            shortest_ms = min(shortest_ms, checked_ms)
        queued = self._round_trip_ms is not None and self._round_trip_ms > shortest_ms + QUEUE_MS
        return lost_share > LOST_SHARE or queued or self._overflows(checked_ms)


def share_for(viewers: Iterable[ViewerBitRate]) -> float:
    """Return the share of the full bit rate that all viewers take, except those that struggle; if all do, there is
    nobody for whom they should be passed over. Without viewers: what the next one begins with.
    """
    shares = [(viewer.share, viewer.struggles) for viewer in viewers]
    if not shares:
        return SHARES[START_LEVEL]
    helped = [share for share, struggles in shares if not struggles]
    return min(helped or [share for share, _ in shares])
