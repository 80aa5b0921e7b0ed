"""English text to the phones that Kokoro was trained on, by the dictionaries of misaki (Apache-2.0) and rules of ours.

No espeak-ng (GPL-3) takes part. Of misaki only its data are used: its code needs spaCy.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources

from visavis_voice.letters import VOWELS, guess, stressed
from visavis_voice.numbers import with_words

Entry = str | Mapping[str, str | None]
PUNCTUATION = ";:,.!?—…"
_TOKEN = re.compile(r"[A-Za-zÀ-ÖØ-öø-ÿ]+(?:['’][A-Za-z]+)*['’]?|[;:,.!?—…]+|[-–]")
_WEAK = {"a": "ɐ", "an": "ɐn", "am": "ɐm", "i": "ˌI"}
_ACRONYM_CHARS = 5
_FLAPPED = "AIOWYiuæɑəɛɪɹʊʌ"


@cache
def dictionary() -> Mapping[str, Entry]:
    """Every word with its phones; where they depend on the part of speech, by its tag."""
    entries: dict[str, Entry] = {}
    carried = resources.files("visavis_voice") / "weights"  # a checkout has the dictionaries of the package alone
    folder = carried if carried.is_dir() else resources.files("misaki") / "data"
    for name in ("us_silver.json", "us_gold.json"):
        entries |= json.loads((folder / name).read_text(encoding="utf-8"))
    return entries


def phonemes_of(text: str) -> str:
    """Return the phones of a sentence, with spaces between words and with its punctuation."""
    tokens = _TOKEN.findall(_plain(with_words(text)))
    spoken: list[str] = []
    for place, token in enumerate(tokens):
        if token[0] in PUNCTUATION:
            if spoken:
                spoken[-1] += token[0]
        elif token not in "-–":
            following = next((one for one in tokens[place + 1 :] if one not in "-–"), "")
            spoken.append(_phones(token, following))
    return " ".join(spoken)


def _plain(text: str) -> str:
    text = text.replace("’", "'").replace("‘", "'").replace("...", "…")
    return re.sub(r"\s[-–—]\s", " — ", text)


def _phones(token: str, following: str) -> str:
    word = token.strip("'")
    small = word.lower()
    if small in ("the", "to"):
        vowel = bool(following) and following[0] not in PUNCTUATION and _begins_with_vowel(following)
        return {"the": ("ðə", "ði"), "to": ("tə", "tʊ")}[small][vowel]
    if small in _WEAK and not (word == "A" and not following):
        return _WEAK[small]
    if word.isupper() and 1 < len(word) <= _ACRONYM_CHARS and _entry(word) is None and not _is_word(small):
        return _spelled(word)
    return _known(word) or _known(small) or guess(_ascii(small))


def _begins_with_vowel(token: str) -> bool:
    phones = _known(token.lower()) or guess(_ascii(token.lower()))
    return phones.strip("ˈˌ")[:1] in VOWELS


def _is_word(small: str) -> bool:
    """Whether an acronym is read as a word, because it has the letters of one."""
    return _known(small) is not None and len(small) > 3


def _known(word: str) -> str | None:
    """Return the phones of a word, or of its stem and ending; None if neither is in the dictionary."""
    if (phones := _entry(word)) is not None:
        return phones
    for ending, stems, add in _ENDINGS:
        if word.endswith(ending) and len(word) > len(ending) + 1:
            for stem in stems(word[: -len(ending)]):
                if (phones := _entry(stem)) is not None:
                    return add(phones)
    return None


def _entry(word: str) -> str | None:
    entry = dictionary().get(word)
    if entry is None and word[:1].isupper():
        entry = dictionary().get(word.lower())
    elif entry is None:
        entry = dictionary().get(word.capitalize())
    return entry if entry is None or isinstance(entry, str) else entry["DEFAULT"]


def _spelled(word: str) -> str:
    letters = [_entry(letter) or guess(letter) for letter in _ascii(word).upper()]
    plain = [letter.replace("ˈ", "").replace("ˌ", "") for letter in letters]
    return "".join(plain[:-1]) + stressed(plain[-1])


def _with_s(stem: str) -> str:
    if stem[-1] in "ptkfθ":
        return f"{stem}s"
    return f"{stem}ᵻz" if stem[-1] in "szʃʒʧʤ" else f"{stem}z"


def _with_ed(stem: str) -> str:
    if stem[-1] in "pkfθʃsʧ":
        return f"{stem}t"
    if stem[-1] == "d":
        return f"{stem}ᵻd"
    return f"{_flapped(stem)}ᵻd" if stem[-1] == "t" else f"{stem}d"


def _with_ing(stem: str) -> str:
    return f"{_flapped(stem)}ɪŋ"


def _with_ly(stem: str) -> str:
    return f"{stem.removesuffix('l')}li"


def _flapped(stem: str) -> str:
    """An American t between vowels."""
    return f"{stem[:-1]}ɾ" if stem[-1] == "t" and len(stem) > 1 and stem[-2] in _FLAPPED else stem


def _undoubled(stem: str) -> list[str]:
    return [stem[:-1]] if len(stem) > 2 and stem[-1] == stem[-2] else []


_ENDINGS: tuple[tuple[str, Callable[[str], list[str]], Callable[[str], str]], ...] = (
    ("'s", lambda stem: [stem], _with_s),
    ("ies", lambda stem: [f"{stem}y"], _with_s),
    ("es", lambda stem: [f"{stem}e", stem], _with_s),
    ("s", lambda stem: [stem], _with_s),
    ("ied", lambda stem: [f"{stem}y"], _with_ed),
    ("ed", lambda stem: [f"{stem}e", stem, *_undoubled(stem)], _with_ed),
    ("ing", lambda stem: [stem, f"{stem}e", *_undoubled(stem)], _with_ing),
    ("ly", lambda stem: [stem], _with_ly),
)


def _ascii(word: str) -> str:
    letters = unicodedata.normalize("NFKD", word.replace("ß", "ss").replace("æ", "ae").replace("ø", "o"))
    return "".join(letter for letter in letters if letter.isascii() and (letter.isalpha() or letter == "'")) or "'"
