"""A streaming resampler with a delay of at most 2 ms, for live speech.

libsoxr's streaming resampler outputs blocks: we measured a delay of 37 ms for 16 kHz and 171 ms for 8 kHz input at
quality HQ, more than half of the whole latency budget. A windowed sinc that is evaluated for every sample delays by its
half width only.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd

import numpy as np
from numpy.typing import NDArray

ZERO_CROSSINGS = 16  # of the filter on either side, at the lower of the two rates
KAISER_BETA = 8.0  # about 80 dB of stop band (Kaiser 1974)
PASS_BAND = 0.92  # of the lower Nyquist frequency
# With at most this many phases (16 to 48 kHz has 3) one correlation per phase takes a quarter of the time of gathering.
FEW_PHASES = 8
MAX_PHASES = 1024  # more phases are rounded to the nearest of these; the error is 65 dB below a 3 kHz tone at 16 kHz


@lru_cache(maxsize=16)
def _kernel(rate_in_hz: int, rate_out_hz: int) -> NDArray[np.float32]:
    """Return the filter of each phase: float32 (phases, 2 * half). `half`: the filter's reach on either side, in input
    samples.
    """
    phases = min(rate_out_hz // gcd(rate_in_hz, rate_out_hz), MAX_PHASES)
    lower = min(1.0, rate_out_hz / rate_in_hz)
    half = int(np.ceil(ZERO_CROSSINGS / lower))
    cutoff = PASS_BAND * lower
    offsets = np.arange(-half + 1, half + 1)[None, :] - (np.arange(phases) / phases)[:, None]
    window = np.i0(KAISER_BETA * np.sqrt(np.clip(1.0 - (offsets / half) ** 2, 0.0, None))) / np.i0(KAISER_BETA)
    kernel = cutoff * np.sinc(cutoff * offsets) * window
    table: NDArray[np.float32] = (kernel / kernel.sum(axis=1, keepdims=True)).astype(np.float32)
    return table


class Resampler:
    """Resamples mono int16. The output does not depend on how the input is divided into calls. Output n lies at input
    time n * in / out.
    """

    def __init__(self, rate_in_hz: int, rate_out_hz: int) -> None:
        self._in_hz, self._out_hz = rate_in_hz, rate_out_hz
        self._same = rate_in_hz == rate_out_hz
        self._kernel = np.zeros((1, 2), np.float32) if self._same else _kernel(rate_in_hz, rate_out_hz)
        self._half = self._kernel.shape[1] // 2
        self._input = np.zeros(self._half - 1, np.float32)  # still needed; it starts with silence
        self._input_from = -(self._half - 1)  # the index of _input[0] in the whole input
        self._pushed = 0  # input samples so far
        self._returned = 0  # output samples so far

    def push(self, pcm: NDArray[np.int16]) -> NDArray[np.int16]:
        """Take int16 (n,); return the output that is now certain, int16 (m,)."""
        self._pushed += len(pcm)
        if self._same:
            self._returned += len(pcm)
            return pcm
        self._input = np.concatenate([self._input, pcm.astype(np.float32)])
        # Output n needs input up to floor(n * in / out) + half.
        return self._output_before((self._pushed - self._half) * self._out_hz)

    def finish(self) -> NDArray[np.int16]:
        """Return the rest of the output, as if silence followed: ceil(pushed * out / in) samples in total."""
        if self._same:
            return np.zeros(0, np.int16)
        self._input = np.concatenate([self._input, np.zeros(self._half, np.float32)])
        return self._output_before(self._pushed * self._out_hz)

    def _output_before(self, end_scaled: int) -> NDArray[np.int16]:
        """Return the new outputs n with n * in < end_scaled (an input time multiplied by the output rate)."""
        end = max(self._returned, -(-end_scaled // self._in_hz))
        if end == self._returned:
            return np.zeros(0, np.int16)
        out = self._by_phase(end) if len(self._kernel) <= FEW_PHASES else self._one_by_one(end)
        self._returned = end
        keep_from = end * self._in_hz // self._out_hz - (self._half - 1)
        drop = keep_from - self._input_from
        if drop > 0:
            self._input, self._input_from = self._input[drop:], keep_from
        return np.clip(np.rint(out), -32768, 32767).astype(np.int16)

    def _by_phase(self, end: int) -> NDArray[np.float32]:
        """Return the outputs up to `end`, one correlation per phase: the outputs of a phase lie evenly in the input."""
        phases = len(self._kernel)
        stride = self._in_hz * phases // self._out_hz  # input samples from an output to the next of its phase
        out = np.empty(end - self._returned, np.float32)
        for k in range(min(phases, len(out))):
            place = (self._returned + k) * stride  # in phases of the input
            first = place // phases - (self._half - 1) - self._input_from
            count = len(out[k::phases])
            span = self._input[first : first + (count - 1) * stride + 2 * self._half]
            out[k::phases] = np.correlate(span, self._kernel[place % phases], "valid")[::stride]
        return out

    def _one_by_one(self, end: int) -> NDArray[np.float32]:
        """Return the outputs up to `end`, each from its own window of the input."""
        scaled = np.arange(self._returned, end, dtype=np.int64) * self._in_hz
        whole, rest = np.divmod(scaled, self._out_hz)
        phases = len(self._kernel)
        phase = (rest * phases + self._out_hz // 2) // self._out_hz
        whole, phase = whole + phase // phases, phase % phases
        starts = whole - (self._half - 1) - self._input_from
        windows = np.lib.stride_tricks.sliding_window_view(self._input, 2 * self._half)
        # A phase that is rounded up can reach one sample beyond the very end, where silence follows.
        starts = np.minimum(starts, len(windows) - 1)
        return np.asarray(np.einsum("ij,ij->i", windows[starts], self._kernel[phase]), np.float32)
