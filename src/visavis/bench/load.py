"""How many sessions speak beside the one that a benchmark measures."""

from __future__ import annotations

from enum import StrEnum


class Load(StrEnum):
    ALONE = "alone"  # none
    FULL = "full"  # as many as the server admits
    TWICE = "twice"  # so many that there are twice as many as it admits; admission is set aside

    def sessions_beside(self, admitted: int) -> int:
        return {Load.ALONE: 0, Load.FULL: admitted - 1, Load.TWICE: 2 * admitted - 1}[self]

    @property
    def settings(self) -> dict[str, str]:
        """The settings of a server that takes this load."""
        if self is not Load.TWICE:
            return {}
        return {"VISAVIS_ADMISSION": "counted", "VISAVIS_SESSIONS_PER_STAGE": "200", "VISAVIS_MAX_SESSIONS": "400"}
