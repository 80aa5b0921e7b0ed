"""Annotations of a message's speech: its timings (`phonemes` and their `alphabet`, read by timings.py) and its
`emotion`.

    {"type": "agent.speak", "audio": "...", "phonemes": [...], "alphabet": "ipa", "emotion": "happy"}

An invalid annotation is refused with an error that names its place and the reason. The speech is accepted without it: a
viewer would rather see lips that follow the sound alone than hear nothing.
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
class SpeechAnnotations:
    """The valid annotations, in the form that `Speech` takes. `errors`: INVALID_PHONEMES and INVALID_EMOTION for those
    that were refused.
    """

    visemes: tuple[TimedViseme, ...] | None = None
    mood: Mood | None = None
    errors: tuple[InvalidRequest, ...] = ()


def read_annotations(phonemes: Any, alphabet: Any, emotion: Any, *, duration_ms: float) -> SpeechAnnotations:
    """Read the annotations of an `agent.speak` whose audio lasts `duration_ms`."""
    visemes, mood = None, None
    errors: list[InvalidRequest] = []
    if phonemes is not None and phonemes != []:  # an empty list means that the client knows none
        try:
            visemes = read_timings(phonemes, alphabet, duration_ms=duration_ms)
        except InvalidPhonemes as error:
            errors.append(InvalidPhonemes(f"{error.message}; the audio is spoken without timings"))
    if emotion is not None:
        try:
            mood = read_emotion(emotion)
        except InvalidEmotion as error:
            errors.append(error)
    return SpeechAnnotations(visemes=visemes, mood=mood, errors=tuple(errors))
