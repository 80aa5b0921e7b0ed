"""Timings: the phones of a message's speech with their times, read strictly into visemes that the lips follow.

    "phonemes": [{"symbol": "tʃ", "start_ms": 0, "end_ms": 80}, ...], "alphabet": "ipa"

Times count from the start of the message's own audio. engine/speech/phones.py checks symbols, order and number.
"""

from __future__ import annotations

from typing import Any

from visavis.engine.speech.phones import (
    ALPHABETS,
    Alphabet,
    PhonesRefused,
    TimedPhone,
    TimedViseme,
    require_few,
    time_visemes,
)
from visavis.errors import InvalidPhonemes

DEFAULT_ALPHABET: Alphabet = "ipa"
MAX_PHONEMES = 16_384  # per message: 25 a second of the longest; phones.py limits them by the length of the audio


def read_timings(phonemes: Any, alphabet: Any, *, duration_ms: float) -> tuple[TimedViseme, ...]:
    """Return the visemes of audio that lasts `duration_ms`. Raises `InvalidPhonemes`."""
    if not isinstance(phonemes, list):
        raise InvalidPhonemes("phonemes must be a list")
    if len(phonemes) > MAX_PHONEMES:
        raise InvalidPhonemes(f"there are {len(phonemes)} phonemes; at most {MAX_PHONEMES} are taken")
    alphabet = DEFAULT_ALPHABET if alphabet is None else alphabet
    if alphabet not in ALPHABETS:
        raise InvalidPhonemes(f"alphabet must be one of {', '.join(ALPHABETS)}")
    try:
        require_few(len(phonemes), duration_ms=duration_ms)  # before each is read
    except PhonesRefused as refused:
        raise InvalidPhonemes(refused.why) from None
    phones = [_read_phone(phoneme, alphabet, index) for index, phoneme in enumerate(phonemes)]
    try:
        return time_visemes(phones, alphabet, duration_ms=duration_ms)
    except PhonesRefused as refused:
        place = "" if refused.index is None else f"phonemes[{refused.index}]: "
        raise InvalidPhonemes(f"{place}{refused.why}") from None


def _read_phone(phoneme: Any, alphabet: Alphabet, index: int) -> TimedPhone:
    place = f"phonemes[{index}]"
    if not isinstance(phoneme, dict):
        raise InvalidPhonemes(f"{place} must be an object with symbol, start_ms and end_ms")
    symbol = phoneme.get("symbol")
    if alphabet == "sapi" and isinstance(symbol, int) and not isinstance(symbol, bool):
        symbol = str(symbol)
    if not isinstance(symbol, str):
        raise InvalidPhonemes(f"{place}: symbol must be a string{' or a viseme id' if alphabet == 'sapi' else ''}")
    try:
        return TimedPhone(symbol, _read_time_ms(phoneme.get("start_ms")), _read_time_ms(phoneme.get("end_ms")))
    except ValueError:
        raise InvalidPhonemes(f"{place}: start_ms and end_ms must be numbers") from None


def _read_time_ms(value: Any) -> float:
    """Raises ValueError for anything but a number, and for an integer that is too large for a float."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError
    try:
        return float(value)
    except OverflowError:  # an integer of hundreds of digits
        raise ValueError from None
