"""How many reports (RTCP) of one viewer are read: a viewer may send what it likes. Pure: the caller passes the time."""

from __future__ import annotations

REPORTS_PER_S = 200  # browsers send up to 60 on a bad network: lost packets every 20 ms, and reports
BURST = 400
MAX_LOST = 512  # packets that one report may name; as many as may be sent again in a row


class ReportAllowance:
    """The reports that one viewer has left. `refused`: how many were not read."""

    def __init__(self) -> None:
        self.refused = 0
        self._left = float(BURST)
        self._at_s: float | None = None

    def take(self, now_s: float) -> bool:
        """Whether one more report is read. `now_s`: of any monotonic clock."""
        passed_s = 0.0 if self._at_s is None else max(0.0, now_s - self._at_s)
        self._at_s = now_s
        self._left = min(float(BURST), self._left + passed_s * REPORTS_PER_S)
        if self._left < 1:
            self.refused += 1
            return False
        self._left -= 1
        return True
