"""A performance so far: what another stage needs to go on with a session as if nothing had happened.

A fleet keeps it for each of its sessions (`fleet/kept_performance.py`), so that the session outlives its stage. Media
time is counted in samples at 48 kHz.
"""

from __future__ import annotations

import msgspec

from visavis.engine.motion.mood import Mood
from visavis.engine.motion.states import AvatarState
from visavis.stage.port.line import LineSoFar
from visavis.stage.port.values import PerformanceSpec, Speech


class UtteranceSoFar(msgspec.Struct, frozen=True, kw_only=True):
    """An utterance that has not ended.

    `named`: its client gave it its id. `open`: it can get more audio. `first_number`: the number of its first piece.
    `started`: its `PlaybackStarted` was told. `played_samples`: how much of it was played. `pieces`: its audio from
    there on; the first one may be the rest of a piece. `mood`: that of the audio at this point; None: the session's.
    """

    utterance_id: str
    named: bool
    open: bool
    first_number: int
    started: bool = False
    played_samples: int = 0
    mood: Mood | None = None
    pieces: tuple[Speech, ...] = ()


class SegmentSoFar(msgspec.Struct, frozen=True, kw_only=True):
    """A segment of speech from the session's room that has not ended. `agent`: the participant that has sent it.
    `played_samples`: how much of it was played. Its audio is on its stage alone.
    """

    segment_id: str
    agent: str
    played_samples: int = 0


class PerformanceSoFar(msgspec.Struct, frozen=True, kw_only=True):
    """One session's performance.

    `spec`: with the size and the output as they are now. `position`: where its clock goes on. `utterances`: those that
    have not ended, in the order in which they are played. `ended_ids`: utterances that get no more audio, oldest first,
    and whether they were interrupted. `dropped_through`: an interrupt has dropped all speech up to this number.
    `late_id`: the utterance to which dropped pieces without an id belong. `last_number`: the highest number of speech
    or interrupt. `generated_ids`: how many ids were made up for utterances that had none.

    `state`: the one that was told last. `listening`, `thinking`: set by the client, for the time without speech.
    `hold_s`: no utterance begins before a viewer has come, but for so long at most. `viewers`: how many watched, and
    may come back. `streams_motion`: whether motion events are wanted. `segments`: those from the room, whose ends the
    next stage tells. `line`: what waits to become speech.
    """

    spec: PerformanceSpec
    position: int = 0
    utterances: tuple[UtteranceSoFar, ...] = ()
    ended_ids: dict[str, bool] = {}
    dropped_through: int = 0
    late_id: str | None = None
    last_number: int = 0
    generated_ids: int = 0
    state: AvatarState = "idle"
    listening: bool = False
    thinking: bool = False
    hold_s: float = 0.0
    viewers: int = 0
    streams_motion: bool = False
    segments: tuple[SegmentSoFar, ...] = ()
    line: LineSoFar = LineSoFar()

    def interrupted(self, *, through: int) -> PerformanceSoFar:
        """Return it without the speech up to a number, after an interrupt that came while nothing was played."""
        dropped = [one for one in self.utterances if one.first_number <= through]
        return msgspec.structs.replace(
            self,
            utterances=tuple(one for one in self.utterances if one.first_number > through),
            ended_ids=self.ended_ids | {one.utterance_id: True for one in dropped},
            dropped_through=max(self.dropped_through, through),
            late_id=next((one.utterance_id for one in dropped if one.open), self.late_id),
            last_number=max(self.last_number, through),
        )
