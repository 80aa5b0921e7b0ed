"""Speech with known phones, synthesised while testing; a synthesiser that is not there skips its tests visibly."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from visavis.engine.audio.files import read_speech
from visavis.engine.motion.frame import SpeechMotion
from visavis.engine.speech.stream import SpeechStream

Phones = list[tuple[float, float, str]]
Say = Callable[[str, str], tuple[NDArray[np.int16], Phones]]


def move(pcm: NDArray[np.int16], piece: int = 320) -> SpeechMotion:
    """Return the motion of a whole utterance pushed in pieces of `piece` samples."""
    stream = SpeechStream()
    parts = [stream.push(pcm[k : k + piece]) for k in range(0, len(pcm), piece)]
    return SpeechMotion.concatenate([*parts, stream.finish()])


@pytest.fixture(scope="session")
def say(tmp_path_factory: pytest.TempPathFactory) -> Say:
    """Return a function (voice, text) -> (samples, phones) that speaks with flite."""
    if shutil.which("flite") is None:
        pytest.skip("flite is not installed: no speech with known phones can be made")
    folder: Path = tmp_path_factory.mktemp("flite")

    def speak(voice: str, text: str) -> tuple[NDArray[np.int16], Phones]:
        wav = folder / "speech.wav"
        out = subprocess.run(
            ["flite", "-voice", voice, "-psdur", "-t", text, "-o", str(wav)], check=True, capture_output=True, text=True
        ).stdout
        phones, start_s = [], 0.0
        for part in out.split():
            phone, _, end = part.partition(":")
            phones.append((start_s, float(end), phone.upper()))
            start_s = float(end)
        return read_speech(wav)[0], phones

    return speak
