"""How a message's speech is to be said: its timings (`phonemes` and their `alphabet`, read by timings.py) and its
`emotion`.

    {"type": "agent.speak", "audio": "...", "phonemes": [...], "alphabet": "ipa", "emotion": "happy"}

What cannot be followed is refused with its place and the reason, and the speech is taken without it: a listener would
rather see lips that guess than hear nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from visavis.channel.timings import read_timings
from visavis.engine.motion.mood import Mood
from visavis.engine.output import parse_emotion
from visavis.engine.speech.phones import PhonesRefused, TimedViseme
from visavis.errors import InvalidEmotion, InvalidPhonemes, InvalidRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How a message's speech is to be said, as `Speech` takes it, and what could not be followed: INVALID_PHONEMES,
    INVALID_EMOTION.
    """

    visemes: tuple[TimedViseme, ...] | None = None
    mood: Mood | None = None
    refusals: tuple[InvalidRequest, ...] = ()


def read_delivery(phonemes: Any, alphabet: Any, emotion: Any, *, duration_ms: float) -> Delivery:
    """Read the members of an `agent.speak` that say how to speak."""
    visemes, mood = None, None
    refusals: list[InvalidRequest] = []
    if phonemes is not None and phonemes != []:  # none were there to be told
        try:
            visemes = read_timings(phonemes, alphabet, duration_ms=duration_ms)
        except PhonesRefused as refused:
            refusals.append(InvalidPhonemes(f"{refused}; the audio is spoken as it is heard"))
    if emotion is not None:
        try:
            mood = parse_emotion(emotion)
        except ValueError as refused:
            refusals.append(InvalidEmotion(str(refused)))
    return Delivery(visemes=visemes, mood=mood, refusals=tuple(refusals))
