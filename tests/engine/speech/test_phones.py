"""Phones are read as their alphabets write them, and timings that cannot be followed are refused with their place and
the reason.
"""

from __future__ import annotations

from dataclasses import astuple

import pytest

from visavis.engine.speech.phones import CLASS_INDEX, PhonesRefused, TimedPhone, time_visemes, visemes_of


@pytest.mark.parametrize(
    ("symbol", "classes"),
    [
        ("p", ("PP",)),
        ("pʰ", ("PP",)),
        ("tʃ", ("CH",)),
        ("d͡ʒ", ("CH",)),
        ("ˈoʊ", ("OH", "UW")),
        ("ɜː", ("AH",)),
        ("ɑ̃", ("AA",)),
        ("ã", ("AA",)),
        ("n̩", ("NN",)),
        ("ç", ("CH",)),
        ("a˥˩", ("AA",)),
        *((affricate, ("CH",)) for affricate in "ʧʤʨʥ"),
        ("ɰ", ("KK",)),
        *(("ts.h", ("SS", "HH")), ("ˈo6", ("OH",)), ("tS", ("CH",)), ("l#", ("LL",)), ("?", ("KK",))),  # of espeak-ng
        *(("r.", ("RR",)), ("iouɜ", ("IY", "OH", "UW", "AH")), ("ˈε", ("EH",))),
        ("a_B", ("AA",)),
        ("_", ("SIL",)),
        ("sil_S", ("SIL",)),
        ("sil", ("SIL",)),
        ("‖", ("SIL",)),
    ],
)
def test_ipa_is_read_with_its_marks(symbol: str, classes: tuple[str, ...]) -> None:
    assert visemes_of(symbol, "ipa") == classes


@pytest.mark.parametrize(
    ("symbol", "classes"),
    [
        *(("AA1", ("AA",)), ("oy", ("OH", "IH")), ("NG", ("KK",)), ("SIL", ("SIL",)), ("sp", ("SIL",))),
        *(("AH0_B", ("AH",)), ("hh_I", ("HH",)), ("OW1_S", ("OH", "UW")), ("t_E", ("DD",)), ("SIL_S", ("SIL",))),
    ],
)
def test_arpabet_is_read_with_and_without_stress(symbol: str, classes: tuple[str, ...]) -> None:
    assert visemes_of(symbol, "arpabet") == classes


@pytest.mark.parametrize("mark", ["ˈ", "ˌ", "ː", "ˑ", ":", "˥", "̃", "ʲ", "(en)", "-"])
def test_a_mark_by_itself_prolongs_the_sound_before_it(mark: str) -> None:
    phones = [TimedPhone(mark, 0, 10), TimedPhone("a", 10, 100), TimedPhone(mark, 100, 150), TimedPhone("p", 150, 200)]
    visemes = time_visemes(phones, "ipa", duration_ms=200)
    assert [astuple(viseme) for viseme in visemes] == [(CLASS_INDEX["AA"], 10, 150), (CLASS_INDEX["PP"], 150, 200)]
    with pytest.raises(PhonesRefused):
        time_visemes(phones, "arpabet", duration_ms=200)


def test_every_viseme_of_sapi_has_a_mouth() -> None:
    assert all(visemes_of(str(number), "sapi") for number in range(22))
    assert visemes_of("21", "sapi") == ("PP",) and visemes_of("0", "sapi") == ("SIL",)


@pytest.mark.parametrize(
    ("symbol", "alphabet"),
    [
        *(("AA", "ipa"), ("hello", "ipa"), ("", "ipa"), ("ˈ", "ipa"), ("p" * 40, "ipa")),
        *(("tʃ", "arpabet"), ("XQ", "arpabet"), ("", "arpabet")),
        *(("22", "sapi"), ("-1", "sapi"), ("²", "sapi"), ("p", "sapi")),
    ],
)
def test_what_an_alphabet_does_not_have_has_no_mouth(symbol: str, alphabet: str) -> None:
    assert visemes_of(symbol, alphabet) == ()


def phones(*rows: tuple[str, float, float]) -> list[TimedPhone]:
    return [TimedPhone(*row) for row in rows]


def test_diphthongs_are_two_mouths_and_short_gaps_are_shared() -> None:
    shown = time_visemes(phones(("P", 0, 100), ("AY", 140, 240), ("S", 400, 500)), "arpabet", duration_ms=500)
    assert [astuple(viseme) for viseme in shown] == [
        (CLASS_INDEX["PP"], 0, 120),
        (CLASS_INDEX["AA"], 120, pytest.approx(186)),
        (CLASS_INDEX["IH"], pytest.approx(186), 240),
        (CLASS_INDEX["SS"], 400, 500),  # 160 ms before it are silence
    ]


def test_what_rounding_does_to_times_is_mended() -> None:
    visemes = time_visemes(
        phones(("P", 0, 103), ("AA", 100, 200), ("T", 200, 200), ("S", 200, 315)), "arpabet", duration_ms=300
    )
    assert [(v.start_ms, v.end_ms) for v in visemes] == [(0, 103), (103, 200), (200, 300)]


@pytest.mark.parametrize(
    ("rows", "index", "why"),
    [
        ([("P", 0, 100), ("XQ", 100, 200)], 1, "not a symbol of arpabet"),
        ([("P", 100, 200), ("AA", 0, 100)], 1, "before the previous one ends"),
        ([("P", 0, 100), ("AA", 90, 200)], 1, "before the previous one ends"),
        ([("P", 0, 100), ("AA", 100, 1100)], 1, "after the audio"),
        ([("P", 100, 50)], 0, "start_ms <= end_ms"),
        ([("P", -1, 50)], 0, "start_ms <= end_ms"),
        ([("P", float("nan"), 50)], 0, "start_ms <= end_ms"),
        ([("P", 0, float("inf"))], 0, "start_ms <= end_ms"),
        ([("P", k, k + 1) for k in range(1000)], None, "at most 100 a second"),
    ],
)
def test_timings_that_cannot_be_followed_are_refused(
    rows: list[tuple[str, float, float]], index: int | None, why: str
) -> None:
    with pytest.raises(PhonesRefused, match=why) as refused:
        time_visemes(phones(*rows), "arpabet", duration_ms=1000)
    assert refused.value.index == index
