"""The voices of flite. `-psdur` gives the phones and their ends."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from visavis.engine.audio.files import read_speech
from visavis.engine.speech.articulation import from_arpabet

from . import Spoken

VOICES = ("kal", "kal16", "awb", "rms", "slt")


def speak(voice: str, text: str, *, stretch: float = 1.0, pitch_hz: float | None = None) -> Spoken:
    """Return `text` spoken; `stretch` > 1 is slower. Raises subprocess.CalledProcessError if flite fails."""
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "speech.wav"
        command = ["flite", "-voice", voice, "-psdur", "--setf", f"duration_stretch={stretch:.3f}"]
        if pitch_hz is not None:
            command += ["--setf", f"int_f0_target_mean={pitch_hz:.1f}"]
        out = subprocess.run(
            [*command, "-t", text, "-o", str(wav)], check=True, capture_output=True, text=True, timeout=60
        ).stdout
        pcm, _ = read_speech(wav)
    phones, start_s = [], 0.0
    for part in out.split():
        phone, _, end = part.partition(":")
        phones.append((start_s, float(end), phone))
        start_s = float(end)
    return Spoken(pcm=pcm, segments=from_arpabet(phones))
