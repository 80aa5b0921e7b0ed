"""Cuts text into sentences while it still comes, so that the first one is spoken before the last one is written. Pure.

A cut at the wrong place is heard: "3." and "50" are not 3.50. A sentence that is not cut costs only time. So text is
cut where a sentence ends for certain, which needs the beginning of the next one: not after an abbreviation, an initial
or an ordinal, and not before a small letter or a digit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from visavis.voice.abbreviations import ABBREVIATIONS, ALL_ABBREVIATIONS

MAX_SENTENCE_CHARS = 400  # a longer one is cut at a comma or a space
MAX_PAUSE_S = 10.0
FOLLOWING_CHARS = 32  # in which the next word begins
_STRENGTHS_S = {"none": 0.0, "x-weak": 0.1, "weak": 0.2, "medium": 0.5, "strong": 0.8, "x-strong": 1.2}  # of SSML

_BREAK = re.compile(r"<break\b([^<>]*)>", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""\s*(\w+)\s*=\s*("[^"]*"|'[^']*')""")
_TIME = re.compile(r"\+?(\d{1,6}(?:\.\d{1,6})?)(ms|s)")
_FENCE = "```"
_CLOSING = "\"'”’»)]*_`~"
# The end of a sentence, with what closes it. East Asian marks need no space after them; a French » has one before it.
_MARK = re.compile(r"(?P<mark>[.!?…]+)(?:[\"'”’)\]*_`~]|[ \u00a0\u202f]?»)*(?=\s)|(?P<wide>[。！？]+[」』”’）]*)")
# A blank line, or the beginning of a heading, a quotation, a row of a table, or an item of a list.
_NEW_LINE = re.compile(r"\n\s*\n|\n(?=\s*(?:#{1,6}\s|>|\||[-*+•]\s|\d{1,3}[.)]\s))")
_OPENING = re.compile(r"[\s\"'“‘„«(\[*_`~<]*")
_SHORT_PARTS = re.compile(r"(?:[^\W\d_]{1,3}\.-?)+[^\W\d_]{1,3}")  # z.B, e.g, p.m, J.-C
_SOFT_CUT = re.compile(r"[,;:–—]\s")


@dataclass(frozen=True, slots=True)
class Sentence:
    """`text` as it was written."""

    text: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Silence that the text asks for: `<break time="500ms"/>`."""

    seconds: float


def read_break(attributes: str) -> float:
    """Return the seconds of a `<break>` with these attributes. Raises ValueError, whose text continues "<break> …"."""
    text = attributes.strip().removesuffix("/")
    found = {match[1].lower(): match[2][1:-1].strip() for match in _ATTRIBUTE.finditer(text)}
    if _ATTRIBUTE.sub("", text).strip() or not found.keys() <= {"time", "strength"}:
        raise ValueError("takes time and strength alone")
    if "time" in found:
        time = _TIME.fullmatch(found["time"])
        seconds = MAX_PAUSE_S + 1 if time is None else float(time[1]) / (1000 if time[2] == "ms" else 1)
        if seconds > MAX_PAUSE_S:
            raise ValueError(f'needs a time such as "500ms" or "1.5s", at most {MAX_PAUSE_S:.0f} s')
        return seconds
    strength = found.get("strength", "medium")
    if strength not in _STRENGTHS_S:
        raise ValueError(f"needs a strength of {', '.join(_STRENGTHS_S)}")
    return _STRENGTHS_S[strength]


def check_breaks(text: str) -> None:
    """Raises ValueError for a `<break>` that cannot be honoured, see `read_break`."""
    for found in _BREAK.finditer(text):
        read_break(found[1])


class Sentences:
    """The text of one utterance that is not spoken yet. `language`: such as "de" or "en-GB"; without one, the rules of
    all known languages hold.
    """

    def __init__(self, language: str | None = None) -> None:
        primary = (language or "").lower().replace("_", "-").partition("-")[0]
        self._abbreviations = ABBREVIATIONS.get(primary, ALL_ABBREVIATIONS)
        self._has_ordinals = primary not in ("en", "fr")  # "am 3. März"
        self._text = ""

    def __len__(self) -> int:
        return len(self._text)

    @property
    def rest(self) -> str:
        """The text that was not taken yet."""
        return self._text

    def add(self, text: str) -> None:
        self._text += text

    def take(self, *, complete: bool) -> Sentence | Pause | None:
        """Remove and return the next sentence or pause; None if more text must come first. `complete`: no more text
        follows, or it is late enough to speak what is there.
        """
        while self._text:
            text, is_all = self._without_code(complete)
            pause = _BREAK.search(text)
            before = text if pause is None else text[: pause.start()]
            end = self._end_of_first(before, complete=pause is not None or (complete and is_all))
            if end:
                self._text = self._text[end:]
                if before[:end].strip():
                    return Sentence(before[:end].strip())
            elif pause is not None:
                self._text = self._text[pause.end() :]
                try:
                    return Pause(read_break(pause[1]))
                except ValueError:  # one that came in pieces: `check_breaks` has not seen it whole
                    continue
            else:
                return None
        return None

    def may_end_here(self) -> bool:
        """Whether the text ends as a sentence does, as far as one can tell without its next word."""
        text = self._text.rstrip()
        match = _MARK.search(text + " ", max(0, len(text) - 8))
        while match is not None and match.end() < len(text):
            match = _MARK.search(text + " ", match.end())
        if match is None or _FENCE in text or text[match.start() - 1 : match.start()].isdigit():
            return False
        return bool(match["wide"]) or self._ends(text[: match.start()], match["mark"], "A") is True

    def _without_code(self, complete: bool) -> tuple[str, bool]:
        """Drop blocks of code; return the text before one whose end has not come, and whether that is all."""
        while (start := self._text.find(_FENCE)) >= 0:
            end = self._text.find(_FENCE, start + 3)
            if end < 0:
                if complete:
                    self._text = self._text[:start]
                    break
                return self._text[:start], False
            self._text = f"{self._text[:start]}\n\n{self._text[end + 3 :]}"
        return self._text, True

    def _end_of_first(self, text: str, *, complete: bool) -> int:
        """Return where the first sentence ends, 0 if that is not known yet."""
        begin = len(text) - len(text.lstrip())
        line = _NEW_LINE.search(text, begin)
        limit = len(text) if line is None else line.start()
        for match in _MARK.finditer(text, begin, min(limit + 1, begin + MAX_SENTENCE_CHARS)):
            following = _OPENING.sub("", text[match.end() : match.end() + FOLLOWING_CHARS], count=1)
            if match["wide"] or self._ends(text[begin : match.start()], match["mark"], following[:1]):
                return match.end()
            if not following and not complete:
                break
        if limit - begin > MAX_SENTENCE_CHARS:
            return _soft_end(text, begin)
        if line is not None:
            return line.end()
        return len(text) if complete else 0

    def _ends(self, before: str, mark: str, following: str) -> bool:
        """Whether a mark after `before` ends a sentence, if the next word begins with `following`."""
        if not following or following.islower() or following.isdigit() or following in _CLOSING:
            return False
        if mark != ".":
            return True
        word = before.rpartition(" ")[2].rpartition("\n")[2].lstrip("\"'“‘„«([*_`~")
        if (
            not word
            or (len(word) == 1 and word.isalpha())
            or _SHORT_PARTS.fullmatch(word)
            or word.lower().strip(_CLOSING) in self._abbreviations
        ):
            return False
        if word.isdigit():
            return not self._has_ordinals and len(before.split()) > 2
        return True


def _soft_end(text: str, begin: int) -> int:
    """Return where a long sentence is cut: after its last comma or the like, else after its last space."""
    part = text[begin : begin + MAX_SENTENCE_CHARS]
    commas = [match.end() for match in _SOFT_CUT.finditer(part)]
    if commas and commas[-1] > MAX_SENTENCE_CHARS // 4:
        return begin + commas[-1]
    space = part.rfind(" ")
    return begin + (space + 1 if space > 0 else len(part))
