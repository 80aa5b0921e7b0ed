"""What a stage holds of a session: what another server must know to go on with it, after its own server has died."""

from __future__ import annotations

import msgspec

from visavis.engine.motion.states import AvatarState
from visavis.stage.port.notes import KeptNote
from visavis.stage.port.so_far import PerformanceSoFar, UtteranceSoFar
from visavis.stage.port.values import PerformanceSpec
from visavis.stage.timeline import PLAYOUT_RATE_HZ


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
    watch. `state`: the avatar's. `memo`, `notes`: what its server had the stage keep (`messages.Remember`,
    `messages.TakeNote`).
    """

    spec: PerformanceSpec
    performed_s: float
    first_frame_s: float | None = None
    viewers: tuple[str, ...] = ()
    state: AvatarState = "idle"
    utterances: tuple[HeldUtterance, ...] = ()
    streams_motion: bool = False
    memo: bytes = b""
    notes: tuple[KeptNote, ...] = ()

    def so_far(self) -> PerformanceSoFar:
        """Return what a fleet can know of it. Its audio is on the stage alone: if that is lost, too, the rest of these
        utterances is not said.
        """
        return PerformanceSoFar(
            spec=self.spec,
            position=int(self.performed_s * PLAYOUT_RATE_HZ),
            utterances=tuple(
                UtteranceSoFar(
                    utterance_id=one.utterance_id,
                    named=one.named,
                    open=one.open,
                    first_number=0,
                    started=one.played_s is not None,
                    played_samples=int((one.played_s or 0.0) * PLAYOUT_RATE_HZ),
                )
                for one in self.utterances
            ),
            state=self.state,
            streams_motion=self.streams_motion,
        )
