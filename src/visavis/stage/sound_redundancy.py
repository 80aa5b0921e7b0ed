"""Decides how much redundancy the sound carries, by what viewers lose. Pure.

Each packet of Opus can hold its predecessor once more, at a lower bit rate (RFC 6716, section 2.1.7). That needs the
codec's mode for speech, which costs twice the work, and bits that the sound itself then lacks. So sound has it only
while somebody loses packets.
"""

from __future__ import annotations

from collections.abc import Iterable

LOSSES = ((0.10, 25), (0.02, 10))  # from this share on the encoder expects such a loss, in percent
MORE_AFTER = 2  # reports (one a second) of more loss in a row
LESS_AFTER = 20  # reports of less


class SoundRedundancy:
    """One session. `report` is called once a second."""

    def __init__(self) -> None:
        self.expected_loss_percent = 0
        self._more = self._less = 0

    def report(self, lost_shares: Iterable[float]) -> int:
        """Take the shares that viewers have lost lately; return the loss that the encoder expects, in percent."""
        most = max(lost_shares, default=0.0)
        needed = next((percent for share, percent in LOSSES if most >= share), 0)
        if needed > self.expected_loss_percent:
            self._more, self._less = self._more + 1, 0
        elif needed < self.expected_loss_percent:
            self._more, self._less = 0, self._less + 1
        else:
            self._more = self._less = 0
        if self._more >= MORE_AFTER or self._less >= LESS_AFTER:
            self.expected_loss_percent = needed
            self._more = self._less = 0
        return self.expected_loss_percent
