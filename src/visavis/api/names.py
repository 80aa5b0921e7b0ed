"""Names that people give: any script, and the invisible characters that scripts are written with."""

from __future__ import annotations

import unicodedata

from visavis.errors import InvalidRequest

MAX_NAME_CHARS = 100
# Persian and Indic scripts and emoji need the joiners, texts in two directions the marks.
_JOINERS_AND_MARKS = frozenset("\u200c\u200d\u200e\u200f\u061c")


def read_name(given: object) -> str:
    """Return the name without white space around it.

    Raises `InvalidRequest` for what is no text of 1 to 100 characters, shows nothing, or has a control character; it
    names that character.
    """
    name = given.removeprefix("\ufeff").strip() if isinstance(given, str) else ""
    refused = [char for char in name[: MAX_NAME_CHARS + 1] if not _is_allowed(char)]
    visible = any(char.isprintable() and not char.isspace() for char in name[:MAX_NAME_CHARS])
    if refused or not visible or len(name) > MAX_NAME_CHARS:
        raise InvalidRequest(
            "name must be 1 to 100 printable characters",
            suggestion=f"Leave out U+{ord(refused[0]):04X}" if refused else None,
        )
    return name


def _is_allowed(char: str) -> bool:
    return char.isprintable() or unicodedata.category(char) == "Zs" or char in _JOINERS_AND_MARKS
