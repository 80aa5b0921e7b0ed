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
from visavis.engine.speech.phones import TimedViseme
from visavis.errors import InvalidEmotion, InvalidPhonemes, InvalidRequest
from visavis.output_json import read_emotion


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
        except InvalidPhonemes as refused:
            refusals.append(InvalidPhonemes(f"{refused.message}; the audio is spoken as it is heard"))
    if emotion is not None:
        try:
            mood = read_emotion(emotion)
        except InvalidEmotion as refused:
            refusals.append(refused)
    return Delivery(visemes=visemes, mood=mood, refusals=tuple(refusals))
