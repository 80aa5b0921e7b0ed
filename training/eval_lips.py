"""Measures the lips of the shipped weights on motion curves and on film (`make eval-lips`). It needs no torch.

    python -m training.eval_lips [--shared ../shared] [--clips FOLDER ...] [--corpus training/work] [--portrait PHOTO
    ...] [--no-film] [--write docs]

It uses everything that the machine has: the voices of flite and espeak-ng if they are installed, and the recordings,
their phones and the measure of film from `--shared` if that exists. `--clips` adds folders of recordings with
NAME.phones.tsv, `--corpus` the held-out recordings of a training (valid_natural_*.npz). If pocketsphinx is installed,
it is measured for comparison. Prints Markdown; `--write docs` writes it between the marks in docs/lips.md, the figures
into docs/lips.json and a picture into docs/pictures. Seeds are fixed: the same machine prints the same figures.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from visavis.library import DEFAULT_PORTRAIT

from . import eval_peers, eval_picture, eval_sounds, eval_voices, evaluate
from .corpus import load_clean
from .evaluate_film import COUNTED, measure_clip
from .voices import flite

CURVES = (
    "closure_recall", "false_closure", "false_consonant", "opening_recall", "contact", "rest", "corr0",
    "opening_corr", "accuracy_15",
    "offset_ms", "closures",
)  # fmt: skip
FILM = (
    "closure_recall",
    "opening_recall",
    "false_closure",
    "silence_closed",
    "rounding_d",
    "corr0",
    "offset_ms",
    "face_found",
)
WHOLE = {"offset_ms", "closures"}
BEGIN, END = "<!-- eval-lips -->", "<!-- /eval-lips -->"
FILMED_SENTENCES = 4
TRAINED = ("asterisk:", "festvox:")  # speakers whose other sentences are used in training (decision 0007)
NEURAL = "kokoro:"  # synthesised, but similar to people (decision 0013)
HELD_COUNT = 12  # utterances of each held-out speaker

Columns = dict[str, dict[str, float]]  # the figures of each voice, or of anything else that is measured


def table(rows: Columns, figures: tuple[str, ...]) -> str:
    """Return a Markdown table: a row for each voice, a column for each figure."""

    def cell(name: str, figure: str) -> str:
        value = rows[name].get(figure, float("nan"))
        return "-" if np.isnan(value) else f"{value:.0f}" if figure in WHOLE else f"{value:.2f}"

    lines = [["", *figures], *([name, *(cell(name, figure) for figure in figures)] for name in rows)]
    written = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([written[0], "|---" * len(lines[0]) + "|", *written[1:]])


def _middle(values: list[float], name: str) -> float:
    """Return the mean of the finite values; of rounding_d the median, because a clip with few rounded vowels makes it
    huge.
    """
    known = [value for value in values if np.isfinite(value)]
    return float("nan") if not known else float(np.median(known) if name == "rounding_d" else np.mean(known))


def on_film(portrait: Path, clips: Path, measure: Path) -> dict[str, float]:
    """Return the figures of the measure over all clips. Shares of sounds are weighted by their counts."""
    figures: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        for phones in sorted(clips.glob("*.phones.tsv")):
            speech = evaluate.speech_of(phones)
            figures.append(measure_clip(portrait, speech, phones, measure, Path(folder) / "film.mp4"))
    out = {name: _middle([one[name] for one in figures], name) for name in FILM if name not in COUNTED}
    for name, count in COUNTED.items():
        some = [one for one in figures if one[count]]
        out[name] = (
            sum(one[name] * one[count] for one in some) / sum(one[count] for one in some) if some else float("nan")
        )
    return out


def held_out(corpus: Path) -> eval_voices.Groups:
    """Return the recordings of people and of neural voices that were held out from a training."""
    groups: eval_voices.Groups = {}
    for path in sorted(corpus.glob("valid_natural_*.npz")):
        for speaker, said in load_clean(path).items():
            kind = "seen speaker" if speaker.startswith(TRAINED) else "unseen"
            nature = "neural" if speaker.startswith(NEURAL) else "natural"
            groups[f"{speaker.replace('+held', '')} ({nature}, {kind})"] = evaluate.clips_of_spoken(said[:HELD_COUNT])
    return groups


def with_sounds(clips: list[evaluate.Clip]) -> tuple[Columns, Columns]:
    """Return (the figures of distorted speech by distortion, the figures of sounds without speech).

    `jaw turns/s` and `opening` describe the jaw; the latter is a share of that of clean speech.
    """
    clean = [evaluate.viseme_track(pcm)[0] for pcm, _ in clips]
    usual = float(np.mean([eval_sounds.opening(motion) for motion in clean]))
    wide = float(np.percentile(np.concatenate([evaluate.proxy_gap(motion) for motion in clean]), 90))

    def of_motions(motions: list[evaluate.SpeechMotion]) -> dict[str, float]:
        gap = np.concatenate([evaluate.proxy_gap(motion) for motion in motions])
        return {
            "jaw turns/s": float(np.mean([eval_sounds.jaw_turns_per_s(motion) for motion in motions])),
            "opening": float(np.mean([eval_sounds.opening(motion) for motion in motions])) / usual,
            "open frames": float(np.mean(gap > 0.25 * wide)),
        }

    changed: Columns = {"clean": evaluate.evaluate(clips) | of_motions(clean)}
    for name, change in eval_sounds.DISTORTIONS.items():
        distorted = [(eval_sounds.distorted(pcm, change), phones) for pcm, phones in clips]
        changed[name] = evaluate.evaluate(distorted) | of_motions(
            [evaluate.viseme_track(pcm)[0] for pcm, _ in distorted]
        )
    return changed, {name: of_motions([evaluate.viseme_track(pcm)[0]]) for name, pcm in eval_sounds.alone().items()}


def curves(a: argparse.Namespace) -> tuple[list[str], dict[str, Columns]]:
    """Return (paragraphs, figures by table) of the motion curves."""
    folders = [*sorted(path for path in (a.shared / "speech").glob("*") if any(path.glob("*.phones.tsv"))), *a.clips]
    natural = {f"{folder.name} (natural, unseen)": evaluate.clips_of_folder(folder) for folder in folders}
    natural |= held_out(a.corpus) if a.corpus else {}
    made = eval_voices.synthesised(a.sentences)
    parts: list[str] = []
    figures: dict[str, Columns] = {}

    def add(name: str, title: str, columns: Columns, rows: tuple[str, ...]) -> None:
        figures[name] = {
            column: {row: round(one.get(row, float("nan")), 4) for row in rows} for column, one in columns.items()
        }
        parts.append(f"### {title}\n\n" + table(columns, rows))

    if natural or made:
        add(
            "voices",
            "Motion curves",
            {name: evaluate.evaluate(clips) for name, clips in (natural | made).items()},
            CURVES,
        )
    if folders:
        methods = {
            "the network": None,
            "loudness": eval_peers.loudness,
            "PocketSphinx' phones": eval_peers.pocketsphinx_phones(),
            "with timings": eval_peers.given_timings,
        }
        beside = [clip for folder in folders for clip in natural[f"{folder.name} (natural, unseen)"]]
        peers = {
            name: evaluate.evaluate(beside, method)
            for name, method in methods.items()
            if method or name == "the network"
        }
        add("peers", "Compared with other methods, on the recordings of ../shared and --clips", peers, CURVES[:-1])
    if languages := eval_voices.languages():
        add("languages", "Languages", {name: evaluate.evaluate(clips) for name, clips in languages.items()}, CURVES)
    speech = made.get("rms (unseen)") or next(iter(made.values()), None)
    if speech:
        changed, sounds = with_sounds(speech[:5])
        rows = ("closure_recall", "false_closure", "corr0", "accuracy_15", "jaw turns/s", "opening")
        add("distorted", "Distorted speech", changed, rows)
        add("sounds", "No speech", sounds, ("jaw turns/s", "opening", "open frames"))
    if quick := eval_voices.quick():
        figures["quick"] = {
            name: {key: round(value, 4) for key, value in evaluate.evaluate(clips).items()}
            for name, clips in quick.items()
        }
    return parts, figures


def films(a: argparse.Namespace) -> Columns:
    """Measure film: the shared recordings and those of the first other folder with every portrait, and sentences of an
    unseen synthesised voice with the default portrait.
    """
    folders = [
        *sorted(path for path in (a.shared / "speech").glob("*") if any(path.glob("*.phones.tsv"))),
        *a.clips[:1],
    ]
    photos = {"default portrait": DEFAULT_PORTRAIT.path} | {photo.stem: photo for photo in a.portrait}
    measure = a.shared / "lipsync" / "measure.py"
    columns = {
        f"{folder.name}, {name}": on_film(photo, folder, measure)
        for name, photo in photos.items()
        for folder in folders
    }
    if said := eval_voices.synthesised(FILMED_SENTENCES).get("rms (unseen)"):
        with tempfile.TemporaryDirectory() as scratch:
            for i, (pcm, phones) in enumerate(said):
                soundfile.write(Path(scratch) / f"{i}.wav", pcm, 16000)
                (Path(scratch) / f"{i}.phones.tsv").write_text(
                    "".join(f"{a:.3f}\t{b:.3f}\t{phone}\n" for a, b, phone in phones)
                )
            columns["rms (unseen), default portrait"] = on_film(DEFAULT_PORTRAIT.path, Path(scratch), measure)
    return columns


def written(folder: Path, text: str, figures: dict[str, Columns]) -> None:
    """Write the tables, the figures and, if flite is installed, the picture into `folder`."""
    page = (folder / "lips.md").read_text()
    before, rest = page.split(BEGIN)
    (folder / "lips.md").write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}")
    finite = {
        name: {c: {k: None if np.isnan(v) else v for k, v in one.items()} for c, one in columns.items()}
        for name, columns in figures.items()
    }
    (folder / "lips.json").write_text(json.dumps(finite, indent=1) + "\n")
    try:
        spoken = flite.speak("rms", eval_picture.SENTENCE)
    except FileNotFoundError:
        print("flite is not installed: the picture stays as it is", file=sys.stderr)
    else:
        eval_picture.draw(evaluate.clips_of_spoken([spoken])[0], folder / "pictures" / "lips.png")


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--shared", type=Path, default=Path("../shared"))
    options.add_argument(
        "--clips", type=Path, action="append", default=[], help="folders of recordings with NAME.phones.tsv"
    )
    options.add_argument("--corpus", type=Path, help="a training's folder, for the recordings it held out")
    options.add_argument("--sentences", type=int, default=12, help="of each synthesised voice")
    options.add_argument(
        "--portrait", type=Path, action="append", default=[], help="photos to film besides the default portrait"
    )
    options.add_argument("--no-film", action="store_true", help="motion curves alone; the page keeps the film it has")
    options.add_argument("--write", type=Path, help="the folder of lips.md, lips.json and pictures/lips.png")
    a = options.parse_args()
    parts, figures = curves(a)
    old = json.loads((a.write / "lips.json").read_text()) if a.write and (a.write / "lips.json").exists() else {}
    if a.no_film:
        films_there = {
            c: {k: float("nan") if v is None else v for k, v in one.items()} for c, one in old.get("film", {}).items()
        }
    elif (a.shared / "lipsync" / "measure.py").is_file():
        films_there = films(a)
    else:
        print(f"no measure in {a.shared}: no film is measured", file=sys.stderr)
        films_there = {}
    if films_there:
        figures["film"] = films_there
        parts.append("### Rendered film\n\n" + table(films_there, FILM))
    text = "\n\n".join(parts)
    print(text)
    if a.write:
        written(a.write, text, figures)
    return 0 if parts else 1


if __name__ == "__main__":
    sys.exit(main())
