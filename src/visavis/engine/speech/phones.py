"""Phone symbols: the viseme of each symbol of an alphabet, and the checks of timings that come with speech.

This module does not import NumPy, so the service can check a client's timings. visemes.py has the shape of the mouth
for each viseme; timed.py turns phones with times into motion.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

CLASSES: tuple[str, ...] = (
    "SIL", "PP", "FF", "TH", "DD", "NN", "LL", "KK", "HH", "CH", "SS", "RR",
    "AA", "AE", "EH", "AH", "IH", "IY", "OH", "UW", "WW",
)  # fmt: skip
CLASS_INDEX: dict[str, int] = {name: i for i, name in enumerate(CLASSES)}
SILENCE, BILABIAL, LABIODENTAL = CLASS_INDEX["SIL"], CLASS_INDEX["PP"], CLASS_INDEX["FF"]
VOWEL_CLASSES: tuple[str, ...] = ("AA", "AE", "EH", "AH", "IH", "IY", "OH", "UW")

# The usual fifteen visemes, for comparisons with other systems.
FIFTEEN: dict[str, str] = {
    "SIL": "sil", "PP": "PP", "FF": "FF", "TH": "TH", "DD": "DD", "NN": "nn", "LL": "nn", "KK": "kk", "HH": "kk",
    "CH": "CH", "SS": "SS",
    "RR": "RR", "AA": "aa", "AE": "aa", "AH": "aa", "EH": "E", "IH": "ih", "IY": "ih", "OH": "oh", "UW": "ou",
    "WW": "ou",
}  # fmt: skip

# ARPAbet. A diphthong has two halves; the first takes 55 % of the time.
ARPABET: dict[str, tuple[str, ...]] = {
    "SIL": ("SIL",), "SP": ("SIL",), "+SPN+": ("SIL",), "+NSN+": ("SIL",), "PAU": ("SIL",), "H#": ("SIL",),
    "BRTH": ("SIL",), "OOV": ("SIL",),
    "P": ("PP",), "B": ("PP",), "M": ("PP",), "EM": ("PP",), "F": ("FF",), "V": ("FF",), "TH": ("TH",), "DH": ("TH",),
    "T": ("DD",), "D": ("DD",), "DX": ("DD",), "N": ("NN",), "EN": ("NN",), "L": ("LL",), "EL": ("LL",),
    "K": ("KK",), "G": ("KK",), "NG": ("KK",), "HH": ("HH",), "HV": ("HH",),
    "CH": ("CH",), "JH": ("CH",), "SH": ("CH",), "ZH": ("CH",), "S": ("SS",), "Z": ("SS",), "R": ("RR",),
    "ER": ("RR",), "AXR": ("RR",),
    "AA": ("AA",), "AE": ("AE",), "AH": ("AH",), "AX": ("AH",), "AO": ("OH",), "EH": ("EH",), "IH": ("IH",),
    "IX": ("IH",), "IY": ("IY",),
    "Y": ("IY",), "UH": ("UW",), "UW": ("UW",), "W": ("WW",), "AY": ("AA", "IH"), "AW": ("AA", "UW"),
    "EY": ("EH", "IY"), "OW": ("OH", "UW"),
    "OY": ("OH", "IH"),
    "UX": ("UW",), "NX": ("NN",), "ENG": ("KK",), "Q": ("KK",), "EPI": ("SIL",), "PCL": ("PP",), "BCL": ("PP",),
    "TCL": ("DD",),
    "DCL": ("DD",), "KCL": ("KK",), "GCL": ("KK",),  # of TIMIT
}  # fmt: skip

# IPA, one letter at a time; marks for length, stress, tone and secondary articulation are removed before.
IPA: dict[str, str] = {
    **dict.fromkeys("pbmɓʙɸβ", "PP"), **dict.fromkeys("fvʋɱⱱ", "FF"), **dict.fromkeys("θð", "TH"),
    **dict.fromkeys("tdɾʈɖɗ", "DD"),
    **dict.fromkeys("nɲɳ", "NN"), **dict.fromkeys("lɫɭʎɬɮʟ", "LL"), **dict.fromkeys("kgɡŋxɣqɢχɠcɟɴʔɰ", "KK"),
    **dict.fromkeys("hɦħʕʀʁ", "HH"),
    **dict.fromkeys("ʃʒɕʑʂʐçʝʧʤʨʥ", "CH"), **dict.fromkeys("szʦʣ", "SS"), **dict.fromkeys("ɹɻrɚɝɽ", "RR"),
    **dict.fromkeys("aɑɒɐ", "AA"),
    **dict.fromkeys("æ", "AE"), **dict.fromkeys("eɛɘ", "EH"), **dict.fromkeys("əʌɜɤɞɵɨᵻɯ", "AH"),
    **dict.fromkeys("ɪ", "IH"),
    **dict.fromkeys("ij", "IY"), **dict.fromkeys("oɔøœɶ", "OH"), **dict.fromkeys("uʊyʏʉ", "UW"),
    **dict.fromkeys("wɥʍ", "WW"),
    "ε": "EH", "Φ": "PP", "?": "KK", "S": "CH", "Z": "CH", "N": "KK", "X": "KK",  # left over by espeak-ng
}  # fmt: skip


def visemes_of_ipa(symbol: str) -> tuple[str, ...]:
    """Return the visemes of one IPA phone: two for a diphthong, none for a symbol that stands for no sound."""
    classes = [IPA[letter] for letter in symbol if letter in IPA]
    if classes[:1] == ["DD"] and len(classes) > 1:  # an affricate looks like its fricative
        classes = classes[1:]
    return tuple(name for i, name in enumerate(classes) if i == 0 or name != classes[i - 1])


# The 22 visemes of SAPI 5, which Azure's speech service reports as well (Microsoft, "Map phonemes to visemes").
SAPI: tuple[tuple[str, ...], ...] = (
    ("SIL",), ("AH",), ("AA",), ("OH",), ("EH",), ("RR",), ("IY",), ("UW",), ("OH", "UW"), ("AA", "UW"),
    ("OH", "IH"), ("AA", "IH"),
    ("HH",), ("RR",), ("LL",), ("SS",), ("CH",), ("TH",), ("FF",), ("DD",), ("KK",), ("PP",),
)  # fmt: skip

Alphabet = Literal["ipa", "arpabet", "sapi"]
ALPHABETS: tuple[Alphabet, ...] = ("ipa", "arpabet", "sapi")
# Pauses as aligners and synthesisers write them, in both alphabets.
PAUSES = frozenset({"sil", "sp", "spn", "pau", "_", "|", "‖", "#"})
MAX_SYMBOL_CHARS = 16
_MAX_LETTERS = 4  # a triphthong, and one more, which espeak-ng writes for some languages; more letters would be a word
# The Unicode categories of diacritics, ties, length marks and tone marks, which are removed.
_MARKS = frozenset({"Mn", "Lm", "Sk"})
_PLACE_IN_WORD = re.compile("_[BIES]$")  # begin, inside, end, single: Kaldi's suffixes, which Gentle shows too
_TYPED_MARKS = "',:0123456789.-#\"["  # stress, length, tones and espeak-ng's own marks, as typed in ASCII
_LANGUAGE_SWITCH = re.compile(r"\([a-z]{2,4}(-[a-z]+)*\)")  # espeak-ng writes `(en)` before foreign words

OVERLAP_MS = 5.0  # two phones may overlap by this much, which rounding causes; it is cut off
BEYOND_END_MS = 20.0  # a phone may end this much after the audio, two frames of an aligner; it is cut off
GAP_MS = 60.0  # a shorter gap is not silence: its two neighbours share it
PHONES_PER_S = 100  # at most one phone per step of motion ...
PHONES_AT_LEAST = 20  # ... and at least this many for the shortest piece of speech
_FIRST_HALF = 0.55  # share of a diphthong's time


class PhonesRefused(ValueError):
    """Invalid timings. `why`: the reason. `index`: the index of the phone, None if the reason concerns all phones."""

    def __init__(self, why: str, *, index: int | None = None) -> None:
        super().__init__(why if index is None else f"phone {index}: {why}")
        self.why, self.index = why, index


@dataclass(frozen=True, slots=True)
class TimedPhone:
    """A phone, written in its alphabet, with its times in ms from the start of its piece of speech."""

    symbol: str
    start_ms: float
    end_ms: float


@dataclass(frozen=True, slots=True)
class TimedViseme:
    """A viseme, an index into CLASSES, with its times in ms from the start of its piece of speech."""

    viseme: int
    start_ms: float
    end_ms: float


@lru_cache(maxsize=4096)
def visemes_of(symbol: str, alphabet: Alphabet) -> tuple[str, ...]:
    """Return the visemes of one phone: two for a diphthong, none if the alphabet does not have the symbol."""
    if not symbol or len(symbol) > MAX_SYMBOL_CHARS:
        return ()
    if alphabet == "sapi":
        return SAPI[int(symbol)] if symbol.isascii() and symbol.isdigit() and int(symbol) < len(SAPI) else ()
    symbol = symbol if symbol in PAUSES else _PLACE_IN_WORD.sub("", symbol)
    if symbol.lower() in PAUSES:
        return ("SIL",)
    if alphabet == "arpabet":
        return ARPABET.get(symbol.upper().rstrip("012"), ())
    letters = []
    for letter in unicodedata.normalize("NFC", symbol):
        if letter in IPA:
            letters.append(letter)
            continue
        parts = unicodedata.normalize("NFD", letter)  # a vowel and its tilde may be one character
        if parts[0] in IPA and all(unicodedata.category(mark) in _MARKS for mark in parts[1:]):
            letters.append(parts[0])
        elif unicodedata.category(letter) not in _MARKS and letter not in _TYPED_MARKS:
            return ()
    return visemes_of_ipa("".join(letters)) if len(letters) <= _MAX_LETTERS else ()


def is_mark(symbol: str, alphabet: Alphabet) -> bool:
    """Whether a symbol of IPA is a mark by itself, such as `ˈ` or `ː`, which some aligners give a time of its own."""
    return (
        alphabet == "ipa"
        and 0 < len(symbol) <= MAX_SYMBOL_CHARS
        and (
            _LANGUAGE_SWITCH.fullmatch(symbol) is not None
            or all(unicodedata.category(letter) in _MARKS or letter in _TYPED_MARKS for letter in symbol)
        )
    )


def require_few(count: int, *, duration_ms: float) -> None:
    """Raises PhonesRefused for more phones than a piece of speech of `duration_ms` may have."""
    if count > PHONES_AT_LEAST + duration_ms * PHONES_PER_S / 1000:
        raise PhonesRefused(
            f"there are {count} phonemes for {duration_ms:.0f} ms of audio; at most {PHONES_PER_S} a second are taken"
        )


def time_visemes(phones: Sequence[TimedPhone], alphabet: Alphabet, *, duration_ms: float) -> tuple[TimedViseme, ...]:
    """Return the visemes of a piece of speech of `duration_ms`, with their times.

    `phones`: in the order of their times. Small errors from rounding (OVERLAP_MS, BEYOND_END_MS) and short gaps are
    repaired. Raises PhonesRefused for all other errors; nothing is guessed.
    """
    require_few(len(phones), duration_ms=duration_ms)
    visemes: list[TimedViseme] = []
    before_ms = 0.0
    for index, phone in enumerate(phones):
        classes = visemes_of(phone.symbol, alphabet)
        marks_only = not classes and is_mark(phone.symbol, alphabet)
        if not classes and not marks_only:
            raise PhonesRefused(f"{phone.symbol[:MAX_SYMBOL_CHARS]!r} is not a symbol of {alphabet}", index=index)
        if not (math.isfinite(phone.start_ms) and math.isfinite(phone.end_ms) and 0 <= phone.start_ms <= phone.end_ms):
            raise PhonesRefused("its times must be 0 <= start_ms <= end_ms", index=index)
        if phone.end_ms > duration_ms + BEYOND_END_MS:
            raise PhonesRefused(f"it ends at {phone.end_ms:g} ms, after the audio ({duration_ms:g} ms)", index=index)
        if phone.start_ms < before_ms - OVERLAP_MS:
            raise PhonesRefused(
                f"it starts at {phone.start_ms:g} ms, before the previous one ends ({before_ms:g} ms)",
                index=index,
            )
        start_ms, end_ms = max(phone.start_ms, before_ms), min(phone.end_ms, duration_ms)
        before_ms = max(before_ms, phone.end_ms)
        if end_ms <= start_ms:
            continue
        if marks_only:
            if visemes and start_ms - visemes[-1].end_ms < GAP_MS:
                visemes[-1] = replace(visemes[-1], end_ms=end_ms)
            continue
        if visemes and 0 < start_ms - visemes[-1].end_ms < GAP_MS:
            last, start_ms = visemes[-1], (start_ms + visemes[-1].end_ms) / 2
            visemes[-1] = TimedViseme(last.viseme, last.start_ms, start_ms)
        middle_ms = start_ms + _FIRST_HALF * (end_ms - start_ms)
        ends_ms = (
            [middle_ms, end_ms]
            if len(classes) == 2
            else [start_ms + (end_ms - start_ms) * (k + 1) / len(classes) for k in range(len(classes))]
        )
        for name, until_ms in zip(classes, ends_ms, strict=True):
            visemes.append(TimedViseme(CLASS_INDEX[name], start_ms, until_ms))
            start_ms = until_ms
    return tuple(visemes)
