"""Adds recordings of people to the corpus: aligns them, refuses those that fit badly, and joins them to pieces of a few
seconds.

    python -m training.recordings --out training/work/clean_mine.npz --clips FOLDER --language en-us --speaker me
    python -m training.recordings --out training/work --untranscribed FOLDER [--minutes 60] [--measure]
    python -m training.recordings --out training/work --packages / [--texts training/prompts]
        [--licences permissive|attribution|all]

The FOLDER of `--clips` contains NAME.wav (or .flac, .ogg, .mp3, .g722) with NAME.txt, or a `metadata.csv` with
NAME|TEXT in each line (the format of LJ Speech; the text is the last column), or a `transcripts.tsv` with
FILE<tab>TEXT.

The FOLDER of `--untranscribed` contains English recordings without a text. They are recognised, and reliable parts are
kept (recognise.py). Each folder in it is a speaker; the speakers take turns until the minutes are over.

`--packages` uses the recordings of Debian packages that are installed under this root (natural.py).
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from visavis.engine.speech.articulation import Segment

from . import natural
from .align import Aligner, fault
from .corpus import save
from .natural import Recording, read_recording
from .recognise import Transcriber
from .voices import Spoken

SOUNDS = (".wav", ".flac", ".ogg", ".mp3", ".g722")
PIECE_S = (3.0, 8.0)  # clips are joined to pieces of this length
PAUSE_S = (0.1, 0.8)
WORST_SHARE = 0.08  # of each speaker's clips without a fault, this share with the worst fit is left out
LONGEST_S = 40.0

# Never used in training: recordings under the GPL (decision 0007), and a tenth of the English prompts, chosen by text.
HELD_OUT = ("fillets:", "tuxpaint:")
HELD_SPEAKER, HELD_SHARE = "asterisk:en_US_f_Allison", 10
RUSSIAN = "festvox:ru_nsh"

# What is aligned besides festvox-ru, by licence: nothing; also CC-BY-SA; also the GPL, for measurement.
_SOURCES: dict[str, list[Callable[[Path, Path | None], list[Recording]]]] = {
    "permissive": [], "attribution": [natural.asterisk], "all": [natural.asterisk, natural.fillets, natural.tuxpaint],
}  # fmt: skip


def recordings_of_folder(folder: Path, language: str, speaker: str) -> list[Recording]:
    """Return the recordings of a folder whose text is known. Raises FileNotFoundError if there are none."""
    texts: dict[str, str] = {path.stem: path.read_text().strip() for path in folder.rglob("*.txt")}
    for listed, mark in (("metadata.csv", "|"), ("transcripts.tsv", "\t")):
        if (folder / listed).exists():
            rows = [line.split(mark) for line in (folder / listed).read_text().splitlines() if mark in line]
            texts |= {Path(row[0]).stem if Path(row[0]).suffix in SOUNDS else row[0]: row[-1].strip() for row in rows}
    found = [
        Recording(path=path, text=texts[path.stem], language=language, speaker=speaker)
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SOUNDS and texts.get(path.stem)
    ]
    if not found:
        raise FileNotFoundError(f"no recording with a text in {folder}")
    return found


def mark_held_out(recording: Recording) -> Recording:
    """Return the recording; if it is held out because of its text, with another name of its speaker."""
    held = recording.speaker == HELD_SPEAKER and zlib.crc32(recording.text.lower().encode()) % HELD_SHARE == 0
    return dataclasses.replace(recording, speaker=f"{recording.speaker}+held") if held else recording


def align_all(recordings: list[Recording]) -> tuple[dict[str, list[Spoken]], dict[str, collections.Counter]]:
    """Return the utterances of every speaker with the times of their phones, and for every speaker the number of
    recordings that were taken, and of those that were not, by reason.
    """
    aligner = Aligner()
    done: dict[str, list[tuple[float, Spoken]]] = {}
    counts: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    for recording in recordings:
        count = counts[recording.speaker]
        try:
            pcm = read_recording(recording.path)
            alignment = aligner.align(pcm, recording.text, recording.language) if len(pcm) < LONGEST_S * 16000 else None
        except Exception as error:  # noqa: BLE001  # one broken file of thousands
            count[f"unreadable ({type(error).__name__})"] += 1
            continue
        why = fault(pcm, alignment) if alignment else "not found by the model"
        if alignment is None or why:
            count[why] += 1
            continue
        done.setdefault(recording.speaker, []).append((alignment.fit, Spoken(pcm=pcm, segments=alignment.segments)))
    said: dict[str, list[Spoken]] = {}
    for speaker, all_said in done.items():
        least = float(np.quantile([fit for fit, _ in all_said], WORST_SHARE)) if len(all_said) > 20 else -np.inf
        said[speaker] = [spoken for fit, spoken in all_said if fit >= least]
        counts[speaker]["fits too badly"] = len(all_said) - len(said[speaker])
        counts[speaker]["taken"] = len(said[speaker])
    return said, counts


def untranscribed_by_speaker(folder: Path, speaker: str) -> dict[str, list[Path]]:
    """Return the recordings of each speaker: one speaker for each folder in `folder`; files that are directly in it
    belong to `speaker`. Raises FileNotFoundError if there are none.
    """
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SOUNDS:
            inside = path.relative_to(folder).parts
            found.setdefault(inside[0] if len(inside) > 1 else speaker, []).append(path)
    if not found:
        raise FileNotFoundError(f"no recording in {folder}")
    return found


def transcribe_all(
    found: dict[str, list[Path]],
    transcribe: Callable[[np.ndarray], list[Spoken]],
    rng: np.random.Generator,
    *,
    until_s: float,
) -> tuple[dict[str, list[Spoken]], dict[str, collections.Counter]]:
    """Return the reliable parts of every speaker, and the seconds that were recognised and kept.

    The speakers take turns, each with its recordings in random order, until there are no more or `time.monotonic()`
    reaches `until_s`.
    """
    said: dict[str, list[Spoken]] = {}
    counts: dict[str, collections.Counter] = collections.defaultdict(collections.Counter)
    waiting = {speaker: [paths[i] for i in rng.permutation(len(paths))] for speaker, paths in found.items()}
    while waiting:
        for speaker in list(waiting):
            if time.monotonic() >= until_s:
                return said, counts
            path, count = waiting[speaker].pop(), counts[speaker]
            if not waiting[speaker]:
                del waiting[speaker]
            try:
                pcm = read_recording(path)
                parts = transcribe(pcm) if len(pcm) < LONGEST_S * 16000 else []
            except Exception as error:  # noqa: BLE001  # one broken file of thousands
                count[f"unreadable ({type(error).__name__})"] += 1
                continue
            count["s recognised"] += round(len(pcm) / 16000)
            count["s kept"] += round(sum(len(part.pcm) for part in parts) / 16000)
            if parts:
                said.setdefault(speaker, []).extend(parts)
    return said, counts


def join(parts: list[Spoken], rng: np.random.Generator) -> Spoken:
    """Return utterances joined to one, with pauses between them."""
    pcm: list[np.ndarray] = []
    segments: list[Segment] = []
    at = 0
    for part in parts:
        if at:
            pause = rng.integers(-3, 4, int(rng.uniform(*PAUSE_S) * 16000)).astype(np.int16)
            pcm.append(pause)
            at += len(pause)
        pcm.append(part.pcm)
        segments += [
            Segment(start_s=s.start_s + at / 16000, end_s=s.end_s + at / 16000, viseme=s.viseme) for s in part.segments
        ]
        at += len(part.pcm)
    return Spoken(pcm=np.concatenate(pcm), segments=segments)


def pieces(said: list[Spoken], rng: np.random.Generator) -> list[Spoken]:
    """Return the utterances of one speaker, shuffled and joined to pieces of 3 to 8 seconds. Longer utterances stay as
    they are.
    """
    out: list[Spoken] = []
    row: list[Spoken] = []
    aim_s = rng.uniform(*PIECE_S)
    for i in rng.permutation(len(said)):
        row.append(said[i])
        if sum(len(one.pcm) for one in row) >= aim_s * 16000:
            out.append(join(row, rng))
            row, aim_s = [], rng.uniform(*PIECE_S)
    return [*out, join(row, rng)] if row else out


def save_labelled(out: Path, root: Path, only: str) -> None:
    """Write the sentences of festvox-ru, whose phones are labelled already. Every twentieth sentence is held out."""
    if RUSSIAN.startswith(only) and (root / natural.FESTVOX_RU).is_dir():
        said = natural.festvox_ru(root / natural.FESTVOX_RU)
        save(out / "clean_natural_ru_nsh.npz", {RUSSIAN: [one for i, one in enumerate(said) if i % 20 != 19]})
        save(out / "valid_natural_ru_nsh.npz", {RUSSIAN: said[19::20]})


def report(counts: dict[str, collections.Counter]) -> None:
    for speaker, count in counts.items():
        print(f"{speaker}: " + ", ".join(f"{n} {what}" for what, n in count.most_common()), flush=True)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--clips", type=Path)
    options.add_argument(
        "--untranscribed",
        type=Path,
        help="folder of English recordings without a text, one folder in it for each speaker",
    )
    options.add_argument("--minutes", type=float, default=float("inf"), help="time limit of --untranscribed")
    options.add_argument(
        "--measure", action="store_true", help="use the result of --untranscribed only for measurement"
    )
    options.add_argument("--language", default="en-us")
    options.add_argument("--speaker", default="recorded")
    options.add_argument("--packages", type=Path, help="the root under which Debian packages are installed or unpacked")
    options.add_argument("--texts", type=Path, help="folder with Asterisk's core-sounds-*.txt, from the source package")
    options.add_argument("--licences", choices=tuple(_SOURCES), default="attribution", help="decision 0007")
    options.add_argument("--only", default="", help="speakers whose names begin so")
    options.add_argument("--seed", type=int, default=1)
    a = options.parse_args()
    rng = np.random.default_rng(a.seed)
    began = time.monotonic()
    (a.out.parent if a.out.suffix == ".npz" else a.out).mkdir(parents=True, exist_ok=True)
    if a.untranscribed:
        found = untranscribed_by_speaker(a.untranscribed, a.speaker)
        said, counts = transcribe_all(found, Transcriber().transcribe, rng, until_s=began + 60 * a.minutes)
        report(counts)
        for speaker, all_said in said.items():
            save(a.out / f"{'valid' if a.measure else 'clean'}_natural_{speaker}.npz", {speaker: pieces(all_said, rng)})
        return 0
    if a.clips:
        wanted = recordings_of_folder(a.clips, a.language, a.speaker)
    else:
        listed = [one for source in _SOURCES[a.licences] for one in source(a.packages, a.texts)]
        wanted = [mark_held_out(one) for one in listed if one.speaker.startswith(a.only)]
        save_labelled(a.out, a.packages, a.only)
    said, counts = align_all(wanted)
    report(counts)
    joined = {speaker: pieces(all_said, rng) for speaker, all_said in said.items()}
    if a.clips:
        save(a.out, joined)
    else:
        for speaker, all_said in joined.items():
            kind = "valid" if speaker.startswith((*HELD_OUT, HELD_SPEAKER + "+held")) else "clean"
            save(a.out / f"{kind}_natural_{speaker.replace(':', '_')}.npz", {speaker: all_said})
    print(f"done in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
