"""JSON text of strangers, read within bounds that are checked before anything is parsed.

Python's parser is one call that nothing interrupts, in a thread neither: 15 MB of `[],[],…` hold a whole process for
seconds and take 600 MB. So commas, brackets and backslashes are counted first, which takes milliseconds. Those within
strings count too; base64 has none.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

MAX_DEPTH = 64
MAX_DIGITS = 1000  # of an integer; the time that Python takes grows with their square


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonBounds:
    """How much JSON one text may hold. `containers`: objects and lists. `commas`: nearly the number of members.
    `escapes`: backslashes. Some clients write each `/` of base64 as `\\/`: 220,000 times in an image of 10 MB.
    """

    containers: int
    commas: int
    escapes: int = 400_000


BODY_BOUNDS = JsonBounds(containers=16_384, commas=16_384)  # 16 KiB of metadata hold at most 8,192 of either
FORM_FIELD_BOUNDS = JsonBounds(containers=16, commas=64)
MESSAGE_BOUNDS = JsonBounds(containers=16_384 + 64, commas=3 * 16_384 + 256)  # timings.MAX_PHONEMES with three members


class JsonRefused(ValueError):
    """Text that is not JSON, or holds more than it may. The message says which, as a predicate: "is not valid JSON"."""


def read_json(text: str, bounds: JsonBounds) -> Any:
    """Return the value of RFC 8259 JSON, with or without a byte order mark. Raises `JsonRefused`."""
    if text.count("[") + text.count("{") > bounds.containers or text.count(",") > bounds.commas:
        raise JsonRefused("holds too many values")
    if text.count("\\") > bounds.escapes:
        raise JsonRefused("holds too many escapes")
    try:
        # json.loads skips white space around the value by a regular expression, which is slow for megabytes of it.
        text = text.removeprefix("\ufeff").strip(" \t\r\n")
        value = json.loads(text, parse_constant=_refuse_constant, parse_int=_bounded_int)
    except (ValueError, RecursionError):
        raise JsonRefused("is not valid JSON") from None
    if sum(1 for _ in _levels(value)) > MAX_DEPTH:
        raise JsonRefused("is nested too deeply")
    return value


def require_showable(value: Any) -> None:
    """Raises `JsonRefused` for what cannot be written as JSON again: lone surrogates and numbers beyond a float."""
    for level in _levels(value):
        for item in level:
            if (isinstance(item, str) and not _is_unicode(item)) or (isinstance(item, float) and math.isinf(item)):
                raise JsonRefused("is not valid JSON")


def text_chars(value: Any) -> int:
    """Return how many characters all strings in a value have, keys included."""
    return sum(len(item) for level in _levels(value) for item in level if isinstance(item, str))


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")  # json.loads accepts NaN and Infinity, RFC 8259 does not


def _bounded_int(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError("too many digits")
    return int(digits)


def _levels(value: Any) -> Iterator[list[Any]]:
    """Yield the value alone, then all that is directly in it, and so on; the keys of an object are in it."""
    level = [value]
    while level:
        yield level
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict | list):
                inner += item
            if isinstance(item, dict):
                inner += item.values()
        level = inner


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
