"""How long a session's first words wait for a user. Positions are samples at 48 kHz."""

from __future__ import annotations

from visavis.stage.first_words import SETTLE_SAMPLES, FirstWords
from visavis.stage.timeline import PLAYOUT_RATE_HZ as S


def test_first_words_wait_for_a_user_and_then_until_it_hears() -> None:
    words = FirstWords(5.0)
    assert words.came(2 * S) == 5 * S and words.are_waiting
    assert words.came(3 * S) is None, "the time counts from the first of them"
    assert words.user_came(4 * S) == SETTLE_SAMPLES and not words.are_waiting
    assert words.user_came(5 * S) is None and words.came(6 * S) is None


def test_they_never_wait_longer_than_was_asked_for() -> None:
    words = FirstWords(5.0)
    words.came(0)
    assert words.user_came(5 * S - 100) == 100
    late = FirstWords(5.0)
    late.came(0)
    assert late.user_came(9 * S) == 0
    short = FirstWords(0.1)
    short.user_came(0)
    assert short.came(0) == S // 10


def test_a_user_who_has_just_come_hears_them_whole_and_one_who_was_there_at_once() -> None:
    just = FirstWords(5.0)
    assert just.user_came(0) is None
    assert just.came(SETTLE_SAMPLES // 4) == SETTLE_SAMPLES * 3 // 4
    long_there = FirstWords(5.0)
    long_there.user_came(0)
    assert long_there.came(2 * SETTLE_SAMPLES) == 0 and not long_there.are_waiting


def test_nothing_waits_unless_it_was_asked_for() -> None:
    words = FirstWords(None)
    assert words.came(0) is None and not words.are_waiting and words.user_came(10) is None
    words.hold(5.0)
    assert words.came(20) is None, "these are not the first"


def test_it_may_be_asked_for_until_they_come() -> None:
    words = FirstWords(None)
    words.hold(5.0)
    assert words.came(0) == 5 * S and words.user_came(10) == SETTLE_SAMPLES
