"""The values that a service gives to a stage: what to perform, and what to say."""

from __future__ import annotations

import msgspec

from visavis.engine.motion.mood import Mood
from visavis.engine.output import DEFAULT_OUTPUT, Output
from visavis.engine.pack_ref import PackRef
from visavis.engine.speech.phones import TimedViseme
from visavis.rooms.spec import EmbeddedRoomSpec, RoomSpec


class Speech(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of speech: mono PCM16 little-endian, and how to say it.

    `number`: its place among everything that the session's client sent; `Interrupt` names the last piece that it drops.
    `utterance_id`: None continues the open utterance, or opens one. `final`: the utterance ends with this piece.
    `visemes`: what is spoken in this piece, with times from its start; None: it is heard from the sound.
    `mood`: shown from the first sample of this piece to the end of its utterance; None: the session's mood.
    """

    pcm: bytes
    sample_rate_hz: int
    number: int
    utterance_id: str | None = None
    final: bool = False
    visemes: tuple[TimedViseme, ...] | None = None
    mood: Mood | None = None


class PerformanceSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a performer performs: one session with one avatar, one picture size, one output and one room.

    `epoch`: counts the owners that the session has had. A stage refuses a command with a lower epoch than it has seen.
    `seed`: makes blinks, gaze and head motion repeatable.
    """

    session_id: str
    pack: PackRef
    epoch: int = 1
    width_px: int = 1280
    height_px: int = 720
    fps: int = 25
    seed: int = 0
    output: Output = DEFAULT_OUTPUT
    room: RoomSpec = EmbeddedRoomSpec()
