"""Numbers in English words."""

from __future__ import annotations

import pytest
from visavis_voice.numbers import cardinal, ordinal, with_words, year


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0, "zero"),
        (13, "thirteen"),
        (21, "twenty one"),
        (100, "one hundred"),
        (342, "three hundred forty two"),
        (1005, "one thousand five"),
        (1_200_034, "one million two hundred thousand thirty four"),
        (10**15, "one" + " zero" * 15),
    ],
)
def test_cardinals(value: int, words: str) -> None:
    assert cardinal(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(1, "first"), (2, "second"), (12, "twelfth"), (20, "twentieth"), (21, "twenty first"), (100, "one hundredth")],
)
def test_ordinals(value: int, words: str) -> None:
    assert ordinal(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(1999, "nineteen ninety nine"), (1900, "nineteen hundred"), (2000, "two thousand"), (2007, "two thousand seven"),
     (2024, "twenty twenty four"), (1805, "eighteen oh five")],
)  # fmt: skip
def test_years(value: int, words: str) -> None:
    assert year(value) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It costs $3.50.", "It costs three dollars and fifty cents."),
        ("$1 and £0.01", "one dollar and one penny"),
        ("€2.5 million", "two point five million euros"),
        ("1,234.5 km", "one thousand two hundred thirty four point five km"),
        ("at 7:05 or 15:00", "at seven oh five or fifteen hundred"),
        ("the 3rd of 21", "the third of twenty one"),
        ("in 2024, or 2024.5", "in twenty twenty four, or two thousand twenty four point five"),
        ("-5% of 007", "minus five percent of zero zero seven"),
        ("version 2.10.3", "version two point one zero point three"),
        ("no number", "no number"),
    ],
)
def test_numbers_in_text(text: str, words: str) -> None:
    assert with_words(text) == words
