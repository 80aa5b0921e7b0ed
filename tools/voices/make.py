"""`python tools/voices/make.py`: synthesises the voice clips of the library with flite and brings them to one level.

Needs the Debian package `flite` (voice slt). Run it from the repository root. The same flite gives the same bytes.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

VOICES = Path(__file__).parents[2] / "src" / "visavis" / "library" / "voices"
TEXTS = {
    "greeting": "Hello! I am Iris. Say something, and I will say it with you.",
    "sample": (
        "My mother bought a big blue boat for the family. Before we move, open the window, "
        "and show me how five warm hopes will fly above you. You are very welcome."
    ),
}
EDGE_S = 0.15  # silence before and after the speech
FADE_S = 0.01
SPEECH_RMS_DBFS = -20.0  # over the whole clip, pauses included
PEAK_LIMIT_DBFS = -3.5
SILENCE_DBFS = -50.0  # quieter samples at the start and the end of flite's output are trimmed


def synthesise(text: str) -> tuple[NDArray[np.float64], int]:
    """Return `text` spoken by flite's voice slt, float64 (samples,) in -1..1, and its sample rate in Hz."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        subprocess.run(["flite", "-voice", "slt", "-t", text, "-o", str(path)], check=True)
        samples, sample_rate_hz = soundfile.read(path, dtype="float64")
    return samples, sample_rate_hz


def level(samples: NDArray[np.float64], sample_rate_hz: int) -> NDArray[np.float64]:
    """Trim the clip to the speech, add silent edges with short fades, and scale it to the target level, below the peak
    limit.
    """
    window = sample_rate_hz // 100
    loudness = np.sqrt(np.convolve(samples**2, np.ones(window) / window, mode="same"))
    loud = np.flatnonzero(loudness > 10 ** (SILENCE_DBFS / 20))
    fade = int(FADE_S * sample_rate_hz)
    speech = samples[max(loud[0] - fade, 0) : loud[-1] + fade].copy()
    speech -= speech.mean()
    ramp = 0.5 - 0.5 * np.cos(np.linspace(0, np.pi, fade))
    speech[:fade] *= ramp
    speech[-fade:] *= ramp[::-1]
    edge = np.zeros(int(EDGE_S * sample_rate_hz))
    clip = np.concatenate([edge, speech, edge])
    gain = 10 ** (SPEECH_RMS_DBFS / 20) / np.sqrt(np.mean(clip**2))
    return clip * min(gain, 10 ** (PEAK_LIMIT_DBFS / 20) / np.abs(clip).max())


def main() -> None:
    VOICES.mkdir(parents=True, exist_ok=True)
    for name, text in TEXTS.items():
        samples, sample_rate_hz = synthesise(text)
        clip = level(samples, sample_rate_hz)
        soundfile.write(VOICES / f"{name}.wav", clip, sample_rate_hz, subtype="PCM_16")
        rms_dbfs, peak_dbfs = 20 * np.log10(np.sqrt(np.mean(clip**2))), 20 * np.log10(np.abs(clip).max())
        print(
            f"{name}: {len(clip) / sample_rate_hz:.2f} s at {sample_rate_hz} Hz, RMS {rms_dbfs:.1f} dBFS, peak "
            f"{peak_dbfs:.1f} dBFS"
        )


if __name__ == "__main__":
    main()
