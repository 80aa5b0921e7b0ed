"""How a message's speech is to be said: its timings (`phonemes` and their `alphabet`, read by timings.py) and its
`emotion`.

    {"type": "agent.speak", "audio": "...", "phonemes": [...], "alphabet": "ipa", "emotion": "happy"}

What cannot be followed is refused with its place and the reason, and the speech is taken without it: a listener would
rather see lips that guess than hear nothing.
"""

from __future__ import annotations

from typing import Any

from visavis.channel.errors import ChannelError
from visavis.channel.timings import read_timings
from visavis.engine.output import parse_emotion
from visavis.engine.speech.phones import PhonesRefused
from visavis.fleet.port import PLAIN, Delivery


def read_delivery(
    phonemes: Any, alphabet: Any, emotion: Any, *, duration_ms: float
) -> tuple[Delivery, list[ChannelError]]:
    """Return how the speech is to be said, and what was refused of that: INVALID_PHONEMES, INVALID_EMOTION."""
    if phonemes is None and emotion is None:
        return PLAIN, []
    visemes, mood, refusals = None, None, []
    if phonemes is not None and phonemes != []:  # none were there to be told
        try:
            visemes = read_timings(phonemes, alphabet, duration_ms=duration_ms)
        except PhonesRefused as refused:
            refusals.append(ChannelError(f"{refused}; the audio is spoken as it is heard", "INVALID_PHONEMES"))
    if emotion is not None:
        try:
            mood = parse_emotion(emotion)
        except ValueError as refused:
            refusals.append(ChannelError(str(refused), "INVALID_EMOTION"))
    return Delivery(visemes=visemes, mood=mood), refusals
