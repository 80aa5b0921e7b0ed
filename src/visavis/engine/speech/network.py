"""The network that hears phones, in numpy: some steps in, as many out, each by the same operations whatever came with
it.

It moves by blocks of two steps: the mel of four frames and two opinions of the listener (acoustic.py) go in, pass
through two gated recurrent layers, and two steps come out; so it may be twice as large as one that moves every 10 ms,
at the same cost. What does not depend on the block before is computed for all blocks at hand, a row at a time
(`rows_times`): weights come from memory once, numpy is called once, and a stream is still bit-identical however it is
cut. Trained by `training/train.py`; `docs/speech-model.md` tells on what.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from visavis.engine.audio.mel import MEL_BANDS, rows_times
from visavis.engine.motion.frame import MOUTH_COUNT
from visavis.engine.speech.acoustic import SPAN, Listener, of_span
from visavis.engine.speech.visemes import CLASSES

BLOCK = 2  # steps that the network moves by
STACK = 4  # frames of mel that the first layer sees: those of the block and the two before
# what comes out for frame t speaks of step t - DELAY_STEPS: after a block of frames t, t + 1, the first has seen one
# frame more
DELAY_STEPS = 4
WEIGHTS = "network.npz"

Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A gated recurrent layer of n units (Cho et al. 2014, in the form of cuDNN and PyTorch): reset, update, new.

    The sigmoid is 1/2 + tanh(x/2)/2, and its halves are in the weights. `wx` (inputs, 3n), `bx` (3n,); `wh` (n + 1, 3n)
    takes the state and a 1.
    """

    wx: Vector
    bx: Vector
    wh: Vector

    @classmethod
    def of(cls, wx: Vector, wh: Vector, bx: Vector, bh: Vector) -> Layer:
        """Return the layer of PyTorch's weights, (inputs, 3n) and (n, 3n), and its biases."""
        n = len(wh)
        half = np.repeat(np.array([0.5, 0.5, 1.0], np.float32), n)
        bias = np.concatenate([np.zeros(2 * n, np.float32), bh[2 * n :]])
        both = bx + np.concatenate([bh[: 2 * n], np.zeros(n, np.float32)])
        return cls(wx=wx * half, bx=both * half, wh=np.concatenate([wh, bias[None]]) * np.float32(0.5))


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Shared by all streams of a process; never written to. Frames that are seen together come oldest first.

    `opening` (len(OPENING_LAGS), HEARD) reads off what was heard how far the lips are apart, 1 being a jaw wide open
    (training/opening.py).
    """

    listener: Listener
    front_mel: Vector
    front_heard: Vector
    front_b: Vector
    layers: tuple[Layer, ...]
    head_w: Vector
    head_b: Vector
    opening: Vector


@cache
def load_weights() -> Weights:
    """Return the weights shipped with the package."""
    with files(__package__).joinpath(WEIGHTS).open("rb") as file, np.load(file) as box:
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
        front_heard=np.ascontiguousarray(array["front_w"][mel_inputs:]),
        front_b=array["front_b"],
        layers=layers,
        head_w=array["head_w"],
        head_b=array["head_b"],
        opening=array["opening"],
    )


# The columns of what is heard.
VISEMES = slice(0, len(CLASSES))  # probabilities, adding to 1
CLOSURE, CONTACT = len(CLASSES), len(CLASSES) + 1  # that the lips are closed, that lip and teeth touch
MOUTH = slice(len(CLASSES) + 2, len(CLASSES) + 2 + MOUTH_COUNT)  # the expected curves without closing
HEARD = len(CLASSES) + 2 + MOUTH_COUNT

# steps back at which the opening is read off: the end of a diphthong is as open as its beginning lets it be
OPENING_LAGS = (0, 4)


class _Recent:
    """The last frames of a stream, so that they can be seen with those before them."""

    def __init__(self, frames: int, *, by: int = 1) -> None:
        self._frames, self._by = frames, by
        self._rows: Vector | None = None

    def spans(self, rows: Vector, first: Vector) -> Vector:
        """Take rows (n, m); return the spans of `frames` rows that end with every `by`th row, (k, frames * m).

        `first` stands for what was before the stream; rows that complete no span are kept for the next call.
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
    """One stream's state over the shared weights."""

    def __init__(self, weights: Weights | None = None) -> None:
        self._weights = weights or load_weights()
        self.reset()

    def reset(self) -> None:
        self._mel, self._cepstra, self._opinions = _Recent(STACK, by=BLOCK), _Recent(SPAN), _Recent(BLOCK, by=BLOCK)
        self._states = [
            np.append(np.zeros(len(layer.wh) - 1, np.float32), np.float32(1)) for layer in self._weights.layers
        ]

    def take(self, mel: Vector, cepstra: Vector) -> Vector:
        """Take the normalised mel (n, MEL_BANDS + 1) and the cepstra (n, CEPSTRA) of n > 0 frames.

        Return what was heard, float32 (m, HEARD), a row for every frame t of the blocks that are now whole: it speaks
        of step t - DELAY_STEPS. The columns are VISEMES, CLOSURE, CONTACT and MOUTH.
        """
        w = self._weights
        opinions = w.listener.hear(self._cepstra.spans(cepstra, cepstra[0]))
        opinions = self._opinions.spans(opinions, opinions[0])
        x = rows_times(self._mel.spans(mel, np.zeros_like(mel[0])), w.front_mel)
        if not len(x):
            return np.zeros((0, HEARD), np.float32)
        x += rows_times(opinions, w.front_heard)
        x += w.front_b
        np.maximum(x, np.float32(0), out=x)
        for state, layer in zip(self._states, w.layers, strict=True):
            x = _gru(x, state, layer)
        heard = rows_times(x, w.head_w)
        heard += w.head_b
        heard = heard.reshape(-1, HEARD)
        likely = heard[:, VISEMES]
        likely -= np.maximum.reduce(likely, axis=1, keepdims=True)
        np.exp(likely, out=likely)
        likely /= np.add.reduce(likely, axis=1, keepdims=True)
        gates = heard[:, CLOSURE : CONTACT + 1]
        gates[:] = np.tanh(gates * np.float32(0.5)) * np.float32(0.5) + np.float32(0.5)
        return heard


def _gru(x: Vector, state: Vector, layer: Layer) -> Vector:
    """Pass steps (n, inputs) through a layer whose state, (units + 1,), moves; return its states after them, (n,
    units).
    """
    n = len(state) - 1
    h = state[:n]
    sums = rows_times(x, layer.wx)
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
