"""The network that hears phones, in numpy: one step in, one step out, always by the same operations on the same shapes.

It takes the mel of three frames and the listener's opinion (acoustic.py), and passes them through two gated recurrent layers.

That is what makes a stream bit-identical however it is cut: nothing is ever batched. Trained by `training/train.py`; `docs/speech-model.md` tells
on what.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from visavis.engine.audio.mel import MEL_BANDS
from visavis.engine.motion.frame import MOUTH_COUNT
from visavis.engine.speech.acoustic import Listener
from visavis.engine.speech.visemes import CLASSES

STACK = 3  # frames of mel that the first layer sees: this one and the two before
DELAY_STEPS = 4  # the output after frame t speaks of step t - DELAY_STEPS
WEIGHTS = "network.npz"

Vector = NDArray[np.float32]


def _sigmoid(x: Vector) -> Vector:
    return np.float32(0.5) * np.tanh(np.float32(0.5) * x) + np.float32(0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One step as the network hears it.

    `visemes`: float32 (len(CLASSES),), adding to 1. `closure`, `contact`: probabilities that the lips are closed, that lip and teeth touch.
    `mouth`: float32 (MOUTH_COUNT,), the expected curves without closing.
    """

    visemes: Vector
    closure: float
    contact: float
    mouth: Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class _Layer:
    wx: Vector  # (inputs, 3 * hidden): reset, update, new
    wh: Vector
    bx: Vector
    bh: Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Shared by all streams of a process; never written to."""

    listener: Listener
    front_w: Vector
    front_b: Vector
    layers: tuple[_Layer, ...]
    head_w: Vector
    head_b: Vector


@cache
def load_weights() -> Weights:
    """Return the weights shipped with the package."""
    with files(__package__).joinpath(WEIGHTS).open("rb") as file, np.load(file) as box:
        array = {name: np.ascontiguousarray(box[name], np.float32) for name in box.files}
    listener = Listener(**{name: array[f"listener_{name}"] for name in ("scale", "w1", "b1", "w2", "b2", "w3", "b3")})
    layers = tuple(_Layer(wx=array[f"{n}_wx"], wh=array[f"{n}_wh"], bx=array[f"{n}_bx"], bh=array[f"{n}_bh"]) for n in ("first", "second"))
    return Weights(
        listener=listener, front_w=array["front_w"], front_b=array["front_b"], layers=layers, head_w=array["head_w"], head_b=array["head_b"]
    )


class Network:
    """One stream's state over the shared weights."""

    def __init__(self, weights: Weights | None = None) -> None:
        self._weights = weights or load_weights()
        self.reset()

    def reset(self) -> None:
        self._recent = np.zeros(STACK * (MEL_BANDS + 1), np.float32)  # newest mel first
        self._states = [np.zeros(layer.wh.shape[0], np.float32) for layer in self._weights.layers]

    def take(self, mel: Vector, dynamic: Vector) -> Heard:
        """Take the normalised mel (MEL_BANDS + 1,) of frame t and the cepstra as of then; return what was heard of step t - DELAY_STEPS."""
        w, width = self._weights, len(mel)
        self._recent[width:] = self._recent[:-width].copy()
        self._recent[:width] = mel
        x = np.concatenate([self._recent, w.listener.hear(dynamic)])
        x = np.maximum(x @ w.front_w + w.front_b, np.float32(0))
        for i, layer in enumerate(w.layers):
            x = self._states[i] = _gru(x, self._states[i], layer)
        out = x @ w.head_w + w.head_b
        n = len(CLASSES)
        likely = np.exp(out[:n] - np.maximum.reduce(out[:n]))
        gates = _sigmoid(out[n : n + 2])
        return Heard(visemes=likely / np.add.reduce(likely), closure=float(gates[0]), contact=float(gates[1]), mouth=out[n + 2 : n + 2 + MOUTH_COUNT])


def _gru(x: Vector, h: Vector, layer: _Layer) -> Vector:
    """One step of a gated recurrent unit (Cho et al. 2014, in the form of cuDNN and PyTorch)."""
    size = len(h)
    from_x, from_h = x @ layer.wx + layer.bx, h @ layer.wh + layer.bh
    gates = _sigmoid(from_x[: 2 * size] + from_h[: 2 * size])
    new = np.tanh(from_x[2 * size :] + gates[:size] * from_h[2 * size :])
    return new + gates[size:] * (h - new)
