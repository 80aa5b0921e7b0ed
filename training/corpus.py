"""Builds the corpus: speech of many synthesised voices with the times of its phones, and augmented copies of this
speech and of recordings.

    python -m training.corpus --out training/work [--utterances 40] [--copies 2] [--natural-copies 3] [--seed 1]

The files are `clean_synth.npz`, the `clean_natural_*.npz` of training.recordings, and `aug_*.npz`. Each contains `pcm`
(int16 at 16 kHz, all utterances in a row), `ends` (samples), `voices` (one name per utterance) and `rows` (utterance,
start_s, end_s, viseme). The training computes features and targets from them.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
from pathlib import Path

import numpy as np

from visavis.engine.audio.mel import RATE_HZ
from visavis.engine.speech.articulation import Segment, articulate

from . import texts
from .augment import augment, no_speech
from .voices import Spoken, festival, flite
from .voices.espeak import Espeak

SHARD = 300  # utterances in a file

# Voices that are never used in training.
UNSEEN = ("flite:rms", "festival:hy_fi_mv_diphone", "espeak:en-us+Annie", "espeak:en+klatt3", "espeak:it+male7")

ESPEAK_VOICES = (
    "en-us", "en-us+f2", "en-us+female3", "en", "en+female5", "en+Michael", "en-gb-scotland", "en-gb-scotland+f4",
    "en-gb-x-rp", "en-029",
    "en-us-nyc+klatt", "en-us+Andy", "en-us+Alicia", "en-us+Henrique", "en+Tweaky", "en-us+Storm", "en-us+klatt4",
    "en-us+whisper", "en+male4",
    "en-us+steph", "en-us+linda", "es", "es+f3", "fr", "fr+female2", "de", "de+f5", "it", "pt-br+female4", "cmn",
    "cmn+f2", "ru", "hi", "tr+male3",
    "pl+f1", "nl", "sv+f4", "ja", "id",
)  # fmt: skip


def dictionary_words() -> list[str]:
    """Return English words from PocketSphinx' dictionary; none if it is not installed."""
    try:
        import pocketsphinx
    except ImportError:
        return []
    path = Path(pocketsphinx.get_model_path()) / "en-us" / "cmudict-en-us.dict"
    words = (line.split()[0] for line in path.read_text().splitlines())
    return [word for word in words if re.fullmatch("[a-z]{3,12}", word)]


def speak_corpus(utterances: int, seed: int) -> dict[str, list[Spoken]]:
    """Return the speech of every voice. Voices that sound natural (diphones, HTS, flite) speak three times as much as
    formant voices.
    """
    rng = random.Random(seed)
    words = dictionary_words()
    said: dict[str, list[Spoken]] = {}
    for voice in flite.VOICES:
        said[f"flite:{voice}"] = [
            flite.speak(
                voice,
                texts.english(rng, words),
                stretch=rng.uniform(0.75, 1.25),
                pitch_hz=rng.choice([None, rng.uniform(80, 220)]),
            )
            for _ in range(utterances * 3)
        ]
        print(f"flite:{voice}", flush=True)
    for voice, phones in festival.VOICES.items():
        lines = [texts.english(rng, words) if phones == "radio" else texts.nonsense(rng) for _ in range(utterances * 3)]
        said[f"festival:{voice}"] = festival.speak_all(voice, lines, stretches=[rng.uniform(0.75, 1.2) for _ in lines])
        print(f"festival:{voice}", len(said[f"festival:{voice}"]), flush=True)
    espeak = Espeak()
    for voice in (*ESPEAK_VOICES, *(name.partition(":")[2] for name in UNSEEN if name.startswith("espeak:"))):
        done = [
            espeak.speak(
                voice,
                texts.english(rng, words) if voice.startswith("en") or rng.random() < 0.15 else texts.nonsense(rng),
                words_per_minute=rng.randint(120, 210), pitch=rng.randint(25, 75), pitch_range=rng.randint(20, 80),
            )
            for _ in range(utterances)
        ]  # fmt: skip
        said[f"espeak:{voice}"] = [spoken for spoken in done if spoken is not None]
        print(f"espeak:{voice}", len(said[f"espeak:{voice}"]), flush=True)
    return said


def save_clean(path: Path, said: dict[str, list[Spoken]]) -> None:
    voices = [voice for voice, all_said in said.items() for _ in all_said]
    spoken = [one for all_said in said.values() for one in all_said]
    rows = np.array(
        [(i, s.start_s, s.end_s, s.viseme) for i, one in enumerate(spoken) for s in one.segments], np.float64
    )
    ends = np.cumsum([len(one.pcm) for one in spoken])
    np.savez(path, voices=np.array(voices), pcm=np.concatenate([one.pcm for one in spoken]), ends=ends, rows=rows)


def load_clean(path: Path) -> dict[str, list[Spoken]]:
    with np.load(path) as box:
        pcm, ends, rows, voices = box["pcm"], box["ends"], box["rows"], box["voices"]
    firsts = np.searchsorted(rows[:, 0], np.arange(len(ends) + 1))
    said: dict[str, list[Spoken]] = {}
    for i, voice in enumerate(voices):
        part = rows[firsts[i] : firsts[i + 1]]
        segments = [Segment(start_s=a, end_s=b, viseme=int(v)) for _, a, b, v in part]
        said.setdefault(str(voice), []).append(Spoken(pcm=pcm[ends[i - 1] if i else 0 : ends[i]], segments=segments))
    return said


def targets_of(spoken: Spoken, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (viseme uint8 (n,), curves float16 (n, MOUTH_COUNT + 2): the mouth, closure, contact)."""
    motion = articulate(spoken.segments, steps)
    curves = np.concatenate([motion.mouth, motion.closure[:, None], motion.contact[:, None]], axis=1)
    return motion.viseme.astype(np.uint8), curves.astype(np.float16)


def save(path: Path, said: dict[str, list[Spoken]]) -> None:
    """Write a file under another name and then rename it, because a training may be waiting for it."""
    partial = path.with_suffix(".partial.npz")
    save_clean(partial, said)
    partial.rename(path)
    print(
        f"{path.name}: {sum(len(one.pcm) for all_said in said.values() for one in all_said) / RATE_HZ / 3600:.2f} h",
        flush=True,
    )


def save_copies(out: Path, name: str, said: dict[str, list[Spoken]], copies: int, seed: int) -> None:
    """Write augmented copies of all utterances, in shards `aug_NAME_COPY_PART.npz` of mixed voices, with some noise and
    music.
    """
    rng = np.random.default_rng(seed)
    everything = [(voice, one) for voice, all_said in said.items() for one in all_said]
    babble = [one.pcm for _, one in everything[:: max(1, len(everything) // 60)]]
    for copy in range(copies):
        order = rng.permutation(len(everything))
        for part, k in enumerate(range(0, len(order), SHARD)):
            shard: dict[str, list[Spoken]] = {}
            for i in order[k : k + SHARD]:
                voice, one = everything[i]
                shard.setdefault(voice, []).append(augment(one, rng, babble=babble))
            shard["nobody"] = [no_speech(rng.uniform(2, 5), rng) for _ in range(len(order[k : k + SHARD]) // 20)]
            save(out / f"aug_{name}_{copy}_{part:02d}.npz", shard)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path, default=Path(__file__).parent / "work")
    options.add_argument(
        "--utterances", type=int, default=40, help="per formant voice; the others say three times as much"
    )
    options.add_argument("--copies", type=int, default=2, help="augmented copies of each synthesised utterance")
    options.add_argument(
        "--natural-copies",
        type=int,
        default=3,
        help="augmented copies of each recording (clean_natural_*.npz in the folder)",
    )
    options.add_argument("--seed", type=int, default=1)
    a = options.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    clean = a.out / "clean_synth.npz"
    if not clean.exists():
        save(clean, speak_corpus(a.utterances, a.seed))
        print(f"spoken in {time.monotonic() - began:.0f} s")
    said = load_clean(clean)
    natural: dict[str, list[Spoken]] = {}
    for path in sorted(a.out.glob("clean_natural_*.npz")):
        if ".partial" not in path.name:
            natural |= load_clean(path)
    save_copies(a.out, "natural", natural, a.natural_copies if natural else 0, a.seed + 1)
    save_copies(
        a.out, "synth", {voice: all_said for voice, all_said in said.items() if voice not in UNSEEN}, a.copies, a.seed
    )
    print(f"done in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
