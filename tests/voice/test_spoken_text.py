"""What is spoken of text that a model has written for the eye."""

from __future__ import annotations

import pytest

from visavis.voice.spoken_text import spoken_text


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("**Hello** _there_, *you* ~~not~~ `code` ***all***.", "Hello there, you not code all."),
        ("## A heading ##", "A heading"),
        ("- an item", "an item"),
        ("* [x] done", "done"),
        ("1. first", "1. first"),
        ("> quoted", "quoted"),
        ("See [the page](https://example.com/a_b 'x') and ![a cat](cat.png).", "See the page and a cat."),
        ('See [the page](https://example.com/a_b "title").', "See the page."),
        ("<https://example.com>", "https://example.com"),
        ("<p>Bold <b>move</b><br/></p><!-- no -->", "Bold move"),
        ("5 < 6 and a<b", "5 < 6 and a<b"),
        ("3 * 4 = 12 and 3*4", "3 * 4 = 12 and 3*4"),
        ("snake_case stays", "snake_case stays"),
        ("| a | b |", "a b"),
        ("|---|:-:|", ""),
        ("---", ""),
        ("Nice 👍🏽 day 🇩🇪 👨‍👩‍👧 ❤️ ☀️ → go!", "Nice day go!"),
        ("😀", ""),
        ("1️⃣ one", "one"),
        ("Tom &amp; Jerry\u200b\ufeff", "Tom & Jerry"),
        ("© 2024 Acme™ costs €5, naïve café", "© 2024 Acme™ costs €5, naïve café"),
        ("…", ""),
        ("", ""),
    ],
)
def test_markdown_tags_and_emoji_are_not_spoken(written: str, spoken: str) -> None:
    assert spoken_text(written) == spoken


def test_the_operators_pronunciations_replace_whole_words() -> None:
    pronunciations = {"SQL": "sequel", "nginx": "engine x", "New York": "Noo York", "C++": "see plus plus"}
    assert spoken_text("SQL, NoSQL, sql, Nginx in New York and C++.", pronunciations) == (
        "sequel, NoSQL, sql, engine x in Noo York and see plus plus."
    )


@pytest.mark.parametrize("length", [2_000])
@pytest.mark.parametrize("letter", ["*", "_", "<", "[", "|", "-", "#", " ", "`", "!", "\n", "- ", "|-", "[(", "_a"])
def test_odd_text_takes_no_long_time(letter: str, length: int) -> None:
    """The test's timeout is the assertion: no rule tries every place with every other one."""
    spoken_text(letter * length)
