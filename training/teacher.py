"""The teacher of the listener: how well each context-independent state of CMU Sphinx' US English model explains a
frame.

The model (PocketSphinx wheel, BSD licence) has 42 phones with three states each. A state is a mixture of its phone's
128 Gaussians in three streams. The model was trained on a large amount of natural speech, which we do not have. Its
scores would take 2 to 3 % of a core, so a small network learns them (training/listen.py).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

PHONES, STREAMS, DENSITIES, WIDTH, STATES = 42, 3, 128, 13, 3
PHONE_STATES = PHONES * STATES
FLATTEN = np.float32(0.2)  # factor of the log posteriors: they are far too certain, as streams count as independent

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixtures:
    """`means`, `variances`: (phones, streams, densities, width). `mixing`: (streams, phones, densities, states).
    `quadratic`: (streams, 2 * width + 1, phones * densities), log densities as a product with [x^2, x, 1].
    """

    means: Array
    variances: Array
    mixing: Array
    quadratic: Array


def _gaussians(path: Path) -> Array:
    """Read sphinxbase's S3 mixture file."""
    raw = path.read_bytes()
    at = raw.index(b"endhdr\n") + len(b"endhdr\n")
    magic, *shape, total = struct.unpack("<8i", raw[at : at + 32])
    assert magic == 0x11223344 and shape == [PHONES, STREAMS, DENSITIES, WIDTH, WIDTH, WIDTH], (hex(magic), shape)
    return np.frombuffer(raw, "<f4", total, at + 32).reshape(PHONES, STREAMS, DENSITIES, WIDTH).astype(np.float32)


def _mixing(path: Path) -> Array:
    """Read the weights of the context-independent senones, which come first, from `sendump`. They have 8 bits: -log to
    the base 1.0001, shifted right by 10.
    """
    raw, at = path.read_bytes(), 0
    while (length := struct.unpack("<i", raw[at : at + 4])[0]) != 0:
        at += 4 + length
    densities, senones = struct.unpack("<2i", raw[at + 4 : at + 12])
    assert densities == DENSITIES, densities
    table = np.frombuffer(raw, np.uint8, STREAMS * DENSITIES * senones, at + 12).reshape(STREAMS, DENSITIES, senones)
    logs = -table[:, :, : PHONES * STATES].astype(np.float32) * np.float32(1024 * np.log(1.0001))
    return np.ascontiguousarray(np.exp(logs).reshape(STREAMS, DENSITIES, PHONES, STATES).transpose(0, 2, 1, 3))


def load_teacher() -> Mixtures:
    """Return the model of the installed PocketSphinx wheel."""
    import pocketsphinx

    folder = Path(pocketsphinx.get_model_path()) / "en-us" / "en-us"
    means, variances = _gaussians(folder / "means"), np.maximum(_gaussians(folder / "variances"), np.float32(0.01))
    precision = 1.0 / variances
    constant = -0.5 * (means**2 * precision + np.log(2 * np.pi * variances)).sum(-1)
    quadratic = np.concatenate([-0.5 * precision, means * precision, constant[..., None]], axis=-1)
    flat = quadratic.transpose(1, 3, 0, 2).reshape(STREAMS, 2 * WIDTH + 1, PHONES * DENSITIES)
    return Mixtures(
        means=means,
        variances=variances,
        mixing=_mixing(folder / "sendump"),
        quadratic=np.ascontiguousarray(flat, np.float32),
    )


def score(dynamic: Array, model: Mixtures) -> Array:
    """Return the flattened log posteriors of the states, float32 (n, PHONE_STATES), for frames [c, d, dd], (n, STREAMS
    * WIDTH).
    """
    dynamic = dynamic.reshape(-1, STREAMS, WIDTH)
    total = np.zeros((len(dynamic), PHONES, STATES), np.float32)
    for k in range(STREAMS):
        x = dynamic[:, k]
        terms = np.concatenate([x * x, x, np.ones((len(x), 1), np.float32)], axis=1)
        logs = (terms @ model.quadratic[k]).reshape(len(x), PHONES, DENSITIES)
        best = logs.max(axis=2, keepdims=True)
        np.exp(logs - best, out=logs)
        mixed = np.matmul(logs.transpose(1, 0, 2), model.mixing[k]).transpose(1, 0, 2)
        total += np.log(mixed + np.float32(1e-20)) + best
    flat = total.reshape(len(total), PHONE_STATES)
    flat = (flat - flat.max(axis=1, keepdims=True)) * FLATTEN
    return flat - np.log(np.exp(flat).sum(axis=1, keepdims=True))


def sample_frames(count: int, model: Mixtures, rng: np.random.Generator) -> Array:
    """Return random frames of the model, float32 (count, STREAMS * WIDTH): states are chosen evenly, and a frame is
    drawn from the mixture of each.
    """
    phone, state = rng.integers(0, PHONES, count), rng.integers(0, STATES, count)
    out = np.empty((count, STREAMS, WIDTH), np.float32)
    for k in range(STREAMS):
        weights = model.mixing[k, phone, :, state]
        edges = np.cumsum(weights, axis=1)
        density = (edges < rng.random((count, 1)) * edges[:, -1:]).sum(axis=1).clip(0, DENSITIES - 1)
        spread = np.sqrt(model.variances[phone, k, density])
        out[:, k] = model.means[phone, k, density] + spread * rng.normal(size=(count, WIDTH)).astype(np.float32)
    return out.reshape(count, -1)
