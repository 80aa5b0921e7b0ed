"""Train the network on the corpus and write it as the product ships it.

    python -m training.train --corpus training/work --out src/visavis/engine/speech/network.npz [--minutes 40] [--seed 1]

It learns, of each step, from what was heard up to DELAY_STEPS later: the viseme class, whether the lips are closed, whether lip and teeth touch, and
the curves of the co-articulation model. Closures weigh more than their number: a viewer forgives a vowel, never an open /b/.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from visavis.engine.audio.mel import MEL_BANDS
from visavis.engine.motion.frame import MOUTH_COUNT
from visavis.engine.speech.acoustic import SCORES
from visavis.engine.speech.network import DELAY_STEPS, STACK
from visavis.engine.speech.visemes import BILABIAL, CLASSES, SILENCE

MEL = MEL_BANDS + 1
CHUNK_STEPS, WARM_STEPS = 160, 12
DEAF = 0.3
CLOSURE_WEIGHT, CONTACT_WEIGHT = 3.0, 5.0


class Network(nn.Module):
    """What engine/speech/network.py computes. The listener is frozen: what it knows of natural speech, synthesised speech must not unlearn."""

    def __init__(self, listener: dict[str, np.ndarray], front: int, hidden: int) -> None:
        super().__init__()
        for name, array in listener.items():
            self.register_buffer(f"listener_{name}", torch.from_numpy(array.astype(np.float16).astype(np.float32)))
        self.front = nn.Linear(MEL * STACK + SCORES, front)
        self.first = nn.GRU(front, hidden, batch_first=True)
        self.second = nn.GRU(hidden, hidden, batch_first=True)
        self.head = nn.Linear(hidden, len(CLASSES) + 2 + MOUTH_COUNT)

    def listen(self, dynamic: torch.Tensor) -> torch.Tensor:
        x = torch.relu((dynamic * self.listener_scale) @ self.listener_w1 + self.listener_b1)
        return torch.log_softmax(torch.relu(x @ self.listener_w2 + self.listener_b2) @ self.listener_w3 + self.listener_b3, dim=-1)

    def forward(self, x: torch.Tensor, drop: float = 0.0, deaf: float = 0.0) -> torch.Tensor:
        """`deaf`: share of the chunks that go without mel, so that the listener's opinion is learned to be worth something of its own."""
        mel, dynamic = x[..., :MEL], x[..., MEL:]
        if deaf:
            mel = mel * (torch.rand(len(x), 1, 1) >= deaf)
        stacked = torch.cat([nn.functional.pad(mel, (0, 0, k, 0))[:, : x.shape[1]] for k in range(STACK)] + [self.listen(dynamic)], dim=2)
        y = nn.functional.dropout(torch.relu(self.front(stacked)), drop, self.training)
        y, _ = self.first(y)
        y, _ = self.second(nn.functional.dropout(y, drop, self.training))
        return self.head(nn.functional.dropout(y, drop, self.training))


class Corpus:
    """Chunks of the training files, shuffled anew each epoch."""

    def __init__(self, paths: list[Path]) -> None:
        boxes = [np.load(path) for path in paths]
        self.features = np.concatenate([box["features"] for box in boxes])
        self.visemes = np.concatenate([box["visemes"] for box in boxes])
        self.curves = np.concatenate([box["curves"] for box in boxes])
        lengths = np.concatenate([np.diff(box["ends"], prepend=0) for box in boxes])
        self.starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        self.lengths = lengths

    def batches(self, size: int, rng: np.random.Generator):
        """Yield (features, visemes, curves, weight) with time masked where a chunk is shorter or not yet warm."""
        chunks = []
        for start, length in zip(self.starts, self.lengths, strict=True):
            first = -int(rng.integers(0, CHUNK_STEPS // 2))
            while first < length - 30:
                chunks.append((start, length, first))
                first += CHUNK_STEPS - WARM_STEPS
        rng.shuffle(chunks)
        for k in range(0, len(chunks) - size + 1, size):
            x = np.zeros((size, CHUNK_STEPS, self.features.shape[1]), np.float32)
            v = np.zeros((size, CHUNK_STEPS), np.int64)
            c = np.zeros((size, CHUNK_STEPS, self.curves.shape[1]), np.float32)
            w = np.zeros((size, CHUNK_STEPS), np.float32)
            for i, (start, length, first) in enumerate(chunks[k : k + size]):
                a, b = max(first, 0), min(first + CHUNK_STEPS, length)
                n = b - a
                x[i, :n], v[i, :n], c[i, :n] = (
                    self.features[start + a : start + b],
                    self.visemes[start + a : start + b],
                    self.curves[start + a : start + b],
                )
                w[i, (WARM_STEPS if a else 0) : n] = 1.0
            yield x, v, c, w


def shards(corpus: Path) -> list[Path]:
    return sorted(path for path in corpus.glob("train*.npz") if ".partial" not in path.name)


def loss_of(out: torch.Tensor, v: torch.Tensor, c: torch.Tensor, w: torch.Tensor, class_weight: torch.Tensor) -> torch.Tensor:
    out, v, c, w = out[:, DELAY_STEPS:], v[:, :-DELAY_STEPS], c[:, :-DELAY_STEPS], w[:, DELAY_STEPS:] * w[:, :-DELAY_STEPS]
    total = w.sum()
    n = len(CLASSES)
    phones = nn.functional.cross_entropy(out[..., :n].transpose(1, 2), v, weight=class_weight, reduction="none", label_smoothing=0.05)
    binary = nn.functional.binary_cross_entropy_with_logits
    closure = binary(out[..., n], c[..., MOUTH_COUNT], pos_weight=torch.tensor(CLOSURE_WEIGHT), reduction="none")
    contact = binary(out[..., n + 1], c[..., MOUTH_COUNT + 1], pos_weight=torch.tensor(CONTACT_WEIGHT), reduction="none")
    curves = ((out[..., n + 2 :] - c[..., :MOUTH_COUNT]) ** 2).sum(-1)
    return ((phones + 1.5 * closure + 0.7 * contact + 6.0 * curves) * w).sum() / total


@torch.no_grad()
def scores(model: Network, paths: list[Path]) -> dict[str, float]:
    """Return per-frame figures on the unseen voices: viseme accuracy in speech, closure recall per frame, false closures, jaw correlation."""
    model.eval()
    hits = frames = closed = closures = false = others = 0
    jaw_x, jaw_y = [], []
    for path in paths:
        with np.load(path) as box:
            features, visemes, curves, ends = box["features"].astype(np.float32), box["visemes"], box["curves"].astype(np.float32), box["ends"]
        for a, b in zip(np.concatenate([[0], ends[:-1]]), ends, strict=True):
            x = np.concatenate([features[a:b], np.tile(features[b - 1 : b], (DELAY_STEPS, 1))])
            out = model(torch.from_numpy(x)[None])[0, DELAY_STEPS:].numpy()
            v = visemes[a:b]
            speech = v != SILENCE
            hits += int((out[:, : len(CLASSES)].argmax(1) == v)[speech].sum())
            frames += int(speech.sum())
            shut = out[:, len(CLASSES)] > 0
            closed, closures = closed + int(shut[v == BILABIAL].sum()), closures + int((v == BILABIAL).sum())
            far = speech & (curves[a:b, MOUTH_COUNT] == 0)
            false, others = false + int(shut[far].sum()), others + int(far.sum())
            jaw_x.append(out[:, len(CLASSES) + 2])
            jaw_y.append(curves[a:b, 0])
    model.train()
    jaw = float(np.corrcoef(np.concatenate(jaw_x), np.concatenate(jaw_y))[0, 1])
    return {"accuracy": hits / frames, "closure": closed / closures, "false": false / others, "jaw": jaw}


def save(path: Path, model: Network) -> None:
    """Write the weights as float16, in the layout that engine/speech/network.py reads."""
    state = {name: tensor.detach().numpy() for name, tensor in model.state_dict().items()}
    arrays = {name: array for name, array in state.items() if name.startswith("listener_")}
    arrays |= {"front_w": state["front.weight"].T, "front_b": state["front.bias"], "head_w": state["head.weight"].T, "head_b": state["head.bias"]}
    for layer in ("first", "second"):
        for kind, name in (("weight_ih_l0", "wx"), ("weight_hh_l0", "wh"), ("bias_ih_l0", "bx"), ("bias_hh_l0", "bh")):
            arrays[f"{layer}_{name}"] = state[f"{layer}.{kind}"].T
    np.savez_compressed(path, **{name: array.astype(np.float16) for name, array in arrays.items()})


def load(path: Path, model: Network) -> None:
    """Take up the weights that `save` wrote."""
    with np.load(path) as box:
        arrays = {name: torch.from_numpy(np.ascontiguousarray(box[name], np.float32)) for name in box.files}
    state = {name: arrays[name] for name in arrays if name.startswith("listener_")}
    for part in ("front", "head"):
        state |= {f"{part}.weight": arrays[f"{part}_w"].T, f"{part}.bias": arrays[f"{part}_b"]}
    for layer in ("first", "second"):
        for kind, name in (("weight_ih_l0", "wx"), ("weight_hh_l0", "wh"), ("bias_ih_l0", "bx"), ("bias_hh_l0", "bh")):
            state[f"{layer}.{kind}"] = arrays[f"{layer}_{name}"].T
    model.load_state_dict(state)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--corpus", type=Path, default=Path(__file__).parent / "work")
    options.add_argument("--out", type=Path, default=Path("src/visavis/engine/speech/network.npz"))
    options.add_argument("--start", type=Path, help="weights to go on from")
    options.add_argument("--rate", type=float, default=3e-3, help="learning rate at its highest")
    options.add_argument("--minutes", type=float, default=40.0)
    options.add_argument("--front", type=int, default=128)
    options.add_argument("--hidden", type=int, default=128)
    options.add_argument("--batch", type=int, default=48)
    options.add_argument("--seed", type=int, default=1)
    a = options.parse_args()
    torch.manual_seed(a.seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(a.seed)
    corpus = Corpus(found := shards(a.corpus))
    unseen = sorted(a.corpus.glob("unseen*.npz"))
    counts = np.bincount(corpus.visemes, minlength=len(CLASSES)) + 1
    class_weight = torch.tensor((counts.mean() / counts) ** 0.4, dtype=torch.float32)
    with np.load(a.corpus / "listener.npz") as box:
        model = Network({name: box[name] for name in box.files}, a.front, a.hidden)
    if a.start:
        load(a.start, model)
    optimiser = torch.optim.AdamW(model.parameters(), lr=a.rate, weight_decay=1e-3)
    began, epoch, seen, total = time.monotonic(), 0, 0, 0.0
    while True:
        for x, v, c, w in corpus.batches(a.batch, rng):
            spent = (time.monotonic() - began) / (60 * a.minutes)
            if spent >= 1:
                break
            for group in optimiser.param_groups:  # one warm-up, then down to nothing along a cosine
                group["lr"] = a.rate * min(1.0, spent / 0.03 + 0.05) * (0.5 + 0.5 * float(np.cos(np.pi * spent)))
            loss = loss_of(model(torch.from_numpy(x), 0.1, DEAF), torch.from_numpy(v), torch.from_numpy(c), torch.from_numpy(w), class_weight)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 2.0)
            optimiser.step()
            seen, total = seen + 1, total + float(loss.detach())
            if seen % 50 == 0:
                print(f"epoch {epoch} step {seen} loss {total / 50:.3f} {time.monotonic() - began:.0f} s", flush=True)
                total = 0.0
        print({name: round(value, 3) for name, value in scores(model, unseen).items()}, flush=True)
        save(a.out, model)
        epoch += 1
        if len(shards(a.corpus)) > len(found):  # the corpus is still growing
            corpus = Corpus(found := shards(a.corpus))
        if time.monotonic() - began >= 60 * a.minutes:
            return 0


if __name__ == "__main__":
    sys.exit(main())
