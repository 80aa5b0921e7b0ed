"""Turns a sentence as it was written into the words to speak: no Markdown, no tag and no emoji. Pure."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping

_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.MULTILINE), by)
    for pattern, by in (
        (r"<!--.*?-->", " "),
        (r"<(https?://[^<>\s]+)>", r"\1"),
        (r"</?[A-Za-z][^<>]*>", " "),
        (r"!?\[([^\[\]]*)\]\([^()\s]*(?:\s+(?:\"[^\"]*\"|'[^']*'))?\)", r"\1"),  # images and links
        (r"^[ \t]*(?:[-*_][ \t]*){3,}$", " "),  # rules
        (r"^[ \t]*\|?(?:[ \t]*:?-+:?[ \t]*\|)+[ \t]*(?::?-+:?)?[ \t]*$", " "),  # the line below a table's head
        (r"^[ \t]{0,3}#{1,6}[ \t]+", ""),
        (r"[ \t]#{1,6}$", ""),
        (r"^[ \t]*>+[ \t]?", ""),
        (r"^[ \t]*[-*+•][ \t]+(?:\[[ xX]\][ \t]+)?", ""),
        (r"[ \t]*\|[ \t]*", " "),
        (r"`+|~~", ""),
        (r"(?<!\w)\*+(?=\S)|(?<=\S)\*+(?!\w)", ""),
        (r"(?<!\w)_+(?=\S)|(?<=\S)_+(?!\w)", ""),
    )
)
# Pictographs, their joiners and variations, flags, keycaps and tags. Letters, currency, © and ™ are none of them.
_EMOJI = re.compile(
    "(?:[0-9#*]\ufe0f?\u20e3|[\U0001f000-\U0001faff\U000e0020-\U000e007f\u2190-\u21ff\u2300-\u23ff\u2460-\u24ff"
    "\u25a0-\u27bf\u2900-\u297f\u2b00-\u2bff\u200d\ufe0e\ufe0f\u20e3\u3030\u303d])+"
)
_NOT_SPOKEN = re.compile(r"[\x00-\x1f\x7f\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff\ufffc\ufffd]")
_SPACE_BEFORE = re.compile(r"\s+([,.;:!?…)\]])")


def spoken_text(written: str, pronunciations: Mapping[str, str] | None = None) -> str:
    """Return what to speak of a sentence; empty if that is nothing. `pronunciations`: words, or several words, with
    what to say instead. One in small letters holds for any case.
    """
    text = written
    for pattern, by in _RULES:
        text = pattern.sub(by, text)
    text = html.unescape(text)
    text = _EMOJI.sub(" ", text)
    text = _NOT_SPOKEN.sub(" ", text)
    text = _SPACE_BEFORE.sub(r"\1", " ".join(text.split()))
    if not any(letter.isalnum() for letter in text):
        return ""
    return _pronounced(text, pronunciations) if pronunciations else text


def _pronounced(text: str, pronunciations: Mapping[str, str]) -> str:
    words = sorted(pronunciations, key=len, reverse=True)
    any_word = re.compile("|".join(rf"(?<!\w){re.escape(word)}(?!\w)" for word in words), re.IGNORECASE)

    def say(found: re.Match[str]) -> str:
        word = found[0]
        return pronunciations.get(word, pronunciations.get(word.lower(), word))

    return any_word.sub(say, text)
