"""How a message's speech is to be said: its timings (`phonemes` and their `alphabet`, read by timings.py) and its
`emotion`.

    {"type": "agent.speak", "audio": "...", "phonemes": [...], "alphabet": "ipa", "emotion": "happy"}

What cannot be followed is refused with its place and the reason, and the speech is taken without it: a listener would
rather see lips that guess than hear nothing.
"""

from __future__ import annotations

from typing import Any

from visavis.channel.timings import read_timings
from visavis.engine.output import parse_emotion
from visavis.engine.speech.phones import PhonesRefused
from visavis.errors import InvalidEmotion, InvalidPhonemes, InvalidRequest
from visavis.fleet.port import PLAIN, Delivery


def read_delivery(
    phonemes: Any, alphabet: Any, emotion: Any, *, duration_ms: float
) -> tuple[Delivery, list[InvalidRequest]]:
    """Return how the speech is to be said, and what was refused of that: INVALID_PHONEMES, INVALID_EMOTION."""
    if phonemes is None and emotion is None:
        return PLAIN, []
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
    return Delivery(visemes=visemes, mood=mood), refusals
