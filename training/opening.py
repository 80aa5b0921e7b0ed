"""Fits the weights that estimate the opening of the lips from the outputs of the network, by least squares, and writes
them into the file of the weights.

    python -m training.opening --corpus training/work --weights src/visavis/engine/speech/network.npz

The visemes of the network are never certain, so the opening is fitted to all outputs of now and of 40 ms before, on
voices of the training. A diphthong is two visemes for the network but one movement of the jaw: its second half is only
slightly less open.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from visavis.engine.speech.network import CLOSURE, CONTACT, OPENING_LAGS, VISEMES
from visavis.engine.speech.phones import CLASSES

from .chunks import Recording
from .train import Network, gather, load, outputs_of

# The opening of each viseme, 0 (closed) to 1 (wide open), from the usual viseme charts. Times WIDE it is a jawOpen.
OPENING = {
    "SIL": 0.0, "PP": 0.0, "FF": 0.12, "TH": 0.28, "DD": 0.28, "NN": 0.28, "LL": 0.38, "KK": 0.38, "HH": 0.38,
    "CH": 0.28, "SS": 0.28, "RR": 0.40,
    "AA": 0.95, "AE": 0.95, "EH": 0.62, "AH": 0.62, "IH": 0.42, "IY": 0.42, "OH": 0.85, "UW": 0.25, "WW": 0.25,
}  # fmt: skip
WIDE = 0.65
# The openings of the two halves of a diphthong.
DIPHTHONGS = {
    ("AA", "IH"): (0.95, 0.80), ("AA", "UW"): (0.95, 0.80), ("EH", "IY"): (0.62, 0.58), ("OH", "UW"): (0.70, 0.55),
    ("OH", "IH"): (0.70, 0.60),
}  # fmt: skip
LONGEST_DIPHTHONG_STEPS = 40
SMOOTH_STEPS = 11  # length of the Hann window of the jaw (articulation.py)
RIDGE = 30.0  # ridge regression


def as_probabilities(out: np.ndarray) -> np.ndarray:
    """Return outputs of the training network as the product computes them: with probabilities."""
    out = out.copy()
    out[:, VISEMES] = torch.softmax(torch.from_numpy(out[:, VISEMES]), dim=1).numpy()
    out[:, CLOSURE : CONTACT + 1] = 1 / (1 + np.exp(-out[:, CLOSURE : CONTACT + 1]))
    return out


def opening_of(visemes: np.ndarray) -> np.ndarray:
    """Return the opening for the viseme of each step, (n,), in units of jawOpen, smoothed like a jaw."""
    at = np.array([OPENING[name] for name in CLASSES])[visemes]
    firsts = np.r_[0, np.flatnonzero(np.diff(visemes)) + 1, len(visemes)]
    for begin, middle, end in zip(firsts[:-2], firsts[1:-1], firsts[2:], strict=True):
        halves = DIPHTHONGS.get((CLASSES[visemes[begin]], CLASSES[visemes[middle]]))
        if halves and end - begin <= LONGEST_DIPHTHONG_STEPS:
            at[begin:middle], at[middle:end] = halves
    window = np.hanning(SMOOTH_STEPS + 2)[1:-1]
    return np.convolve(at * WIDE, window / window.sum(), "same")


def with_before(out: np.ndarray) -> np.ndarray:
    """Return the outputs (n, OUTPUTS) with those of OPENING_LAGS before, (n, len(OPENING_LAGS) * OUTPUTS)."""
    return np.concatenate([np.pad(out, ((lag, 0), (0, 0)), mode="edge")[: len(out)] for lag in OPENING_LAGS], axis=1)


def fit_opening(model: Network, recordings: list[Recording]) -> np.ndarray:
    """Return the weights of the outputs, float32 (len(OPENING_LAGS), OUTPUTS). The weighted sum of the outputs is the
    opening in units of jawOpen.
    """
    x = np.concatenate([with_before(as_probabilities(out)) for out in outputs_of(model, recordings)]).astype(np.float64)
    y = np.concatenate([opening_of(part.visemes) for part in recordings])
    return (
        np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ y).reshape(len(OPENING_LAGS), -1).astype(np.float32)
    )


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--corpus", type=Path, default=Path(__file__).parent / "work")
    options.add_argument("--shards", nargs="+", default=["clean*"], help="which files of the corpus, as glob patterns")
    options.add_argument("--weights", type=Path, default=Path("src/visavis/engine/speech/network.npz"))
    options.add_argument("--seed", type=int, default=1)
    a = options.parse_args()
    rng = np.random.default_rng(a.seed)
    voices, _ = gather(a.corpus, a.shards)
    chosen: list[Recording] = []
    for name, parts in voices.items():
        chosen += [parts[k] for k in rng.permutation(len(parts))[: 40 if name.startswith("natural") else 5]]
    opening = fit_opening(load(a.weights), chosen)
    with np.load(a.weights) as box:
        arrays = {name: box[name] for name in box.files}
    np.savez_compressed(a.weights, **(arrays | {"opening": opening.astype(np.float16)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
