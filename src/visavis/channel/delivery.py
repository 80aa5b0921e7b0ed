"""How a message's speech is to be said: its `phonemes` with their `alphabet`, and its `emotion`, read strictly.

    {"type": "agent.speak", "audio": "...", "phonemes": [{"symbol": "tʃ", "start_ms": 0, "end_ms": 80}, ...], "alphabet": "ipa", "emotion": "happy"}

Times are from the start of the message's own audio. What cannot be followed is refused with its place and the reason, and the speech is taken
without it: a listener would rather see lips that guess than hear nothing.
"""

from __future__ import annotations

from typing import Any

from visavis.channel.messages import AgentSpeak, ChannelError
from visavis.engine.output import parse_emotion
from visavis.engine.speech.phones import ALPHABETS, Alphabet, PhonesRefused, TimedPhone, TimedViseme, time_visemes
from visavis.fleet.port import PLAIN, Delivery

DEFAULT_ALPHABET: Alphabet = "ipa"
MAX_PHONEMES = 65_536  # of one message; how many its audio bears is for phones.py to say


def parse_delivery(speak: AgentSpeak, *, duration_ms: float) -> tuple[Delivery, list[ChannelError]]:
    """Return how the speech is to be said, and what was refused of that: INVALID_PHONEMES, INVALID_EMOTION."""
    if speak.phonemes is None and speak.emotion is None:
        return PLAIN, []
    visemes, mood, refusals = None, None, []
    if speak.phonemes is not None and speak.phonemes != []:  # none were there to be told
        try:
            visemes = _visemes(speak.phonemes, speak.alphabet, duration_ms)
        except PhonesRefused as refused:
            refusals.append(ChannelError(f"{refused}; the audio is spoken as it is heard", "INVALID_PHONEMES"))
    if speak.emotion is not None:
        try:
            mood = parse_emotion(speak.emotion)
        except ValueError as refused:
            refusals.append(ChannelError(str(refused), "INVALID_EMOTION"))
    return Delivery(visemes=visemes, mood=mood), refusals


def _visemes(phonemes: Any, alphabet: Any, duration_ms: float) -> tuple[TimedViseme, ...]:
    """Raises `PhonesRefused`."""
    if not isinstance(phonemes, list):
        raise PhonesRefused("phonemes must be a list")
    if len(phonemes) > MAX_PHONEMES:
        raise PhonesRefused(f"there are {len(phonemes)} phonemes; at most {MAX_PHONEMES} are taken")
    if alphabet is None:
        alphabet = DEFAULT_ALPHABET
    if alphabet not in ALPHABETS:
        raise PhonesRefused(f"alphabet must be one of {', '.join(ALPHABETS)}")
    phones = []
    for index, phoneme in enumerate(phonemes):
        if not isinstance(phoneme, dict):
            raise PhonesRefused(f"phonemes[{index}] must be an object with symbol, start_ms and end_ms", index=index)
        symbol = phoneme.get("symbol")
        if alphabet == "sapi" and _is_number(symbol) and isinstance(symbol, int):
            symbol = str(symbol)
        if not isinstance(symbol, str):
            raise PhonesRefused(f"phonemes[{index}]: symbol must be a string{' or a viseme id' if alphabet == 'sapi' else ''}", index=index)
        times_ms = [phoneme.get(name) for name in ("start_ms", "end_ms")]
        if not all(_is_number(time_ms) for time_ms in times_ms):
            raise PhonesRefused(f"phonemes[{index}]: start_ms and end_ms must be numbers", index=index)
        try:
            phones.append(TimedPhone(symbol, *(float(time_ms) for time_ms in times_ms)))  # type: ignore[arg-type]
        except OverflowError:  # an integer of hundreds of digits
            raise PhonesRefused(f"phonemes[{index}]: start_ms and end_ms must be numbers", index=index) from None
    return time_visemes(phones, alphabet, duration_ms=duration_ms)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
