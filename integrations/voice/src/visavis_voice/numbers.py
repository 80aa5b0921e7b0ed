"""Writes numbers as English words: cardinals, ordinals, years, decimals, amounts of money and times of day. Pure."""

from __future__ import annotations

import re

_ONE_BY_ONE = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen
"""
_ONES = _ONE_BY_ONE.split()
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"))
_ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth"}
_ORDINALS["twelve"] = "twelfth"
_MONEY = {"$": ("dollar", "cent"), "£": ("pound", "penny"), "€": ("euro", "cent")}
_PLURALS = {"penny": "pence"}

_AMOUNT = re.compile(r"([$£€])\s?(\d[\d,]*)(?:\.(\d\d?))?(?![\d.]\d)( (?:million|billion|trillion))?")
_TIME = re.compile(r"\b(\d{1,2}):([0-5]\d)\b")
_ORDINAL = re.compile(r"\b(\d[\d,]*)(?:st|nd|rd|th)\b", re.IGNORECASE)
_YEAR = re.compile(r"(?<![\d.,])(1[1-9]\d\d|20\d\d)(?![\d.,]?\d)")
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)*")
_SIGNS = {"%": " percent", "&": " and ", "+": " plus ", "=": " equals ", "@": " at ", "°": " degrees"}


def cardinal(value: int) -> str:
    """Return a number of at most 15 digits in words; a longer one digit by digit."""
    if value >= 10**15:
        return " ".join(_ONES[int(digit)] for digit in str(value))
    if value < 20:
        return _ONES[value]
    if value < 100:
        rest = value % 10
        return _TENS[value // 10] + (f" {_ONES[rest]}" if rest else "")
    if value < 1000:
        rest = value % 100
        return f"{_ONES[value // 100]} hundred" + (f" {cardinal(rest)}" if rest else "")
    size, name = next(one for one in _SCALES if value >= one[0])
    rest = value % size
    return f"{cardinal(value // size)} {name}" + (f" {cardinal(rest)}" if rest else "")


def ordinal(value: int) -> str:
    begin, _, last = cardinal(value).rpartition(" ")
    regular = f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"
    return f"{begin} {_ORDINALS.get(last, regular)}".strip()


def year(value: int) -> str:
    century, rest = divmod(value, 100)
    if 2000 <= value < 2010 or not value % 1000:
        return cardinal(value)
    if not rest:
        return f"{cardinal(century)} hundred"
    return f"{cardinal(century)} {'oh ' if rest < 10 else ''}{cardinal(rest)}"


def with_words(text: str) -> str:
    """Return the text with its numbers and signs in words."""
    text = _AMOUNT.sub(_amount, text)
    text = _TIME.sub(lambda found: _time(int(found[1]), int(found[2])), text)
    text = _ORDINAL.sub(lambda found: ordinal(_whole(found[1])), text)
    text = _YEAR.sub(lambda found: year(int(found[1])), text)
    text = re.sub(r"(?<!\w)[-−](?=\d)", "minus ", text)
    text = _NUMBER.sub(_number, text)
    for sign, words in _SIGNS.items():
        text = text.replace(sign, words)
    return text


def _amount(found: re.Match[str]) -> str:
    one, part = _MONEY[found[1]]
    whole, cents = _whole(found[2]), int((found[3] or "0").ljust(2, "0"))
    if found[4]:
        decimals = f" point {' '.join(_ONES[int(digit)] for digit in found[3])}" if found[3] else ""
        return f"{cardinal(whole)}{decimals}{found[4]} {one}s"
    words = [f"{cardinal(whole)} {one if whole == 1 else one + 's'}"] if whole or not cents else []
    if cents:
        words.append(f"{cardinal(cents)} {part if cents == 1 else _PLURALS.get(part, part + 's')}")
    return " and ".join(words)


def _time(hours: int, minutes: int) -> str:
    if not minutes:
        return f"{cardinal(hours)} o'clock" if 1 <= hours <= 12 else f"{cardinal(hours)} hundred"
    return f"{cardinal(hours)} {'oh ' if minutes < 10 else ''}{cardinal(minutes)}"


def _whole(digits: str) -> int:
    return int(digits.replace(",", ""))


def _number(found: re.Match[str]) -> str:
    text = found[0].rstrip(",")
    after = found[0][len(text) :]
    whole, *parts = text.split(".")
    if (len(whole) > 1 and whole[0] == "0") or len(whole.replace(",", "")) > 15:
        words = " ".join(_ONES[int(digit)] for digit in whole if digit.isdigit())
    else:
        words = cardinal(_whole(whole))
    for part in parts:
        words += " point " + " ".join(_ONES[int(digit)] for digit in part)
    return words + after
