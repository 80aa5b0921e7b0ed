"""What `make eval-lips` runs: the lips of the shipped weights, on motion curves and on film, with what this machine has. It needs no torch.

    python -m training.eval_lips [--shared ../shared] [--sentences 12] [--portrait PHOTO ...] [--write docs/lips.md]

Voices are synthesised where flite and espeak-ng are installed; recordings, their phones and the measure of film are taken from `--shared` where it is
there. Prints Markdown; `--write` puts it between the marks in a page. Seeds are fixed: the same machine prints the same figures.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from visavis.engine.speech.articulation import Segment
from visavis.engine.speech.visemes import CLASSES
from visavis.library import DEFAULT_PORTRAIT

from . import evaluate, texts
from .evaluate_film import COUNTED, measure_clip
from .voices import flite
from .voices.espeak import Espeak

# Those in the first place were never heard in training.
FLITE = {"rms": "unseen", "slt": "seen"}
ESPEAK = {"en-us+Annie": "unseen", "en+klatt3": "unseen", "it+male7": "unseen", "en-us": "seen"}
CURVES = ("closure_recall", "false_closure", "false_consonant", "opening_recall", "contact", "rest", "corr0", "accuracy_15", "offset_ms")
FILM = ("closure_recall", "opening_recall", "false_closure", "silence_closed", "rounding_d", "corr0", "offset_ms", "face_found")
BEGIN, END = "<!-- eval-lips -->", "<!-- /eval-lips -->"


def _clip(pcm: np.ndarray, segments: list[Segment]) -> evaluate.Clip:
    return pcm, [(s.start_s, s.end_s, evaluate.PHONE_OF.get(CLASSES[s.viseme], CLASSES[s.viseme])) for s in segments]


def synthesised(sentences: int) -> dict[str, list[evaluate.Clip]]:
    """Return what the voices that are installed say, with its phones; says on stderr what is missing."""
    rng = random.Random(5)
    lines = [texts.english(rng, []) for _ in range(sentences)]
    made_up = [texts.nonsense(rng) for _ in range(sentences)]
    groups: dict[str, list[evaluate.Clip]] = {}
    if shutil.which("flite"):
        for voice, kind in FLITE.items():
            said = [flite.speak(voice, line) for line in lines]
            groups[f"{voice} ({kind})"] = [_clip(one.pcm, one.segments) for one in said]
    else:
        print("flite is not installed: its voices are left out", file=sys.stderr)
    try:
        espeak = Espeak()
    except OSError:
        print("espeak-ng is not installed: its voices are left out", file=sys.stderr)
        return groups
    for voice, kind in ESPEAK.items():
        spoken = [espeak.speak(voice, line) for line in (lines if voice.startswith("en") else made_up)]
        groups[f"{voice} ({kind})"] = [_clip(one.pcm, one.segments) for one in spoken if one is not None]
    return {name: clips for name, clips in groups.items() if clips}


def table(columns: dict[str, dict[str, float]], rows: tuple[str, ...]) -> str:
    """Return a Markdown table of figures by column."""
    head = ["", *columns]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for row in rows:
        cells = [columns[name].get(row, float("nan")) for name in columns]
        written = ["-" if np.isnan(cell) else f"{cell:.0f}" if row == "offset_ms" else f"{cell:.2f}" for cell in cells]
        lines.append("| " + " | ".join([row, *written]) + " |")
    return "\n".join(lines)


def on_film(portrait: Path, clips: Path, measure: Path) -> dict[str, float]:
    """Return the measure's figures over all clips: shares of sounds are weighted by their counts, the rest are means."""
    figures: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        for phones in sorted(clips.glob("*.phones.tsv")):
            speech = evaluate.speech_of(phones)
            figures.append(measure_clip(portrait, speech, phones, measure, Path(folder) / "film.mp4"))
    out = {name: float(np.nanmean([one[name] for one in figures])) for name in FILM if name not in COUNTED}
    for name, count in COUNTED.items():
        some = [one for one in figures if one[count]]
        out[name] = sum(one[name] * one[count] for one in some) / sum(one[count] for one in some) if some else float("nan")
    return out


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--shared", type=Path, default=Path("../shared"))
    options.add_argument("--sentences", type=int, default=12, help="of each synthesised voice")
    options.add_argument("--portrait", type=Path, action="append", default=[], help="photos to film besides the default portrait")
    options.add_argument("--write", type=Path, help="a page to put the tables into")
    a = options.parse_args()
    folders = sorted(path for path in (a.shared / "speech").glob("*") if any(path.glob("*.phones.tsv")))
    groups = {f"{folder.name} (natural)": evaluate.clips_of_folder(folder) for folder in folders} | synthesised(a.sentences)
    parts = []
    if groups:
        figures = {name: evaluate.evaluate(clips) for name, clips in groups.items()}
        parts.append("Motion curves:\n\n" + table(figures, CURVES))
        counts = [f"{name} {one['closures']:.0f}" for name, one in figures.items()]
        parts.append(f"Closures measured: {', '.join(counts)}.")
    measure = a.shared / "lipsync" / "measure.py"
    if folders and measure.is_file():
        photos = {"default portrait": DEFAULT_PORTRAIT.path} | {photo.stem: photo for photo in a.portrait}
        films = {f"{folder.name}, {name}": on_film(photo, folder, measure) for name, photo in photos.items() for folder in folders}
        parts.append("Rendered film:\n\n" + table(films, FILM))
    else:
        print(f"no recordings with phones and no measure in {a.shared}: no film is measured", file=sys.stderr)
    text = "\n\n".join(parts)
    print(text)
    if a.write:
        page = a.write.read_text()
        before, rest = page.split(BEGIN)
        a.write.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")
    return 0 if parts else 1


if __name__ == "__main__":
    sys.exit(main())
