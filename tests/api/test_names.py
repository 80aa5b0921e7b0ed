"""Names of avatars in any script."""

from __future__ import annotations

import pytest

from visavis.api.names import read_name
from visavis.errors import InvalidRequest


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("می‌خواهم", "می‌خواهم"),  # ZWNJ
        ("👩‍🚀", "👩‍🚀"),  # ZWJ
        ("Anne\u00a0Marie", "Anne\u00a0Marie"),
        ("山田\u3000太郎", "山田\u3000太郎"),
        ("שרה\u200f!", "שרה\u200f!"),
        ("\ufeff Ann\u3000", "Ann"),
        ("x" * 100, "x" * 100),
    ],
)
def test_names_of_all_scripts_are_taken(given: str, name: str) -> None:
    assert read_name(given) == name


@pytest.mark.parametrize("given", ["", "  ", "\u200f", "\u200c\u200d", "\u00a0", "x" * 101, 5, None, "a\ud800"])
def test_what_shows_nothing_is_refused(given: object) -> None:
    with pytest.raises(InvalidRequest):
        read_name(given)


@pytest.mark.parametrize("char", ["\0", "\n", "\u202e", "\u2066", "\u007f"])
def test_a_refused_character_is_named(char: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_name(f"a{char}b")
    assert refused.value.suggestion == f"Leave out U+{ord(char):04X}"
