"""The listener: a small network that estimates the posteriors of English phones, the second input of the network.

A network that is trained only on synthesised voices misses many closures of natural speech. The US English acoustic
model of CMU Sphinx (PocketSphinx, BSD licence) was trained on a large amount of natural speech, and the listener
learned its answers (training/listen.py). The input of the listener are cepstra as Sphinx computes them (`1s_c_d_dd`):
13 coefficients of 25 mel bands, with their differences over 4 and 6 steps, less a running mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visavis.engine.audio.mel import MEL_BANDS, MEL_FILTERS, NATS_TO_DB, log_bands, matmul_by_row, mel_filters

CEPSTRA = 13
SPAN = 7  # frames from which the cepstra of one frame and their differences are computed
DYNAMIC = 3 * CEPSTRA  # cepstra, first and second differences
PHONE_STATES = 126  # three states for each of 42 phones
SPHINX_BANDS, SPHINX_LOW_HZ, SPHINX_HIGH_HZ, _LIFTER = 25, 130.0, 6800.0, 22
PRIOR_FRAMES, LONGEST_FRAMES, ACTIVE_DB = 120.0, 600.0, 40.0  # of the running mean; see mel.py
# The mean of the cepstra of speech whose peak level is 0 dB; measured on five synthesised voices.
PRIOR_MEAN = np.array([-35.3, 1.2, 2.4, 22.3, -7.0, 3.1, -0.5, -7.8, -3.1, -1.6, 4.7, -0.3, 0.3], np.float32)

Array = NDArray[np.float32]

_BOTH = np.ascontiguousarray(np.concatenate([MEL_FILTERS, mel_filters(SPHINX_BANDS, SPHINX_LOW_HZ, SPHINX_HIGH_HZ)]).T)


def _cosines() -> Array:
    """Return the liftered orthonormal DCT-II, float32 (SPHINX_BANDS, CEPSTRA)."""
    k, n = np.arange(CEPSTRA)[None, :], np.arange(SPHINX_BANDS)[:, None]
    table = np.cos(np.pi * k * (n + 0.5) / SPHINX_BANDS) * np.sqrt(2.0 / SPHINX_BANDS)
    table[:, 0] /= np.sqrt(2.0)
    lifted: NDArray[np.float32] = (table * (1.0 + _LIFTER / 2 * np.sin(np.pi * k / _LIFTER))).astype(np.float32)
    return lifted


COSINES = _cosines()


def bands_of(power: Array) -> tuple[Array, Array]:
    """Return (mel bands in dB (n, MEL_BANDS), Sphinx' bands in nats (n, 25)) of power spectra (n, 257).

    One product with both filter banks costs half as much as two products.
    """
    nats = log_bands(power, _BOTH)
    return nats[:, :MEL_BANDS] * NATS_TO_DB, nats[:, MEL_BANDS:]


class CepstraStream:
    """The cepstra of one stream, relative to the recent peak level and less their running mean.

    The mean begins with a prior and moves towards the voice; silence does not change it.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._mean, self._seen = PRIOR_MEAN.copy(), PRIOR_FRAMES

    def take(self, nats: Array, levels_db: list[float], peaks_db: list[float]) -> Array:
        """Take frames of Sphinx' bands (n, 25), their levels and the peak levels. Return their cepstra, float32 (n,
        CEPSTRA).
        """
        cepstra = matmul_by_row(nats - np.array(peaks_db, np.float32)[:, None] / NATS_TO_DB, COSINES)
        for frame, level_db, peak_db in zip(cepstra, levels_db, peaks_db, strict=True):
            frame -= self._mean
            if peak_db - level_db < ACTIVE_DB:  # the mean changes before it is subtracted from this frame
                self._seen = min(self._seen + 1.0, LONGEST_FRAMES)
                towards = frame * np.float32(1.0 / self._seen)
                self._mean += towards
                frame -= towards
        return cepstra


def of_span(weights: Array) -> Array:
    """Convert weights for [c, d, dd], (DYNAMIC, m), to weights for SPAN frames of cepstra, oldest first, float32 (SPAN
    * CEPSTRA, m). Both give the same products: Sphinx computes d[t] = c[t+2] - c[t-2] and dd[t] = d[t+1] - d[t-1].
    """
    c, d, dd = weights[:CEPSTRA], weights[CEPSTRA : 2 * CEPSTRA], weights[2 * CEPSTRA :]
    return np.concatenate([dd, -d, -dd, c, -dd, d, dd])


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """The weights of the small network: three layers, (inputs, outputs) each, with their biases. The first takes SPAN
    frames of cepstra.
    """

    w1: Array
    b1: Array
    w2: Array
    b2: Array
    w3: Array
    b3: Array

    def log_posteriors(self, spans: Array) -> Array:
        """Return the log posteriors of the states of Sphinx' phones, float32 (n, PHONE_STATES), for `spans` (n, SPAN *
        CEPSTRA).
        """
        x = matmul_by_row(spans, self.w1)
        x += self.b1
        np.maximum(x, np.float32(0), out=x)
        x = matmul_by_row(x, self.w2)
        x += self.b2
        np.maximum(x, np.float32(0), out=x)
        x = matmul_by_row(x, self.w3)
        x += self.b3
        x -= np.maximum.reduce(x, axis=1, keepdims=True)
        x -= np.log(np.add.reduce(np.exp(x), axis=1, keepdims=True))
        return x
