"""How text that comes in pieces is cut into sentences: a wrong cut is heard, a missing one only costs time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visavis.voice.sentences import MAX_SENTENCE_CHARS, Pause, Sentence, Sentences, check_breaks, read_break


def cut(text: str, language: str | None = None, *, piece: int = 0) -> list[str | float]:
    """Return sentences and pauses (in seconds) of a text that comes in pieces of so many characters; 0: at once."""
    sentences = Sentences(language)
    found: list[Sentence | Pause | None] = []
    size = piece or len(text) or 1
    for begin in range(0, len(text), size):
        sentences.add(text[begin : begin + size])
        while (taken := sentences.take(complete=False)) is not None:
            found.append(taken)
    while (taken := sentences.take(complete=True)) is not None:
        found.append(taken)
    return [one.text if isinstance(one, Sentence) else one.seconds for one in found if one is not None]


WHOLE = [  # no sentence of these may be cut
    ("en", "Dr. Smith paid $3.50 to Mr. J. R. Brown Jr. at 5 p.m. on Jan. 3."),
    ("en", "The U.S. economy grew by 2.5 percent, e.g. in Oct. and Nov. 2024."),
    ("en", "Write to 221B Baker St. London, or call tel. 555 1234, ext. 12."),
    ("en", "Version 2.10.3 is at www.example.com/a.b?c=1 and at 10.0.0.1 for now."),
    ("en", "She said no. 5 was hers, vs. nos. 6 and 7, approx. at 3 a.m. today."),
    ("en", "Send it to first.last@example.co.uk, St. Mary's Ave. Apt. 4, Suite No. 12."),
    ("de", "Am 3. Oktober zahlte Dr. Müller z. B. 1.234,50 Euro, d. h. ca. 5 Prozent mehr."),
    ("de", "Die Anschrift ist Hauptstr. 12, 10115 Berlin, Tel. 030 1234, bzw. Postf. 7."),
    ("de", "Das gilt u.a. für Nr. 5 und den 21. Band, vgl. S. 12 ff. im 2. Kapitel."),
    ("de", "Prof. Dr. h.c. Weiß kommt um 15.30 Uhr mit Frau Dr. Schmidt."),
    ("fr", "M. Dupont et Mme. Durand habitent au 12 bd. Voltaire, app. 3, 75011 Paris."),
    ("fr", "Le prix est de 3,50 euros, c.-à-d. env. 4 dollars, cf. chap. 2 et fig. 3."),
    ("fr", "St. Jean et le Dr. Martin arrivent le 3 janv. 2025 à 15 h. 30 précises."),
    (None, "Dr. Müller wohnt Hauptstr. 3, Mr. Brown at 5 Main St. and M. Dupont bd. Voltaire."),
]


@pytest.mark.parametrize("piece", [0, 1, 7])
@pytest.mark.parametrize(("language", "text"), WHOLE)
def test_numbers_abbreviations_and_addresses_are_not_cut(language: str | None, text: str, piece: int) -> None:
    assert cut(text, language, piece=piece) == [text]


@pytest.mark.parametrize("piece", [0, 1, 5])
@pytest.mark.parametrize(
    ("language", "sentences"),
    [
        ("en", ["Hello there.", "How are you?", "I am fine!", "It costs $3.50 today.", "“Really?”", "Yes."]),
        ("de", ["Guten Tag.", "Wie geht es Ihnen?", "Der 3. Zug fährt um 5 Uhr.", "Gut!"]),
        ("fr", ["Bonjour !", "Comment allez-vous ?", "Très bien.", "Il est 15 h 30.", "« Merci. »", "À demain."]),
        ("ja", ["こんにちは。", "元気ですか？", "はい！"]),
        (None, ["Well… Maybe.", "Ask Dr. Brown.", "He knows."]),
    ],
)
def test_sentences_are_cut_however_they_come(language: str | None, sentences: list[str], piece: int) -> None:
    between = "" if language == "ja" else " "
    found = cut(between.join(sentences), language, piece=piece)
    if language is None:
        assert found == ["Well…", "Maybe.", "Ask Dr. Brown.", "He knows."]
    else:
        assert found == sentences


def test_the_first_sentence_is_there_when_the_second_begins() -> None:
    sentences = Sentences("en")
    sentences.add("Hello there. ")
    assert sentences.take(complete=False) is None
    sentences.add("H")
    assert sentences.take(complete=False) == Sentence("Hello there.")


def test_a_number_that_comes_in_two_pieces_is_one() -> None:
    sentences = Sentences("en")
    sentences.add("It costs 3.")
    assert sentences.take(complete=False) is None and not sentences.may_end_here()
    sentences.add("50 dollars. ")
    assert sentences.take(complete=False) is None and sentences.may_end_here()
    assert sentences.take(complete=True) == Sentence("It costs 3.50 dollars.")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello.", True),
        ("Hello", False),
        ("Ask Dr.", False),
        ("元気。", True),
        ("Really?! ", True),
        ("", False),
        ("a.", False),
    ],
)
def test_text_that_may_end_here(text: str, expected: bool) -> None:
    sentences = Sentences()
    sentences.add(text)
    assert sentences.may_end_here() is expected


def test_lists_headings_and_paragraphs_are_sentences_of_their_own() -> None:
    text = "# What to do\n\n1. Open the box\n2. Take it out\n- carefully\n\nThen close\nthe box"
    assert cut(text) == ["# What to do", "1. Open the box", "2. Take it out", "- carefully", "Then close\nthe box"]


@pytest.mark.parametrize("piece", [0, 1, 4])
def test_code_is_left_out(piece: int) -> None:
    assert cut("Look:\n```python\nprint(1.5)\n```\nThat was it.", piece=piece) == ["Look:", "That was it."]
    assert cut("Look: ```print(1)", piece=piece) == ["Look:"]


@pytest.mark.parametrize("piece", [0, 1, 6])
def test_a_break_is_a_pause(piece: int) -> None:
    text = 'One <break time="500ms"/> two.<break time=\'1.5s\' /><BREAK strength="weak"> Three.'
    assert cut(text, piece=piece) == ["One", 0.5, "two.", 1.5, 0.2, "Three."]


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        (' time="soon"', "needs a time"),
        (' time="11s"', "at most 10 s"),
        (' strength="loud"', "needs a strength"),
        (' tiem="1s"', "time and strength alone"),
        (" time=1s", "time and strength alone"),
    ],
)
def test_a_break_that_cannot_be_honoured_is_refused(attributes: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_break(attributes)
    with pytest.raises(ValueError, match=problem):
        check_breaks(f"Hello <break{attributes}/> there")


def test_a_broken_break_that_comes_in_pieces_is_left_out() -> None:
    assert cut('One <break time="soon"/> two.', piece=3) == ["One", "two."]


def test_a_long_sentence_is_cut_at_a_comma_or_a_space() -> None:
    long = "word " * 60 + "here, " + "more " * 40
    first, second = cut(long)
    assert isinstance(first, str) and first.endswith("here,") and isinstance(second, str) and second.startswith("more")
    assert all(len(str(part)) <= MAX_SENTENCE_CHARS for part in cut("x" * 3 * MAX_SENTENCE_CHARS))


@given(st.text(alphabet="ab .!?,\n`*<3D/>é。", max_size=200), st.integers(1, 9))
def test_no_letter_is_lost_and_nothing_comes_twice(text: str, piece: int) -> None:
    kept = [letter for part in cut(text.replace("`", "")) for letter in str(part) if letter.isalnum()]
    assert kept == [letter for letter in text if letter.isalnum()]
    assert all(isinstance(part, str) and part for part in cut(text, piece=piece))
