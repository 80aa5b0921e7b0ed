"""`python tools/voices/make.py WEIGHTS`: speaks the voice clips of the library with Kokoro-82M and brings them to one
level.

WEIGHTS: a folder with the weights, as `integrations/voice/weights.py` writes them. Run it from the repository root,
with onnxruntime and misaki installed.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from visavis_voice.model import RATE_HZ, Voice

VOICES = Path(__file__).parents[2] / "src" / "visavis" / "library" / "voices"
TEXTS = {
    "greeting": "Hello! I am Iris. Say something, and I will say it with you.",
    "sample": (
        "My mother bought a big blue boat for the family. Before we move, open the window, "
        "and show me how five warm hopes will fly above you. You are very welcome."
    ),
}
VOICE = "af_heart"
SPEED = 0.9  # a calm first sentence
LIMITER_S = 0.02
EDGE_S = 0.15  # silence before and after the speech
FADE_S = 0.01
SPEECH_RMS_DBFS = -20.0  # over the whole clip, pauses included
PEAK_LIMIT_DBFS = -3.5
SILENCE_DBFS = -50.0  # quieter samples at the start and the end are trimmed


def synthesise(text: str, weights: Path) -> tuple[NDArray[np.float64], int]:
    """Return `text` spoken by a neural voice, sentence by sentence, float64 (samples,) in -1..1, and its sample rate in
    Hz.
    """
    voice = Voice(folder=weights)
    sentences = re.findall(r"[^.!]+[.!]", text)
    return np.concatenate([voice.speak(sentence, VOICE, speed=SPEED) for sentence in sentences]) / 32768.0, RATE_HZ


def limited(samples: NDArray[np.float64], sample_rate_hz: int, peak: float) -> NDArray[np.float64]:
    """Lower the loudest moments, each as a whole, so that no sample exceeds `peak`."""
    half = int(LIMITER_S * sample_rate_hz)
    padded = np.pad(np.abs(samples), half)
    loudest = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1).max(axis=1)
    gain = np.minimum(1.0, peak / np.maximum(loudest, 1e-9))
    window = np.hanning(half + 2)[1:-1]
    smooth: NDArray[np.float64] = np.convolve(np.pad(gain, half, mode="edge"), window / window.sum(), mode="same")[
        half:-half
    ]
    return samples * smooth


def level(samples: NDArray[np.float64], sample_rate_hz: int) -> NDArray[np.float64]:
    """Trim the clip to the speech, add silent edges with short fades, and bring it to the target level, below the
    peak limit.
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
    peak = 10 ** (PEAK_LIMIT_DBFS / 20)
    for _ in range(4):  # limiting lowers the level a little
        gain = 10 ** (SPEECH_RMS_DBFS / 20) / np.sqrt(np.mean(clip**2))
        clip = limited(clip * gain, sample_rate_hz, peak)
    return clip


def main(weights: Path) -> None:
    VOICES.mkdir(parents=True, exist_ok=True)
    for name, text in TEXTS.items():
        samples, sample_rate_hz = synthesise(text, weights)
        clip = level(samples, sample_rate_hz)
        soundfile.write(VOICES / f"{name}.wav", clip, sample_rate_hz, subtype="PCM_16")
        rms_dbfs, peak_dbfs = 20 * np.log10(np.sqrt(np.mean(clip**2))), 20 * np.log10(np.abs(clip).max())
        print(
            f"{name}: {len(clip) / sample_rate_hz:.2f} s at {sample_rate_hz} Hz, RMS {rms_dbfs:.1f} dBFS, peak "
            f"{peak_dbfs:.1f} dBFS"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
