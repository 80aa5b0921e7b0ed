"""Adds speech of many neural voices to the corpus: Kokoro speaks it, and it is aligned like recordings of people;
sentences that fit badly are refused.

    python -m training.neural --kokoro FOLDER --out training/work [--minutes 40] [--seed 1]

A shard is written about every five minutes, so a training may already begin. English voices read English; the others
read English and made-up words of their own language. Half of the English speech is by voices between two voices. The
voices of `HELD_OUT` are never used in training.
"""

from __future__ import annotations

import argparse
import collections
import random
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from . import texts
from .align import Aligner, fault
from .augment import degrade
from .corpus import dictionary_words, save
from .recordings import WORST_SHARE
from .voices import Spoken
from .voices.kokoro import ENGLISH, LANGUAGES, Kokoro

HELD_OUT = ("af_sarah", "am_michael", "bf_emma")
HELD_SENTENCES = 12  # of each held-out voice
SHARD_S = 300.0
OTHERS_SHARE = 0.2  # of voices of other languages
DEGRADED_SHARE = 0.15  # of sentences that are clipped or coded after they are aligned
QUIET_NAMES = ("nicole",)  # whispers


def read_prose() -> list[str]:
    """Return sentences of connected prose, 5 to 22 words, from Debian's bible-kjv; none if it is not installed."""
    try:
        whole = subprocess.run(
            ["bible", "-f", "gen1:1-rev22:21"], check=True, capture_output=True, text=True, timeout=60
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    verses = [re.sub(r"^\S+\s+", "", line) for line in whole.splitlines()]
    parts = [part.strip(" ,;:") for verse in verses for part in re.split(r"[.;:?!]", re.sub(r"[\[\]()]", "", verse))]
    return [
        part[0].upper() + part[1:] + "."
        for part in parts
        if 5 <= len(part.split()) <= 22 and re.fullmatch(r"[A-Za-z ,']+", part)
    ]


def best_fitting(said: list[tuple[str, float, Spoken]]) -> dict[str, list[Spoken]]:
    """Return the utterances by voice, without the share that fits worst; English and other voices are counted apart."""
    kept: dict[str, list[Spoken]] = {}
    for english in (True, False):
        of_kind = [one for one in said if (one[0].removeprefix("kokoro:")[0] in ENGLISH) == english]
        least = float(np.quantile([fit for _, fit, _ in of_kind], WORST_SHARE)) if of_kind else 0.0
        for label, fit, spoken in of_kind:
            if fit >= least:
                kept.setdefault(label, []).append(spoken)
    return kept


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--kokoro", type=Path, required=True)
    options.add_argument("--out", type=Path, default=Path(__file__).parent / "work")
    options.add_argument("--minutes", type=float, default=40.0)
    options.add_argument("--seed", type=int, default=1)
    a = options.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    rng, spoiling = random.Random(a.seed), np.random.default_rng(a.seed)
    kokoro, aligner, words, prose = Kokoro(a.kokoro), Aligner(), dictionary_words(), read_prose()
    english = [name for name in kokoro.voices if name[0] in ENGLISH and name not in HELD_OUT]
    others = [name for name in kokoro.voices if name[0] not in ENGLISH]
    counts: collections.Counter[str] = collections.Counter()

    def say_something(name: str, voice: np.ndarray) -> tuple[float, Spoken] | None:
        """Let a voice speak a sentence. Return its fit, and the sentence with the times of its phones; None if the
        model does not find it.
        """
        language = LANGUAGES[name[0]]
        if name[0] not in ENGLISH and rng.random() < 0.6:
            text = texts.nonsense(rng)
        else:
            language = ENGLISH.get(name[0], "en-us")
            text = rng.choice(prose) if prose and rng.random() < 0.6 else texts.english(rng, words)
        pcm = kokoro.speak(text, language, voice, speed=rng.uniform(0.85, 1.25))
        alignment = aligner.align(pcm, text, language) if pcm is not None else None
        why = "not found by the model" if pcm is None or alignment is None else fault(pcm, alignment)
        if pcm is None or alignment is None or why:
            counts[str(why)] += 1
            return None
        counts["aligned"] += 1
        return alignment.fit, Spoken(pcm=pcm, segments=alignment.segments)

    def choose() -> tuple[str, str, np.ndarray]:
        """Return a voice's name, its name in the corpus, and the voice itself, which may mix two voices."""
        if rng.random() < OTHERS_SHARE:
            name = rng.choice(others)
        else:
            name = rng.choice(english)
            if rng.random() < 0.5 and not name.endswith(QUIET_NAMES):
                other, share = rng.choice([one for one in english if one != name]), rng.uniform(0.35, 0.65)
                return name, f"kokoro:{name}+", share * kokoro.voices[name] + (1 - share) * kokoro.voices[other]
        return name, f"kokoro:{name}", kokoro.voices[name]

    held: dict[str, list[Spoken]] = {}
    for name in HELD_OUT:
        held[f"kokoro:{name}"] = [
            said[1] for _ in range(HELD_SENTENCES) if (said := say_something(name, kokoro.voices[name]))
        ]
    save(a.out / "valid_natural_kokoro.npz", held)

    began, shard, said_s = time.monotonic(), 0, 0.0
    said: list[tuple[str, float, Spoken]] = []
    while True:
        over = time.monotonic() - began >= 60 * a.minutes
        if said and (over or said_s >= SHARD_S):
            while (path := a.out / f"clean_natural_kokoro_{shard:02d}.npz").exists():
                shard += 1
            save(path, best_fitting(said))
            print(dict(counts), flush=True)
            said_s, said = 0.0, []
        if over:
            return 0
        name, label, voice = choose()
        if (one := say_something(name, voice)) is not None:
            fit, spoken = one
            if spoiling.random() < DEGRADED_SHARE:
                spoken = replace(spoken, pcm=degrade(spoken.pcm, spoiling))
            said.append((label, fit, spoken))
            said_s += len(spoken.pcm) / 16000


if __name__ == "__main__":
    sys.exit(main())
