"""The network that recognises phones and gives the motion of the mouth, in NumPy.

It works in blocks of two steps (20 ms). The input of a block are the mel of four frames and two posteriors of the
listener (acoustic.py). They pass through two gated recurrent layers, and two steps of outputs come out. At the same
cost it is twice as large as a network that works in steps of 10 ms.

Everything that does not depend on the block before is computed for all available blocks in one call of NumPy, but one
row at a time (`matmul_by_row`). So the weights are read from memory only once, and a stream still gives bit-identical
outputs however it is cut. `training/train.py` trains the network; `docs/speech-model.md` describes the data.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from visavis.engine.audio.mel import MEL_BANDS, matmul_by_row
from visavis.engine.motion.frame import MOUTH_COUNT
from visavis.engine.speech.acoustic import SPAN, Listener, of_span
from visavis.engine.speech.visemes import CLASSES
from visavis.engine.speech.weights_file import WEIGHTS

BLOCK = 2  # steps in a block
STACK = 4  # frames of mel in the input of a block: its own two and the two before
# The outputs of frame t belong to step t - DELAY_STEPS. A block ends with frame t + 1, so the first of its two steps
# has one more frame of look-ahead.
DELAY_STEPS = 4

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A gated recurrent layer of n units (Cho et al. 2014, in the form of cuDNN and PyTorch): reset, update, new.

    The sigmoid is computed as 1/2 + tanh(x/2)/2; its factors 1/2 are contained in the weights. `wx`: (inputs, 3n),
    `bx`: (3n,); `wh`: (n + 1, 3n), for the state with a 1 appended.
    """

    wx: Vector
    bx: Vector
    wh: Vector

    @classmethod
    def of(cls, wx: Vector, wh: Vector, bx: Vector, bh: Vector) -> Layer:
        """Return the layer for the weights of PyTorch, (inputs, 3n) and (n, 3n), and its biases, (3n,) each."""
        n = len(wh)
        half = np.repeat(np.array([0.5, 0.5, 1.0], np.float32), n)
        bias = np.concatenate([np.zeros(2 * n, np.float32), bh[2 * n :]])
        both = bx + np.concatenate([bh[: 2 * n], np.zeros(n, np.float32)])
        return cls(wx=wx * half, bx=both * half, wh=np.concatenate([wh, bias[None]]) * np.float32(0.5))


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """The weights of the network. All streams of a process share them; they never change.

    Frames of one input are ordered from the oldest on. `opening` (len(OPENING_LAGS), OUTPUTS): weights that estimate
    the opening of the lips from the outputs, in units of jawOpen (training/opening.py).
    """

    listener: Listener
    front_mel: Vector
    front_listener: Vector
    front_b: Vector
    layers: tuple[Layer, ...]
    head_w: Vector
    head_b: Vector
    opening: Vector


@cache
def load_weights() -> Weights:
    """Return the weights that are shipped with the package."""
    with np.load(WEIGHTS) as box:
        array = {name: np.ascontiguousarray(box[name], np.float32) for name in box.files}
    listener = {name: array[f"listener_{name}"] for name in ("w1", "b1", "w2", "b2", "w3", "b3")}
    listener["w1"] = of_span(listener["w1"] * array["listener_scale"][:, None])
    layers = tuple(
        Layer.of(*(array[f"{name}_{part}"] for part in ("wx", "wh", "bx", "bh"))) for name in ("first", "second")
    )
    mel_inputs = STACK * (MEL_BANDS + 1)
    return Weights(
        listener=Listener(**listener),
        front_mel=np.ascontiguousarray(array["front_w"][:mel_inputs]),
        front_listener=np.ascontiguousarray(array["front_w"][mel_inputs:]),
        front_b=array["front_b"],
        layers=layers,
        head_w=array["head_w"],
        head_b=array["head_b"],
        opening=array["opening"],
    )


# The outputs of one step, in this order.
VISEMES = slice(0, len(CLASSES))  # probabilities; their sum is 1
CLOSURE, CONTACT = len(CLASSES), len(CLASSES) + 1  # probabilities of a closure and of a contact
MOUTH = slice(len(CLASSES) + 2, len(CLASSES) + 2 + MOUTH_COUNT)  # the curves of the mouth, without closures
OUTPUTS = len(CLASSES) + 2 + MOUTH_COUNT

# The opening is estimated from the outputs of now and of this many steps before: how open a diphthong ends depends on
# how it began.
OPENING_LAGS = (0, 4)


class _History:
    """The last frames of a stream, which are joined with the next ones."""

    def __init__(self, frames: int, *, by: int = 1) -> None:
        self._frames, self._by = frames, by
        self._rows: Vector | None = None

    def spans(self, rows: Vector, first: Vector) -> Vector:
        """Take rows (n, m). Return the spans of `frames` rows that end with every `by`th row, (k, frames * m).

        `first` is repeated for the rows before the stream. Rows that complete no span are kept for the next call.
        """
        before = np.repeat(first[None], self._frames - self._by, axis=0) if self._rows is None else self._rows
        rows = np.concatenate([before, rows])
        count = max(0, len(rows) - self._frames + self._by) // self._by
        self._rows = rows[count * self._by :]
        width = rows.shape[1]
        flat = rows.ravel()
        spans = np.empty((count, self._frames * width), np.float32)
        for k in range(count):
            spans[k] = flat[k * self._by * width : (k * self._by + self._frames) * width]
        return spans


class Network:
    """The state of one stream, over the shared weights."""

    def __init__(self, weights: Weights | None = None) -> None:
        self._weights = weights or load_weights()
        self.reset()

    def reset(self) -> None:
        self._mel, self._cepstra = _History(STACK, by=BLOCK), _History(SPAN)
        self._posteriors = _History(BLOCK, by=BLOCK)
        self._states = [
            np.append(np.zeros(len(layer.wh) - 1, np.float32), np.float32(1)) for layer in self._weights.layers
        ]

    def take(self, mel: Vector, cepstra: Vector) -> Vector:
        """Take the normalised mel (n, MEL_BANDS + 1) and the cepstra (n, CEPSTRA) of n > 0 frames.

        Return the outputs, float32 (m, OUTPUTS), one row for every frame t of the blocks that are now complete. Row t
        belongs to step t - DELAY_STEPS. The columns are VISEMES, CLOSURE, CONTACT and MOUTH.
        """
        w = self._weights
        posteriors = w.listener.log_posteriors(self._cepstra.spans(cepstra, cepstra[0]))
        posteriors = self._posteriors.spans(posteriors, posteriors[0])
        x = matmul_by_row(self._mel.spans(mel, np.zeros_like(mel[0])), w.front_mel)
        if not len(x):
            return np.zeros((0, OUTPUTS), np.float32)
        x += matmul_by_row(posteriors, w.front_listener)
        x += w.front_b
        np.maximum(x, np.float32(0), out=x)
        for state, layer in zip(self._states, w.layers, strict=True):
            x = _gru(x, state, layer)
        outputs = matmul_by_row(x, w.head_w)
        outputs += w.head_b
        outputs = outputs.reshape(-1, OUTPUTS)
        visemes = outputs[:, VISEMES]  # softmax
        visemes -= np.maximum.reduce(visemes, axis=1, keepdims=True)
        np.exp(visemes, out=visemes)
        visemes /= np.add.reduce(visemes, axis=1, keepdims=True)
        gates = outputs[:, CLOSURE : CONTACT + 1]  # sigmoid
        gates[:] = np.tanh(gates * np.float32(0.5)) * np.float32(0.5) + np.float32(0.5)
        return outputs


def _gru(x: Vector, state: Vector, layer: Layer) -> Vector:
    """Pass steps (n, inputs) through a layer and update its state, (units + 1,). Return its states after each step, (n,
    units).
    """
    n = len(state) - 1
    h = state[:n]
    sums = matmul_by_row(x, layer.wx)
    sums += layer.bx
    out = np.empty((len(x), n), np.float32)
    from_h, half = np.empty(3 * n, np.float32), np.float32(0.5)
    new_h = from_h[2 * n :]
    for total, gates, reset, update, new, after in zip(
        sums, sums[:, : 2 * n], sums[:, :n], sums[:, n : 2 * n], sums[:, 2 * n :], out, strict=True
    ):
        np.dot(state, layer.wh, from_h)
        total += from_h
        np.tanh(gates, gates)
        reset *= new_h
        new += reset
        np.tanh(new, new)
        h -= new
        h *= half
        new += h
        h *= update
        h += new
        after[:] = h
    return out
