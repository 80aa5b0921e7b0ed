"""Trains the network on the corpus and writes it in the format of the product.

    python -m training.train --corpus training/work --out src/visavis/engine/speech/network.npz [--minutes 40] [--seed
    1]

For each step it learns, from the sound up to DELAY_STEPS later: the viseme, the closure, the contact, and the curves of
the co-articulation model. Natural voices are used much more often than their share of the corpus.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from visavis.engine.motion.frame import MOUTH_COUNT
from visavis.engine.speech.acoustic import PHONE_STATES
from visavis.engine.speech.network import BLOCK, DELAY_STEPS, OUTPUTS, STACK
from visavis.engine.speech.visemes import BILABIAL, CLASSES, SILENCE

from .chunks import Pieces, Recording, load_recordings
from .corpus import UNSEEN
from .features import MEL, features_of
from .recurrent import Gru

MEL_INPUTS, LISTENER_INPUTS = MEL * STACK, PHONE_STATES * BLOCK
# Log posteriors are centred for training. The saved weights include this, so the product does not centre them.
POSTERIOR_MEAN, POSTERIOR_SCALE = -5.5, 0.4
GRU_PARTS = (("weight_ih_l0", "wx"), ("weight_hh_l0", "wh"), ("bias_ih_l0", "bx"), ("bias_hh_l0", "bh"))


class Network(nn.Module):
    """The network of engine/speech/network.py. The listener is frozen, so that synthesised speech does not change what
    it learned of natural speech.
    """

    def __init__(self, listener: dict[str, np.ndarray], front: int, hidden: int) -> None:
        super().__init__()
        for name, array in listener.items():
            self.register_buffer(f"listener_{name}", torch.from_numpy(array.astype(np.float16).astype(np.float32)))
        self.front = nn.Linear(MEL_INPUTS + LISTENER_INPUTS, front)
        self.first = Gru(front, hidden)
        self.second = Gru(hidden, hidden)
        self.head = nn.Linear(hidden, BLOCK * OUTPUTS)
        for layer in (self.first, self.second):
            for k in range(3):
                nn.init.orthogonal_(layer.weight_hh_l0[k * hidden : (k + 1) * hidden])

    def log_posteriors(self, dynamic: torch.Tensor) -> torch.Tensor:
        x = torch.relu((dynamic * self.listener_scale) @ self.listener_w1 + self.listener_b1)
        return torch.log_softmax(
            torch.relu(x @ self.listener_w2 + self.listener_b2) @ self.listener_w3 + self.listener_b3, dim=-1
        )

    def _drop(self, y: torch.Tensor, drop: float) -> torch.Tensor:
        """Drop units, each for a whole chunk (Gal and Ghahramani 2016)."""
        return y * ((torch.rand(len(y), 1, y.shape[2]) >= drop) / (1 - drop)) if self.training and drop else y

    def forward(self, x: torch.Tensor, drop: float = 0.0, without_mel: float = 0.0) -> torch.Tensor:
        """Take (b, n, MEL + DYNAMIC), n even. Return (b, n, OUTPUTS); row t belongs to step t - DELAY_STEPS.

        `without_mel`: the share of chunks without mel, so that the network learns to use the listener alone.
        """
        mel, dynamic = x[..., :MEL], x[..., MEL:]
        if without_mel:
            mel = mel * (torch.rand(len(x), 1, 1) >= without_mel)
        with torch.no_grad():
            posteriors = ((self.log_posteriors(dynamic) - POSTERIOR_MEAN) * POSTERIOR_SCALE).reshape(
                len(x), -1, LISTENER_INPUTS
            )
        before = nn.functional.pad(mel, (0, 0, STACK - BLOCK, 0))
        stacked = [before[:, k : k + mel.shape[1]].reshape(len(x), -1, BLOCK * MEL) for k in range(0, STACK, BLOCK)]
        y = self._drop(torch.relu(self.front(torch.cat([*stacked, posteriors], dim=2))), drop)
        y = self.first(y)
        y = self.second(self._drop(y, drop))
        return self.head(self._drop(y, drop)).reshape(len(x), -1, OUTPUTS)


def loss_of(
    out: torch.Tensor,
    v: torch.Tensor,
    c: torch.Tensor,
    w: torch.Tensor,
    class_weight: torch.Tensor,
    a: argparse.Namespace,
) -> torch.Tensor:
    out, v, c, w = out[:, DELAY_STEPS:].float(), v[:, :-DELAY_STEPS], c[:, :-DELAY_STEPS], w[:, :-DELAY_STEPS]
    total = w.sum()
    n = len(CLASSES)
    phones = nn.functional.cross_entropy(
        out[..., :n].transpose(1, 2), v, weight=class_weight, reduction="none", label_smoothing=0.05
    )
    binary = nn.functional.binary_cross_entropy_with_logits
    closure = binary(out[..., n], c[..., MOUTH_COUNT], pos_weight=torch.tensor(a.closure_weight), reduction="none")
    contact = binary(
        out[..., n + 1], c[..., MOUTH_COUNT + 1], pos_weight=torch.tensor(a.contact_weight), reduction="none"
    )
    curves = ((out[..., n + 2 :] - c[..., :MOUTH_COUNT]) ** 2).sum(-1)
    return ((phones + 1.5 * closure + 0.7 * contact + 6.0 * curves) * w).sum() / total


@torch.no_grad()
def outputs_of(model: Network, recordings: list[Recording]) -> list[np.ndarray]:
    """Return the outputs for each recording, (n, OUTPUTS), before they become probabilities."""
    model.eval()
    outs = []
    for part in recordings:
        steps = len(part.bands) + DELAY_STEPS
        more = np.repeat(part.bands[-1:], DELAY_STEPS + steps % BLOCK, axis=0)
        x = features_of(np.concatenate([part.bands, more]).astype(np.float32)[None])
        outs.append(model(torch.from_numpy(x))[0, DELAY_STEPS : DELAY_STEPS + len(part.bands)].numpy())
    model.train()
    return outs


def scores(model: Network, recordings: list[Recording]) -> dict[str, float]:
    """Return figures over all frames: the share of correct visemes in speech, the recall of closed frames, false
    closures, and the correlation of the jaw.
    """
    out = np.concatenate(outputs_of(model, recordings))
    v = np.concatenate([part.visemes for part in recordings])
    c = np.concatenate([part.curves for part in recordings]).astype(np.float32)
    n, speech = len(CLASSES), v != SILENCE
    shut = out[:, n] > 0
    best = out[:, :n].argmax(axis=1)
    return {
        "accuracy": float((best == v)[speech].mean()),
        "all": float((best == v).mean()),
        "closure": float(shut[v == BILABIAL].mean()),
        "false": float(shut[speech & (c[:, MOUTH_COUNT] == 0)].mean()),
        "jaw": float(np.corrcoef(out[:, n + 2], c[:, 0])[0, 1]),
    }


def save(path: Path, model: Network, state: dict[str, torch.Tensor] | None = None) -> None:
    """Write the weights as float16, in the layout of engine/speech/network.py."""
    arrays_of = {name: tensor.detach().numpy() for name, tensor in (state or model.state_dict()).items()}
    arrays = {name: array for name, array in arrays_of.items() if name.startswith("listener_")}
    for part in ("front", "head"):
        arrays |= {f"{part}_w": arrays_of[f"{part}.weight"].T, f"{part}_b": arrays_of[f"{part}.bias"]}
    listener_w = arrays["front_w"][MEL_INPUTS:] * POSTERIOR_SCALE
    arrays["front_w"] = np.concatenate([arrays["front_w"][:MEL_INPUTS], listener_w])
    arrays["front_b"] = arrays["front_b"] - POSTERIOR_MEAN * listener_w.sum(axis=0)
    for layer in ("first", "second"):
        for kind, name in GRU_PARTS:
            arrays[f"{layer}_{name}"] = arrays_of[f"{layer}.{kind}"].T
    np.savez_compressed(path, **{name: array.astype(np.float16) for name, array in arrays.items()})


def load(path: Path) -> Network:
    """Return the network with the weights that `save` wrote."""
    with np.load(path) as box:
        arrays = {name: np.ascontiguousarray(box[name], np.float32) for name in box.files}
    listener = {name.removeprefix("listener_"): array for name, array in arrays.items() if name.startswith("listener_")}
    model = Network(listener, arrays["front_w"].shape[1], len(arrays["first_wh"]))
    listener_w = arrays["front_w"][MEL_INPUTS:]
    arrays["front_b"] = arrays["front_b"] + POSTERIOR_MEAN * listener_w.sum(axis=0)
    arrays["front_w"] = np.concatenate([arrays["front_w"][:MEL_INPUTS], listener_w / POSTERIOR_SCALE])
    state = {name: torch.from_numpy(array) for name, array in arrays.items() if name.startswith("listener_")}
    for part in ("front", "head"):
        state |= {
            f"{part}.weight": torch.from_numpy(arrays[f"{part}_w"].T),
            f"{part}.bias": torch.from_numpy(arrays[f"{part}_b"]),
        }
    for layer in ("first", "second"):
        for kind, name in GRU_PARTS:
            state[f"{layer}.{kind}"] = torch.from_numpy(arrays[f"{layer}_{name}"].T)
    model.load_state_dict(state)
    return model


def weights_of(voices: dict[str, list[Recording]], natural: float) -> dict[str, float]:
    """Return how often each voice is drawn: in proportion to the square root of its length; all natural voices together
    have the share `natural`.
    """
    lengths = {name: float(np.sqrt(sum(len(part.visemes) for part in parts))) for name, parts in voices.items()}
    real = sum(length for name, length in lengths.items() if name.startswith("natural"))
    made = sum(length for name, length in lengths.items() if not name.startswith("natural"))
    share = natural if real and made else 1.0 if real else 0.0
    return {
        name: length * (share / real if name.startswith("natural") else (1 - share) / made)
        for name, length in lengths.items()
    }


def gather(corpus: Path, patterns: list[str]) -> tuple[dict[str, list[Recording]], dict[str, list[Recording]]]:
    """Return (the voices for training, the held-out voices) of the corpus' files. The names of voices from files with
    "natural" in their name begin with "natural".
    """
    voices: dict[str, list[Recording]] = {}
    held: dict[str, list[Recording]] = {}
    for path in sorted({path for pattern in patterns for path in corpus.glob(f"{pattern}.npz")}):
        if ".bands" in path.name or path.name == "listener.npz":
            continue
        for voice, parts in load_recordings(path).items():
            if path.name.startswith("valid"):
                held.setdefault(f"{path.stem} {voice}", []).extend(parts[:60])
            elif voice in UNSEEN:
                held.setdefault(voice, []).extend(parts[:15])
            else:
                voices.setdefault(f"natural {voice}" if "natural" in path.name else voice, []).extend(parts)
    return voices, held


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--corpus", type=Path, default=Path(__file__).parent / "work")
    options.add_argument("--shards", nargs="+", default=["*"], help="which files of the corpus, as glob patterns")
    options.add_argument("--out", type=Path, default=Path("src/visavis/engine/speech/network.npz"))
    options.add_argument("--start", type=Path, help="weights to start from, instead of random ones")
    options.add_argument("--rate", type=float, default=3e-3, help="highest learning rate")
    options.add_argument(
        "--minutes",
        type=float,
        default=40.0,
        help="processor time to train for, so that a busy machine changes nothing",
    )
    options.add_argument("--front", type=int, default=256)
    options.add_argument("--hidden", type=int, default=256)
    options.add_argument("--batch", type=int, default=64)
    options.add_argument("--natural", type=float, default=0.6, help="share of chunks that are natural speech")
    options.add_argument("--drop", type=float, default=0.15, help="dropout")
    options.add_argument("--without-mel", type=float, default=0.15, help="share of chunks without the mel features")
    options.add_argument("--closure-weight", type=float, default=2.0)
    options.add_argument("--contact-weight", type=float, default=3.0)
    options.add_argument("--rare", type=float, default=0.15, help="power by which rare classes weigh more")
    options.add_argument("--average", type=float, default=0.995, help="share of the old average kept at each step")
    options.add_argument("--seed", type=int, default=1)
    a = options.parse_args()
    torch.manual_seed(a.seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(a.seed)
    voices, held = gather(a.corpus, a.shards)
    hours = {"natural": 0.0, "made": 0.0}
    for name, pieces_of_voice in voices.items():
        frames = sum(len(piece.visemes) for piece in pieces_of_voice)
        hours["natural" if name.startswith("natural") else "made"] += frames / 360_000
    print(f"{len(voices)} voices, hours: {json.dumps(hours)}; held out: {list(held)}", flush=True)
    pieces = Pieces(voices, weights_of(voices, a.natural), rng)
    count = sum(len(parts) for parts in voices.values())
    counts = (
        np.bincount(
            np.concatenate([part.visemes for parts in voices.values() for part in parts]), minlength=len(CLASSES)
        )
        + 1
    )
    class_weight = torch.tensor((counts.mean() / counts) ** a.rare, dtype=torch.float32)
    if a.start:
        model = load(a.start)
    else:
        with np.load(a.corpus / "listener.npz") as box:
            model = Network({name: box[name] for name in box.files}, a.front, a.hidden)
    optimiser = torch.optim.AdamW(model.parameters(), lr=a.rate, weight_decay=1e-2, betas=(0.9, 0.98))
    mean = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    began, seen, total, shown = time.process_time(), 0, 0.0, 0.0

    def report() -> None:
        own = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        model.load_state_dict(mean)
        for name, parts in held.items():
            print("   ", name, {key: round(value, 3) for key, value in scores(model, parts).items()}, flush=True)
        save(a.out, model)
        model.load_state_dict(own)

    while (spent := (time.process_time() - began) / (60 * a.minutes)) < 1:
        for group in optimiser.param_groups:  # the learning rate rises for 3 %, then falls to 0 along a cosine
            group["lr"] = a.rate * min(1.0, spent / 0.03 + 0.05) * (0.5 + 0.5 * float(np.cos(np.pi * spent)))
        x, v, c, w = (torch.from_numpy(array) for array in pieces.batch(a.batch))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = model(x, a.drop, a.without_mel)
        loss = loss_of(out, v, c, w, class_weight, a)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimiser.step()
        seen, total = seen + 1, total + float(loss.detach())
        keep = min(a.average, seen / (seen + 20))
        with torch.no_grad():
            for name, tensor in model.state_dict().items():
                if not name.startswith("listener_"):
                    mean[name].lerp_(tensor, 1 - keep)
        if seen % 50 == 0:
            print(f"step {seen} loss {total / 50:.3f} {time.process_time() - began:.0f} s", flush=True)
            total = 0.0
            if spent - shown > 0.14:
                shown = spent
                report()
                voices, held = gather(a.corpus, a.shards)
                if sum(len(parts) for parts in voices.values()) != count:  # the corpus is still growing
                    count = sum(len(parts) for parts in voices.values())
                    print(f"now {len(voices)} voices, {count} recordings", flush=True)
                    pieces = Pieces(voices, weights_of(voices, a.natural), rng)
    report()
    return 0


if __name__ == "__main__":
    sys.exit(main())
