"""Reads phones with their times from a file, as aligners write them.

Each line contains the start and the end in seconds and the phone, separated by tabs; further columns are ignored.
"""

from __future__ import annotations

from pathlib import Path

from visavis.engine.errors import PhonesUnreadable
from visavis.engine.speech.phones import Alphabet, PhonesRefused, TimedPhone, TimedViseme, time_visemes


def read_phone_file(path: Path, alphabet: Alphabet, *, duration_ms: float) -> tuple[TimedViseme, ...]:
    """Return the visemes of a recording of `duration_ms`. Empty lines and lines that begin with # are ignored.

    Raises PhonesUnreadable, which names the line.
    """
    phones, numbers = [], []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PhonesUnreadable(f"{path.name} cannot be read as text: {error}") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            start_s, end_s, symbol = line.split("\t")[:3]
            phones.append(TimedPhone(symbol.strip(), float(start_s) * 1000, float(end_s) * 1000))
        except ValueError:
            raise _refused(path, number, "it must be start_s <tab> end_s <tab> phone") from None
        numbers.append(number)
    try:
        return time_visemes(phones, alphabet, duration_ms=duration_ms)
    except PhonesRefused as refused:
        if refused.index is None:
            raise PhonesUnreadable(f"{path.name}: {refused}") from None
        raise _refused(path, numbers[refused.index], refused.why) from None


def _refused(path: Path, number: int, why: str) -> PhonesUnreadable:
    return PhonesUnreadable(f"{path.name}, line {number}: {why}")
