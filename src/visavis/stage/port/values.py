"""The values that the service sends to a stage: what to perform, and what to speak."""

from __future__ import annotations

import msgspec

from visavis.engine.motion.mood import Mood
from visavis.engine.output import DEFAULT_OUTPUT, Output
from visavis.engine.pack_ref import PackRef
from visavis.engine.speech.phones import TimedViseme
from visavis.rooms.spec import EmbeddedRoomSpec, RoomSpec
from visavis.stage.port.line import LineMark


class Speech(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of speech: mono PCM16 little-endian, and how to speak it. A sample may be cut between two pieces of one
    utterance.

    `number`: its place among the messages of the session's client; `Interrupt` names the last number that it drops.
    `message`: its number among those that the client sends again after a break (`stage/taken_messages.py`), or 0.
    `utterance_id`: None continues the open utterance, or opens a new one. `final`: the utterance ends with this piece.
    `visemes`: the visemes of this piece, with times from its start; None: the network recognises the phones.
    `mood`: applies from the first sample of this piece to the end of its utterance; None: the session's mood.
    `line`: how far the session's line has come with this piece; None: it has not waited there.
    """

    pcm: bytes
    sample_rate_hz: int
    number: int
    utterance_id: str | None = None
    final: bool = False
    visemes: tuple[TimedViseme, ...] | None = None
    mood: Mood | None = None
    message: int = 0
    line: LineMark | None = None


class Spoken(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The piece of speech was taken. `utterance_id`: its utterance. `samples`: how many samples of the utterance became
    complete with it, at the rate of the piece. `queued_s`: how much speech waits to be played now, this piece included.
    `repeated`: the piece was taken before, and nothing has changed.
    """

    utterance_id: str
    samples: int
    queued_s: float = 0.0
    repeated: bool = False


class PerformanceSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a performer performs: one session with one avatar, one picture size, one output and one room.

    `epoch`: rises with every new owner of the session. A stage refuses commands of a lower epoch than the highest one
    that it has received. `ownership`: in a fleet, the epoch of the session's row in the database, by which its server
    owns it (`messages.TakeOver`). `seed`: of the random blinks, gaze and head motion.
    """

    session_id: str
    pack: PackRef
    epoch: int = 1
    ownership: int = 0
    width_px: int = 1280
    height_px: int = 720
    fps: int = 25
    seed: int = 0
    output: Output = DEFAULT_OUTPUT
    room: RoomSpec = EmbeddedRoomSpec()
