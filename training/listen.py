"""Trains the listener: a small network that learns the answers of CMU Sphinx' acoustic model, at 0.1 % of a core.

    python -m training.listen --corpus training/work [--minutes 6] [--seed 1]

It learns from frames that are drawn from the mixtures of the model (natural speech, as far as mixtures describe it) and
from the augmented corpus. It writes `listener.npz` into the folder of the corpus; training/train.py copies it into the
weights of the product.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

from visavis.engine.speech.acoustic import DYNAMIC, PHONE_STATES

from .chunks import Pieces
from .features import MEL
from .teacher import load_teacher, sample_frames, score
from .train import gather, weights_of


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--corpus", type=Path, default=Path(__file__).parent / "work")
    options.add_argument("--shards", nargs="+", default=["*"], help="which files of the corpus, as glob patterns")
    options.add_argument("--out", type=Path, help="listener.npz of the corpus if left out")
    options.add_argument("--minutes", type=float, default=6.0)
    options.add_argument("--frames", type=int, default=300_000, help="of each kind")
    options.add_argument("--hidden", type=int, default=192)
    options.add_argument("--seed", type=int, default=1)
    a = options.parse_args()
    torch.manual_seed(a.seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(a.seed)
    teacher = load_teacher()
    voices, _ = gather(a.corpus, a.shards)
    pieces = Pieces(voices, weights_of(voices, 0.5), rng)
    frames, count = [], 0
    while count < a.frames:
        frames.append(pieces.batch(32)[0][..., MEL:].reshape(-1, DYNAMIC))
        count += len(frames[-1])
    x = np.concatenate([*frames, sample_frames(a.frames, teacher, rng)])
    y = np.concatenate([score(x[k : k + 500], teacher) for k in range(0, len(x), 500)])
    kind = np.arange(len(x)) >= count
    print(f"{len(x)} frames scored", flush=True)
    scale = 1.0 / x.std(axis=0)
    held = rng.random(len(x)) < 0.02
    xs, ys = torch.from_numpy(x * scale), torch.from_numpy(y)
    model = nn.Sequential(
        nn.Linear(DYNAMIC, a.hidden),
        nn.ReLU(),
        nn.Linear(a.hidden, a.hidden),
        nn.ReLU(),
        nn.Linear(a.hidden, PHONE_STATES),
    )
    optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
    learn = torch.from_numpy(np.flatnonzero(~held))
    began = time.monotonic()
    while (spent := (time.monotonic() - began) / (60 * a.minutes)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * (0.5 + 0.5 * float(np.cos(np.pi * spent)))
        pick = learn[torch.randint(0, len(learn), (512,))]
        loss = nn.functional.kl_div(
            torch.log_softmax(model(xs[pick]), dim=1), ys[pick], log_target=True, reduction="batchmean"
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        guess = torch.log_softmax(model(xs[held]), dim=1).numpy()
    for name, part in (("corpus", ~kind[held]), ("drawn", kind[held])):
        agree = float((guess[part].argmax(1) // 3 == y[held][part].argmax(1) // 3).mean())
        error = float((np.exp(y[held][part]) * (y[held][part] - guess[part])).sum(1).mean())
        print(f"{name}: same best phone {agree:.3f}, divergence {error:.4f} nats", flush=True)
    arrays = {"scale": scale}
    for i, layer in enumerate(part for part in model if isinstance(part, nn.Linear)):
        arrays[f"w{i + 1}"], arrays[f"b{i + 1}"] = layer.weight.detach().numpy().T, layer.bias.detach().numpy()
    np.savez(a.out or a.corpus / "listener.npz", **arrays)
    return 0


if __name__ == "__main__":
    sys.exit(main())
