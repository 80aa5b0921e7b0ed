"""Draws one sentence: its spectrogram, its phones, and the motion of the mouth, recognised and with the true phones."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from visavis.engine.motion.frame import INDEX, SpeechMotion

from .eval_peers import given_timings
from .evaluate import Clip, proxy_gap, viseme_track

SENTENCE = "Maybe five brave people will move above the old farm."
_WIDTH, _LEFT, _RIGHT = 1200, 90, 16
_SPECTRUM, _PHONES, _CURVE = 200, 34, 92  # heights
_INK, _PALE = (60, 60, 60), (200, 200, 200)
_HEARD, _TRUE, _SHUT, _TOUCH = (180, 90, 20), (150, 150, 150), (60, 60, 210), (40, 150, 230)


def _write(picture: np.ndarray, text: str, x: float, y: int, *, size: float = 0.42, centred: bool = False) -> None:
    width = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size, 1)[0][0]
    cv2.putText(
        picture, text, (round(x - width / 2 if centred else x), y), cv2.FONT_HERSHEY_SIMPLEX, size, _INK, 1, cv2.LINE_AA
    )


def _curve(
    picture: np.ndarray, top: int, values: np.ndarray, scale: float, colour: tuple[int, int, int], thick: int
) -> None:
    x = np.linspace(_LEFT, _WIDTH - _RIGHT, len(values))
    y = top + _CURVE - 10 - np.clip(values / scale, 0, 1.1) * (_CURVE - 24)
    points = np.stack([x, y], axis=1).astype(np.float32)
    cv2.polylines(picture, [np.round(points * 8).astype(np.int32)], False, colour, thick, cv2.LINE_AA, 3)


def _rounding(motion: SpeechMotion) -> np.ndarray:
    return motion.mouth[:, INDEX["mouthPucker"]] + motion.mouth[:, INDEX["mouthFunnel"]]


def draw(clip: Clip, path: Path) -> None:
    """Write the picture of a clip as PNG."""
    pcm, phones = clip
    heard, true = viseme_track(pcm)[0], given_timings(clip)[0]
    duration_s = len(pcm) / 16000
    at = (_WIDTH - _LEFT - _RIGHT) / duration_s
    picture = np.full((_SPECTRUM + _PHONES + 4 * _CURVE + 22, _WIDTH, 3), 255, np.uint8)
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(pcm.astype(np.float32), 256), 512)[::80] * np.hanning(
        512
    ).astype(np.float32)
    level_db = 20 * np.log10(np.abs(np.fft.rfft(frames, axis=1)) + 1.0)[:, 1:256].T[::-1]
    shade = np.clip((level_db - level_db.max() + 65) / 65, 0, 1)
    spectrum = cv2.resize(
        (255 - 225 * shade).astype(np.uint8), (_WIDTH - _LEFT - _RIGHT, _SPECTRUM - 8), interpolation=cv2.INTER_AREA
    )
    spectrum = spectrum // 16 * 16 + 15  # sixteen greys are enough and compress well
    picture[4 : _SPECTRUM - 4, _LEFT : _WIDTH - _RIGHT] = spectrum[..., None]
    _write(picture, "8 kHz", 20, 16)
    _write(picture, "0", 70, _SPECTRUM - 6)
    bottom = _SPECTRUM + _PHONES + 4 * _CURVE
    for start_s, end_s, phone in phones:
        x = round(_LEFT + start_s * at)
        for colour, sounds in ((_SHUT, {"P", "B", "M"}), (_TOUCH, {"F", "V"})):
            if phone in sounds:
                tint = picture[_SPECTRUM:bottom, x : round(_LEFT + end_s * at)]
                tint[:] = (0.82 * tint + 0.18 * np.array(colour)).astype(np.uint8)
        cv2.line(picture, (x, _SPECTRUM), (x, bottom), _PALE, 1)
        if phone != "SIL":
            _write(picture, phone.lower(), _LEFT + (start_s + end_s) / 2 * at, _SPECTRUM + 22, size=0.38, centred=True)
    shut = [(1 - np.minimum(1, proxy_gap(motion) / 0.05)) * (motion.rest < 0.5) for motion in (true, heard)]
    rows = (
        ("gap", [proxy_gap(true), proxy_gap(heard)], 0.32),
        ("lips shut", shut, 1.0),
        ("lip to teeth", [true.mouth[:, INDEX["mouthRollLower"]], heard.mouth[:, INDEX["mouthRollLower"]]], 0.9),
        ("rounding", [_rounding(true), _rounding(heard)], 1.3),
    )
    for k, (name, (with_phones, by_ear), scale) in enumerate(rows):
        top = _SPECTRUM + _PHONES + k * _CURVE
        cv2.line(picture, (_LEFT, top + _CURVE - 10), (_WIDTH - _RIGHT, top + _CURVE - 10), _PALE, 1)
        _write(picture, name, 6, top + _CURVE - 14)
        _curve(picture, top, with_phones, scale, _TRUE, 1)
        _curve(picture, top, by_ear, scale, _HEARD, 2)
    _write(
        picture,
        "blue: heard, 60 ms behind the sound; grey: with the true phones; red: /p b m/; orange: /f v/",
        _LEFT,
        bottom + 15,
        size=0.38,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture, [cv2.IMWRITE_PNG_COMPRESSION, 9])
