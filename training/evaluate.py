"""Measures speech-to-motion on the motion curves, with the figures of the lip-sync measure and some that only curves
can give.

    python -m training.evaluate [--clips FOLDER ...] [--corpus training/work] [--json]

FOLDER contains NAME.flac or NAME.wav with NAME.phones.tsv (start_s, end_s, ARPAbet phone). Of the corpus, the voices
that training never used are measured, and some others for comparison. The gap of the inner lips is estimated as jawOpen
less mouthClose, plus the part of the lips' own coefficients. Video is sampled from it at 25 frames/s, in four phases.
`corr0` compares it with a coarse chart of the phones. `opening_corr` compares the opening that the network estimates
with the opening that the co-articulation model gives for the true phones.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from visavis.engine.audio.files import read_speech
from visavis.engine.motion.frame import INDEX, SpeechMotion
from visavis.engine.speech import network
from visavis.engine.speech.articulation import articulate, from_arpabet
from visavis.engine.speech.network import DELAY_STEPS, MOUTH, VISEMES
from visavis.engine.speech.stream import SpeechStream
from visavis.engine.speech.visemes import CLASSES, FIFTEEN, SILENCE

from .corpus import UNSEEN, load_clean
from .voices import Spoken

OPEN = {"AA", "AE", "AO", "AW", "AY"}
VOWELS = OPEN | {"AH", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"}
QUIET = {"SIL", "SP", "+SPN+", "+NSN+"}
SPREAD, ROUND = {"IY", "EY", "EH", "AE", "IH"}, {"UW", "OW", "W", "UH"}
# The coarse chart: the opening of each phone, with which the lip-sync measure correlates the gap.
COARSE = {
    **dict.fromkeys(QUIET | {"P", "B", "M"}, 0.0), "F": 0.12, "V": 0.12,
    **dict.fromkeys(["S", "Z", "SH", "ZH", "CH", "JH", "T", "D", "N", "TH", "DH"], 0.28),
    **dict.fromkeys(["K", "G", "NG", "HH", "L", "R", "Y"], 0.38), **dict.fromkeys(["W", "UW", "UH"], 0.25),
    **dict.fromkeys(["IY", "IH", "ER"], 0.42), **dict.fromkeys(["EY", "EH", "AH", "OW", "OY"], 0.62),
    **dict.fromkeys(["AE", "AO", "AY", "AW", "AA"], 0.95),
}  # fmt: skip

# One phone of each viseme.
PHONE_OF = {
    "PP": "P",
    "FF": "F",
    "DD": "T",
    "NN": "N",
    "LL": "L",
    "KK": "K",
    "HH": "HH",
    "SS": "S",
    "RR": "R",
    "OH": "AO",
    "WW": "W",
}

Phones = list[tuple[float, float, str]]
Clip = tuple[NDArray[np.int16], Phones]


def read_phones(path: Path) -> Phones:
    rows = [line.split("\t")[:3] for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    return [(float(a), float(b), phone.strip()) for a, b, phone in rows]


def proxy_gap(motion: SpeechMotion) -> NDArray[np.float32]:
    """Return an estimate of the gap of the inner lips that the renderer shows, eye distances, float32 (n,)."""
    mouth = motion.mouth
    parted = (
        0.10 * mouth[:, INDEX["mouthLowerDown"]]
        + 0.06 * mouth[:, INDEX["mouthUpperUp"]]
        - 0.12 * mouth[:, INDEX["mouthRollLower"]]
    )
    return np.maximum(0.0, 0.45 * (mouth[:, INDEX["jawOpen"]] - mouth[:, INDEX["mouthClose"]]) + parted)


def proxy_width(motion: SpeechMotion) -> NDArray[np.float32]:
    mouth = motion.mouth
    spread = mouth[:, INDEX["mouthStretch"]] + 0.6 * mouth[:, INDEX["mouthSmile"]]
    return 0.1 * spread - 0.15 * mouth[:, INDEX["mouthPucker"]] - 0.1 * mouth[:, INDEX["mouthFunnel"]]


def tally_clip(motion: SpeechMotion, phones: Phones) -> dict[str, list[float]]:
    """Return the single results of one clip, by figure. The figures are the means of these results."""
    t = np.arange(len(motion)) / 100.0
    gap, width = proxy_gap(motion), proxy_width(motion)
    speech = np.zeros(len(t), bool)
    for a, b, phone in phones:
        if phone not in QUIET:
            speech |= (t >= a) & (t < b)
    p90 = float(np.percentile(gap[speech], 90))
    out: dict[str, list[float]] = {
        name: []
        for name in (
            "closure_recall",
            "opening_recall",
            "false_closure",
            "false_consonant",
            "contact",
            "silence_closed",
            "rest",
        )
    }

    def frames(a: float, b: float, phase: int) -> NDArray[np.int64]:
        ticks = np.arange(phase, len(t), 4)
        inside = ticks[(t[ticks] >= a) & (t[ticks] <= b)]
        return inside if len(inside) else ticks[[int(np.argmin(np.abs(t[ticks] - (a + b) / 2)))]]

    for phase in range(4):
        for a, b, phone in phones:
            if phone in {"P", "B", "M"} and b - a >= 0.03:
                out["closure_recall"].append(
                    float(gap[frames(a - 0.04, b + 0.04, phase)].min() <= max(0.02, 0.2 * p90))
                )
            if phone in OPEN and b - a >= 0.06:
                out["opening_recall"].append(float(gap[frames(a, b + 0.04, phase)].max() >= 0.6 * p90))
            if phone in VOWELS and b - a >= 0.06:
                out["false_closure"].append(
                    float(gap[frames(a + (b - a) / 4, b - (b - a) / 4, phase)].min() <= 0.2 * p90)
                )
            if phone in QUIET and b - a >= 0.25:
                out["silence_closed"] += list((gap[frames(a + 0.08, b - 0.08, phase)] <= 0.25 * p90).astype(float))
    closed = motion.mouth[:, INDEX["mouthClose"]] > 0.7 * np.maximum(motion.mouth[:, INDEX["jawOpen"]], 1e-3)
    before = ("SIL", *(phone for _, _, phone in phones[:-1]))
    after = (*(phone for _, _, phone in phones[1:]), "SIL")
    for (a, b, phone), left, right in zip(phones, before, after, strict=True):
        part = slice(int(a * 100), max(int(a * 100) + 1, int(b * 100)))
        if phone in {"F", "V"}:
            out["contact"].append(float(motion.mouth[part, INDEX["mouthRollLower"]].max() >= 0.5))
        elif phone not in QUIET | VOWELS | {"P", "B", "M"} and not {left, right} & {"P", "B", "M"}:
            out["false_consonant"].append(float(closed[part].any()))
        if phone in QUIET and b - a >= 0.4:
            out["rest"] += list(
                (motion.mouth[int(a * 100) + 20 : int(b * 100) - 10].max(axis=1, initial=0) == 0).astype(float)
            )
    out["wide"] = [
        float(width[int(a * 100) : int(b * 100) + 1].mean()) for a, b, p in phones if p in SPREAD and b - a >= 0.05
    ]
    out["small"] = [
        float(width[int(a * 100) : int(b * 100) + 1].mean()) for a, b, p in phones if p in ROUND and b - a >= 0.05
    ]
    return out


def correlation(motion: SpeechMotion, phones: Phones) -> tuple[float, float, float]:
    """Return (corr0, corr_best, offset_ms) of the gap with the coarse chart. With offset > 0 the picture is late."""
    t = np.arange(0, min(len(motion) / 100.0, phones[-1][1]), 0.01)
    gap = np.interp(t, np.arange(len(motion)) / 100.0, proxy_gap(motion))
    target = np.zeros_like(t)
    for a, b, phone in phones:
        target[(t >= a) & (t < b)] = COARSE.get(phone, 0.3)
    target = np.convolve(target, np.hanning(13) / np.hanning(13).sum(), "same")
    by_lag = {}
    for lag in range(-20, 21):
        x, y = (gap[lag:], target[: len(target) - lag]) if lag >= 0 else (gap[:lag], target[-lag:])
        by_lag[lag] = float(np.corrcoef(x, y)[0, 1])
    best = max(by_lag, key=lambda lag: by_lag[lag])
    return by_lag[0], by_lag[best], best * 10.0


class Track(NamedTuple):
    """The result of a method for one clip.

    `best`: the viseme of each step; `cpu_s`: processor time; `opening`: (n,), the opening of the jaw that a network
    estimates before closures and contacts, None for other methods.
    """

    motion: SpeechMotion
    best: NDArray[np.int64]
    cpu_s: float
    opening: NDArray[np.float32] | None = None


def viseme_track(pcm: NDArray[np.int16]) -> Track:
    """Return the network's result for speech that is pushed in pieces of 20 ms."""
    stream = SpeechStream()
    classes: list[int] = []
    openings: list[float] = []
    inner = stream._network.take

    def spy(mel: NDArray[np.float32], cepstra: NDArray[np.float32]) -> NDArray[np.float32]:
        outputs = inner(mel, cepstra)
        classes.extend(outputs[:, VISEMES].argmax(axis=1).tolist())
        openings.extend(outputs[:, MOUTH.start + INDEX["jawOpen"]].tolist())
        return outputs

    stream._network.take = spy  # type: ignore[method-assign]
    began = time.process_time()
    parts = [stream.push(pcm[k : k + 320]) for k in range(0, len(pcm), 320)] + [stream.finish()]
    spent_s = time.process_time() - began
    motion = SpeechMotion.concatenate(parts)
    shown = slice(DELAY_STEPS, DELAY_STEPS + len(motion))
    return Track(motion, np.array(classes[shown]), spent_s, np.array(openings[shown], np.float32))


def evaluate(clips: list[Clip], track: Callable[[Clip], Track] | None = None) -> dict[str, float]:
    """Return the figures over all clips, of the shipped network or of another method (`track`)."""
    sums: dict[str, list[float]] = {}
    correlations, hits, hits15, spoken, cost, seconds, jumps = [], 0, 0, 0, 0.0, 0.0, []
    openings: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
    fifteen = np.array([sorted(set(FIFTEEN.values())).index(FIFTEEN[name]) for name in CLASSES])
    for pcm, phones in clips:
        motion, best, cpu_s, opening = track((pcm, phones)) if track else viseme_track(pcm)
        cost, seconds = cost + cpu_s, seconds + len(pcm) / 16000
        if opening is not None:
            openings.append((opening, articulate(from_arpabet(phones), len(opening)).mouth[:, INDEX["jawOpen"]]))
        for name, values in tally_clip(motion, phones).items():
            sums.setdefault(name, []).extend(values)
        correlations.append(correlation(motion, phones))
        truth = np.full(len(best), SILENCE)
        for segment in from_arpabet(phones):
            truth[round(segment.start_s * 100) : round(segment.end_s * 100)] = segment.viseme
        hits += int((best == truth).sum())
        hits15 += int((fifteen[best] == fifteen[truth]).sum())
        spoken += len(best)
        jumps.append(float(np.abs(np.diff(proxy_gap(motion), n=2)).mean()))
    wide, small = np.array(sums.pop("wide")), np.array(sums.pop("small"))
    figures = {name: float(np.mean(values)) if values else float("nan") for name, values in sums.items()}
    figures["closures"] = len(sums["closure_recall"]) / 4
    spread = float(np.sqrt((wide.var() + small.var()) / 2)) if len(wide) and len(small) else 0.0
    figures["rounding_d"] = float((wide.mean() - small.mean()) / spread) if spread else float("nan")
    figures["corr0"], figures["corr_best"], figures["offset_ms"] = (float(x) for x in np.mean(correlations, axis=0))
    if openings:
        figures["opening_corr"] = float(
            np.corrcoef(*(np.concatenate(one) for one in zip(*openings, strict=True)))[0, 1]
        )
    figures["accuracy_21"], figures["accuracy_15"] = hits / spoken, hits15 / spoken
    figures["jerk"] = float(np.mean(jumps))
    figures["core_percent"] = 100 * cost / seconds
    return figures


def speech_of(phones: Path) -> Path:
    """Return the recording beside NAME.phones.tsv."""
    return next(
        path
        for path in phones.parent.glob(phones.name.removesuffix(".phones.tsv") + ".*")
        if path.suffix in {".flac", ".wav", ".ogg"}
    )


def clips_of_folder(folder: Path) -> list[Clip]:
    return [(read_speech(speech_of(phones))[0], read_phones(phones)) for phones in sorted(folder.glob("*.phones.tsv"))]


def clips_of_corpus(corpus: Path, count: int) -> dict[str, list[Clip]]:
    """Return `count` clean utterances of each unseen voice and of three seen voices. Each viseme is named by one of its
    phones.
    """
    groups: dict[str, list[Clip]] = {}
    for voice, said in load_clean(corpus / "clean_synth.npz").items():
        kind = (
            "unseen"
            if voice in UNSEEN
            else "seen"
            if voice in {"flite:slt", "festival:ked_diphone", "espeak:en-us"}
            else None
        )
        if kind is None:
            continue
        groups[f"{kind} {voice}"] = clips_of_spoken(said[:count])
    return groups


def clips_of_spoken(said: list[Spoken]) -> list[Clip]:
    return [
        (one.pcm, [(s.start_s, s.end_s, PHONE_OF.get(CLASSES[s.viseme], CLASSES[s.viseme])) for s in one.segments])
        for one in said
    ]


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--clips", type=Path, action="append", default=[])
    options.add_argument("--corpus", type=Path)
    options.add_argument("--count", type=int, default=12, help="utterances of each voice of the corpus")
    options.add_argument("--weights", type=Path, help="instead of those shipped")
    options.add_argument("--said", type=Path, action="append", default=[], help="files of the corpus to take whole")
    options.add_argument("--json", action="store_true")
    a = options.parse_args()
    if a.weights:
        network.WEIGHTS = a.weights.resolve()
    groups = {folder.name: clips_of_folder(folder) for folder in a.clips} | (
        clips_of_corpus(a.corpus, a.count) if a.corpus else {}
    )
    for path in a.said:
        groups |= {f"{path.stem} {voice}": clips_of_spoken(said[: a.count]) for voice, said in load_clean(path).items()}
    table = {name: evaluate(clips) for name, clips in groups.items()}
    if a.json:
        print(
            json.dumps(
                {name: {key: round(value, 4) for key, value in figures.items()} for name, figures in table.items()}
            )
        )
        return 0
    names = list(table)
    print(" " * 16 + "".join(f"{name.split(':')[-1][:14]:>16s}" for name in names))
    for key in next(iter(table.values())):
        print(f"{key:16s}" + "".join(f"{table[name][key]:16.3f}" for name in names))
    return 0


if __name__ == "__main__":
    sys.exit(main())
