"""Guesses how an English word is spoken that no dictionary has: a name, a brand, a typing error. Pure.

Rules from left to right, the longest first; stress on the first vowel. It is wrong for many words and never silent.
"""

from __future__ import annotations

_RULES = {
    "tion": "ʃən",
    "sion": "ʒən",
    "ture": "ʧəɹ",
    "ough": "O",
    "eigh": "A",
    "augh": "ɔ",
    "igh": "I",
    "tch": "ʧ",
    "sch": "sk",
    "dge": "ʤ",
    "ious": "iəs",
    "ous": "əs",
    "ch": "ʧ",
    "sh": "ʃ",
    "th": "θ",
    "ph": "f",
    "wh": "w",
    "ck": "k",
    "ng": "ŋ",
    "qu": "kw",
    "kn": "n",
    "wr": "ɹ",
    "gh": "ɡ",
    "gn": "n",
    "ai": "A",
    "ay": "A",
    "au": "ɔ",
    "aw": "ɔ",
    "ea": "i",
    "ee": "i",
    "ei": "I",
    "ew": "u",
    "ey": "i",
    "ie": "i",
    "oa": "O",
    "oi": "Y",
    "oy": "Y",
    "oo": "u",
    "ou": "W",
    "ow": "O",
    "ue": "u",
    "ui": "u",
    "ar": "ɑɹ",
    "er": "əɹ",
    "ir": "ɜɹ",
    "or": "ɔɹ",
    "ur": "ɜɹ",
    "bb": "b",
    "cc": "k",
    "dd": "d",
    "ff": "f",
    "gg": "ɡ",
    "ll": "l",
    "mm": "m",
    "nn": "n",
    "pp": "p",
    "rr": "ɹ",
    "ss": "s",
    "tt": "t",
    "zz": "z",
    "a": "æ",
    "b": "b",
    "c": "k",
    "d": "d",
    "e": "ɛ",
    "f": "f",
    "g": "ɡ",
    "h": "h",
    "i": "ɪ",
    "j": "ʤ",
    "k": "k",
    "l": "l",
    "m": "m",
    "n": "n",
    "o": "ɑ",
    "p": "p",
    "q": "k",
    "r": "ɹ",
    "s": "s",
    "t": "t",
    "u": "ʌ",
    "v": "v",
    "w": "w",
    "x": "ks",
    "y": "i",
    "z": "z",
    "'": "",
}
_LONGEST = max(map(len, _RULES))
_LONG = {"æ": "A", "ɛ": "i", "ɪ": "I", "ɑ": "O", "ʌ": "u"}  # before a consonant and a silent e
_SOFT = "eiy"
VOWEL_LETTERS = tuple("aeiouy")
VOWELS = "AIOQWYaiuæɑɒɔəɛɜɪʊʌᵻɐ"


def guess(word: str) -> str:
    """Return the phones of a word of the letters a to z and apostrophes."""
    word = word.lower()
    phones: list[str] = []
    at = 0
    while at < len(word):
        letters = next(word[at : at + size] for size in range(_LONGEST, 0, -1) if word[at : at + size] in _RULES)
        phone = _RULES[letters]
        following = word[at + len(letters) : at + len(letters) + 1]
        if letters in ("c", "g") and following and following in _SOFT:
            phone = "s" if letters == "c" else "ʤ"
        elif letters == "qu" and following not in VOWEL_LETTERS:
            phone = "kju"
        elif letters == "y" and at == 0:
            phone = "j"
        elif letters == "e" and at == len(word) - 1 and any(one in VOWELS for one in "".join(phones)):
            phone = ""
            if len(phones) >= 2 and phones[-2] in _LONG and phones[-1] not in VOWELS:
                phones[-2] = _LONG[phones[-2]]
        phones.append(phone)
        at += len(letters)
    return stressed("".join(phones))


def stressed(phones: str) -> str:
    """Put the stress on the first vowel, if there is none."""
    if "ˈ" in phones or "ˌ" in phones:
        return phones
    first = next((place for place, phone in enumerate(phones) if phone in VOWELS), None)
    return phones if first is None else f"{phones[:first]}ˈ{phones[first:]}"
