"""The texts of the corpus: sentences made of the parts in sentences.txt, and nonsense words that combine every
consonant with every vowel.
"""

from __future__ import annotations

import random
from pathlib import Path


def _parts() -> dict[str, list[str]]:
    """Return the parts of sentences by the heading above them."""
    parts: dict[str, list[str]] = {}
    for line in (Path(__file__).parent / "sentences.txt").read_text().splitlines():
        if line.startswith("["):
            kind = parts.setdefault(line.strip("[]"), [])
        elif line.strip():
            kind.append(line.strip())
    return parts


_PARTS = _parts()
_ONSETS = [
    "p",
    "b",
    "m",
    "f",
    "v",
    "t",
    "d",
    "n",
    "l",
    "k",
    "g",
    "s",
    "r",
    "h",
    "w",
    "y",
    "sh",
    "ch",
    "j",
    "th",
    "z",
    "br",
    "pl",
    "sm",
    "st",
    "tr",
    "kl",
    "fr",
    "gr",
    "bl",
    "sp",
]
_SIMPLE_ONSETS = ["p", "b", "m", "f", "v", "t", "d", "n", "l", "k", "g", "s", "r", "h", "p", "b", "m", "f", "v"]
_NUCLEI = ["a", "e", "i", "o", "u", "ee", "oo", "ai", "ow", "oi"]
_SIMPLE_NUCLEI = ["a", "e", "i", "o", "u", "a", "e", "o"]
_CODAS = ["", "", "", "m", "n", "p", "b", "t", "k", "s", "f", "v", "l", "r", "mp", "mb", "nt", "nd", "ng", "sh"]


def _sentence(rng: random.Random) -> str:
    parts = [rng.choice(_PARTS["subjects"]), rng.choice(_PARTS["verbs"]), rng.choice(_PARTS["objects"])]
    if rng.random() < 0.6:
        parts.append(rng.choice(_PARTS["places"]))
    if rng.random() < 0.25:
        parts.insert(0, rng.choice(_PARTS["places"]) + ",")
    text = " ".join(parts)
    return text[0].upper() + text[1:] + rng.choice([".", ".", ".", "?", "!"])


def _word_list(rng: random.Random, words: list[str]) -> str:
    chosen = [rng.choice(words) for _ in range(rng.randint(5, 9))]
    if rng.random() < 0.5:
        chosen[len(chosen) // 2] += ","
    return " ".join(chosen) + "."


def nonsense(rng: random.Random, *, simple: bool = True) -> str:
    """Return a sentence of made-up words. `simple`: with syllables that can be read in most languages."""
    words = []
    for _ in range(rng.randint(4, 8)):
        syllables = rng.randint(1 if not simple else 2, 3)
        if simple:
            word = "".join(
                rng.choice(_SIMPLE_ONSETS) + rng.choice(_SIMPLE_NUCLEI) for _ in range(syllables)
            ) + rng.choice(["", "", "n", "s", "l", "r"])
        else:
            word = "".join(
                rng.choice(_ONSETS) + rng.choice(_NUCLEI) + rng.choice(_CODAS) for _ in range(min(2, syllables))
            )
        words.append(word)
    if rng.random() < 0.4:
        words[len(words) // 2] += ","
    return " ".join(words).capitalize() + "."


def english(rng: random.Random, words: list[str]) -> str:
    """Return an English text. `words`: the words of a dictionary; may be empty."""
    kind = rng.random()
    if kind < 0.15:
        return rng.choice(_PARTS["phrases"])
    if kind < 0.55 or (kind < 0.85 and not words):
        return _sentence(rng)
    if kind < 0.85:
        return _word_list(rng, words)
    return nonsense(rng, simple=False)
