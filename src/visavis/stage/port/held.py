"""What a stage holds of a session: what another server must know to go on with it, after its own server has died."""

from __future__ import annotations

import msgspec

from visavis.engine.motion.states import AvatarState
from visavis.stage.port.notes import KeptNote
from visavis.stage.port.so_far import PerformanceSoFar
from visavis.stage.port.values import PerformanceSpec


class HeldUtterance(msgspec.Struct, frozen=True, kw_only=True):
    """An utterance that has not ended. `received_s`: how much audio of it has come. `played_s`: how much of it was
    played, None if it has not started. `open`: it can get more audio. `named`: its client gave it its id.
    """

    utterance_id: str
    received_s: float
    played_s: float | None = None
    open: bool = False
    named: bool = True


class HeldSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session that a stage performs.

    `spec`: with its present epoch, size and output. `performed_s`: how long it has been performed.
    `first_frame_s`: how long ago the first packet left for a viewer, None if none has. `viewers`: the ids of those who
    watch. `state`: the avatar's. `performance`: what yet another stage needs to go on with it. `memo`, `notes`: what
    its server had the stage keep (`messages.Remember`, `messages.TakeNote`).
    """

    spec: PerformanceSpec
    performed_s: float
    first_frame_s: float | None = None
    viewers: tuple[str, ...] = ()
    state: AvatarState = "idle"
    utterances: tuple[HeldUtterance, ...] = ()
    streams_motion: bool = False
    performance: PerformanceSoFar | None = None
    memo: bytes = b""
    notes: tuple[KeptNote, ...] = ()

    @property
    def speech_bytes(self) -> int:
        """The audio in it that was not yet played."""
        utterances = () if self.performance is None else self.performance.utterances
        return sum(len(piece.pcm) for utterance in utterances for piece in utterance.pieces)
