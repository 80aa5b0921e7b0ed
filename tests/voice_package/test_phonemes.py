"""English text to phones: what is known is said as the dictionary has it, and nothing is silent."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from visavis_voice.letters import VOWELS, guess
from visavis_voice.phonemes import phonemes_of

pytestmark = pytest.mark.skipif(find_spec("misaki") is None, reason="misaki has no release for this Python")

PHONES = set("AIOWYbdfhijklmnpstuvwzæðŋɑɔəɛɜɡɪɹɾʃʊʌʒʤʧˈˌθᵊᵻʔɐ ;:,.!?—…")


@pytest.mark.parametrize(
    ("text", "phones"),
    [
        ("Hello there.", "həlˈO ðɛɹ."),
        ("The cat and the apple", "ðə kˈæt ænd ði ˈæpᵊl"),
        ("to eat, to go", "tʊ ˈit, tə ɡˌO"),
    ],
)
def test_known_words(text: str, phones: str) -> None:
    assert phonemes_of(text) == phones


def test_endings_are_those_of_the_stem() -> None:
    for word, stem in (("zigzagged", "zigzag"), ("boats", "boat"), ("berries", "berry"), ("hoping", "hope")):
        assert phonemes_of(word)[:3] == phonemes_of(stem)[:3]


def test_acronyms_are_spelled_and_names_are_guessed() -> None:
    assert phonemes_of("BMW").count("ˈ") == 1 and len(phonemes_of("BMW")) > 6
    assert any(phone in VOWELS for phone in phonemes_of("Visavis Xquorbl"))


def test_punctuation_and_numbers_stay() -> None:
    assert phonemes_of("Yes, 2 of them… Why?").count(",") == 1
    assert phonemes_of("Yes, 2 of them… Why?").endswith("?") and "tˈu" in phonemes_of("2")


@given(st.text(max_size=60))
def test_any_text_becomes_phones_that_the_model_knows(text: str) -> None:
    assert set(phonemes_of(text)) <= PHONES


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyz'", min_size=1, max_size=20))
@example("qu")
@example("qubit")
def test_a_guess_has_phones_for_every_word(word: str) -> None:
    assert set(guess(word)) <= PHONES
    if set(word) & set("aeiou"):
        assert any(phone in VOWELS for phone in guess(word))
