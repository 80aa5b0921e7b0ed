"""Sound files for tests, of every kind that people have."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

CODECS = {"m4a": "aac", "webm": "libopus", "mp3": "libmp3lame", "ogg": "libopus", "flac": "flac", "mka": "ac3"}
CONTAINERS = {"m4a": "ipod", "mka": "matroska"}
LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 6: "5.1"}


def tone(rate_hz: int, *, seconds: float = 1.0, hz: float = 440.0, level: float = 0.5) -> NDArray[np.float32]:
    """Return a sine, float32 (n,) with full scale 1.0."""
    t = np.arange(int(rate_hz * seconds)) / rate_hz
    sine: NDArray[np.float32] = (level * np.sin(2 * np.pi * hz * t)).astype(np.float32)
    return sine


def click(rate_hz: int, *, at_s: float, seconds: float = 1.0) -> NDArray[np.float32]:
    """Return silence with a burst of 5 ms at `at_s`."""
    samples = np.zeros(int(rate_hz * seconds), np.float32)
    begin = round(at_s * rate_hz)
    length = rate_hz // 200
    samples[begin : begin + length] = 0.8 * np.sign(np.sin(2 * np.pi * 1000 * (np.arange(length) + 0.5) / rate_hz))
    return samples


def write_sound(path: Path, samples: NDArray[np.float32], rate_hz: int, *, kind: str | None = None) -> Path:
    """Write float32 (n,) or (n, channels) as `kind`, a key of CODECS, whatever the path's name is; return the path."""
    kind = kind or path.suffix[1:]
    columns = samples.reshape(len(samples), -1)
    layout = LAYOUTS[columns.shape[1]]
    with av.open(str(path), "w", format=CONTAINERS.get(kind, kind)) as box:
        stream = box.add_stream(CODECS[kind], rate=rate_hz, layout=layout)
        assert isinstance(stream, av.AudioStream) and stream.format is not None
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(columns.T), format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate_hz, 0, Fraction(1, rate_hz)
        resampler = av.AudioResampler(format=stream.format.name, layout=layout, rate=rate_hz)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            box.mux(stream.encode(part))
        box.mux(stream.encode(None))
    return path


def wav(pcm: NDArray[np.int16], rate_hz: int, *, data_size: int | None = None) -> bytes:
    """Return a WAV file of int16 (n,) or (n, channels). `data_size`: what its header says instead of the true size, as
    programs do that write to a pipe.
    """
    channels = 1 if pcm.ndim == 1 else pcm.shape[1]
    data = pcm.astype("<i2").tobytes()
    size = len(data) if data_size is None else data_size
    form = struct.pack("<HHIIHH", 1, channels, rate_hz, rate_hz * channels * 2, channels * 2, 16)
    riff_size = min(36 + size, 0xFFFFFFFF) if size else 0
    return (
        b"RIFF"
        + struct.pack("<I", riff_size)
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + form
        + b"data"
        + struct.pack("<I", size)
        + data
    )
