"""What a session has really shown: how much was spoken, and how many have watched. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from visavis.stage.port.events import PerformerEvent, PlaybackFinished, ViewerJoined


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """`utterances`: those that have ended, the `interrupted` ones too. `seconds`: how much of their sound was played.
    `viewers`: how many have joined; one that came back counts again.
    """

    utterances: int = 0
    interrupted: int = 0
    seconds: float = 0.0
    viewers: int = 0

    @classmethod
    def from_plain(cls, plain: dict[str, Any] | None) -> Played:
        return cls(**plain or {})

    def plain(self) -> dict[str, Any]:
        return asdict(self)

    def after(self, event: PerformerEvent) -> Played:
        """Return what has been shown after an event of the performance."""
        if isinstance(event, PlaybackFinished):
            return replace(
                self,
                utterances=self.utterances + 1,
                interrupted=self.interrupted + event.interrupted,
                seconds=round(self.seconds + event.position_s, 3),
            )
        return replace(self, viewers=self.viewers + 1) if isinstance(event, ViewerJoined) else self
