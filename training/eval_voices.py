"""The synthesised speech on which the lips are measured: voices that training used and others, and sentences in five
languages. Seeds are fixed.
"""

from __future__ import annotations

import functools
import random
import shutil
import sys
from pathlib import Path

from . import evaluate, texts
from .voices import flite
from .voices.espeak import Espeak

# Voices marked unseen were never used in training.
FLITE = {"rms": "unseen", "slt": "seen"}
ESPEAK = {"en-us+Annie": "unseen", "en+klatt3": "unseen", "it+male7": "unseen", "en-us": "seen"}
# Training does not use these variants either; it uses other variants of the same languages.
LANGUAGES = {
    "English": ("en-us+Annie", "en-gb+male3"), "Spanish": ("es+Annie", "es-419+male3"),
    "French": ("fr-fr+Annie", "fr-be+male3"),
    "German": ("de+Annie", "de+male3"), "Mandarin": ("cmn+Annie", "cmn+male3"),
}  # fmt: skip
_TAGS = {"English": "en", "Spanish": "es", "French": "fr", "German": "de", "Mandarin": "cmn"}

Groups = dict[str, list[evaluate.Clip]]


@functools.cache
def _espeak() -> Espeak | None:
    """Return espeak-ng, opened only once: a second instance never answers."""
    try:
        return Espeak()
    except OSError:
        print("espeak-ng is not installed: its voices are left out", file=sys.stderr)
        return None


def synthesised(sentences: int) -> Groups:
    """Return speech of the installed voices, with its phones. Missing programs are reported on stderr."""
    rng = random.Random(5)
    lines = [texts.english(rng, []) for _ in range(sentences)]
    made_up = [texts.nonsense(rng) for _ in range(sentences)]
    groups: Groups = {}
    if shutil.which("flite"):
        for voice, kind in FLITE.items():
            groups[f"{voice} ({kind})"] = evaluate.clips_of_spoken([flite.speak(voice, line) for line in lines])
    else:
        print("flite is not installed: its voices are left out", file=sys.stderr)
    if espeak := _espeak():
        for voice, kind in ESPEAK.items():
            spoken = [espeak.speak(voice, line) for line in (lines if voice.startswith("en") else made_up)]
            groups[f"{voice} ({kind})"] = evaluate.clips_of_spoken([one for one in spoken if one is not None])
    return {name: clips for name, clips in groups.items() if clips}


def language_sentences() -> dict[str, list[str]]:
    """Return the sentences of sentences_languages.txt, by espeak-ng's name of their language."""
    by_tag: dict[str, list[str]] = {}
    for line in (Path(__file__).parent / "sentences_languages.txt").read_text().splitlines():
        if line.startswith("["):
            rows = by_tag.setdefault(line.strip("[]"), [])
        elif line.strip():
            rows.append(line.strip())
    return by_tag


def languages() -> Groups:
    """Return the same amount of speech in each language, by espeak-ng voices that training did not use."""
    espeak = _espeak()
    if espeak is None:
        return {}
    lines = language_sentences()
    groups: Groups = {}
    for language, voices in LANGUAGES.items():
        spoken = [espeak.speak(voice, line) for voice in voices for line in lines[_TAGS[language]]]
        groups[language] = evaluate.clips_of_spoken([one for one in spoken if one is not None])
    return {name: clips for name, clips in groups.items() if clips}


def quick() -> Groups:
    """Return the few clips whose figures continuous integration compares with the committed figures."""
    groups = {name: clips for name, clips in synthesised(4).items() if "unseen" in name}
    return groups | {language: clips[::3] for language, clips in languages().items() if language != "English"}
