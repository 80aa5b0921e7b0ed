"""The poses on a sheet: motion frames with labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from visavis.engine.motion.expressions import add_speech, expressions
from visavis.engine.motion.frame import COEFFICIENTS, INDEX, MOUTH_COUNT, MotionFrame
from visavis.engine.motion.mood import EMOTIONS
from visavis.engine.speech.visemes import BILABIAL, CLASSES, spoken_table

Part = Literal["mouth", "eyes", "face", "head"]

# Words that contain each viseme.
_EXAMPLES: dict[str, str] = {
    "SIL": "silence", "PP": "pie, my, boy", "FF": "fee, vie", "TH": "thin, this", "DD": "do, tie", "NN": "no",
    "LL": "lie", "KK": "key, go, sing",
    "HH": "he", "CH": "she, chew", "SS": "see, zoo", "RR": "row, fur", "AA": "father", "AE": "cat", "EH": "bed",
    "AH": "cup, about", "IH": "bit",
    "IY": "bee", "OH": "law", "UW": "boot", "WW": "way",
}  # fmt: skip
_WITH_MOODS = ("PP", "AA", "IY", "UW")  # the visemes that are shown with moods: closed, open, spread, round


@dataclass(frozen=True, slots=True, kw_only=True)
class Pose:
    label: str
    motion: MotionFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Poses of one kind. A tile shows `part` of the picture; a row has `columns` tiles."""

    title: str
    part: Part
    columns: int
    poses: tuple[Pose, ...]


def mouths() -> dict[str, NDArray[np.float32]]:
    """Return the mouth of every viseme, float32 (SPOKEN_COUNT,), with closed lips for bilabials, as in speech."""
    table = spoken_table()
    table[BILABIAL, INDEX["mouthClose"]] = table[BILABIAL, INDEX["jawOpen"]]
    return dict(zip(CLASSES, table, strict=True))


def with_emotion(emotion: str, weight: float, mouth: NDArray[np.float32] | None = None) -> MotionFrame:
    """Return the face with `emotion` at `weight`, fully eased in, with a `mouth` of speech or at rest."""
    expression = np.zeros(len(COEFFICIENTS), np.float32)
    if emotion != "neutral":
        expression = expressions()[EMOTIONS[1:].index(emotion)] * np.float32(weight)
    return _shown(expression, mouth)


def _shown(expression: NDArray[np.float32], mouth: NDArray[np.float32] | None = None) -> MotionFrame:
    face = expression.copy()
    add_speech(face, expression, np.zeros(MOUTH_COUNT, np.float32) if mouth is None else mouth)
    return MotionFrame(coefficients=face)


def _of(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0, **coefficients: float) -> MotionFrame:
    values = np.zeros(len(COEFFICIENTS), np.float32)
    for name, value in coefficients.items():
        values[INDEX[name]] = value
    return MotionFrame(coefficients=values, yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll)


def sections() -> Iterator[Section]:
    """Yield the sections of a sheet, from the mouth to the whole head."""
    shapes = mouths()
    said = tuple(
        Pose(label=f"{name}  {_EXAMPLES.get(name, '')}", motion=with_emotion("neutral", 0, shape))
        for name, shape in shapes.items()
    )
    yield Section(title="Visemes", part="mouth", columns=7, poses=said)
    moods = [
        Pose(label=f"{emotion} {weight}", motion=with_emotion(emotion, weight))
        for weight in (0.5, 1.0)
        for emotion in EMOTIONS[1:]
    ]
    at_rest = [
        Pose(label="neutral", motion=with_emotion("neutral", 0)),
        *moods[:4],
        Pose(label="happy + surprised", motion=_happy_and_surprised()),
        *moods[4:],
    ]
    yield Section(title="Expressions", part="face", columns=5, poses=tuple(at_rest))
    speaking = tuple(
        Pose(label=f"{emotion}, {name}", motion=with_emotion(emotion, 1.0, shapes[name]))
        for name in _WITH_MOODS
        for emotion in EMOTIONS
    )
    yield Section(title="Expressions while speaking", part="face", columns=5, poses=speaking)
    lids = tuple(
        Pose(label=f"lids {share:g}", motion=_of(eyeBlinkLeft=share, eyeBlinkRight=share))
        for share in (0, 0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 1)
    )
    yield Section(title="Lids", part="eyes", columns=4, poses=lids)
    looks = (
        ("left", -1, 0),
        ("right", 1, 0),
        ("up", 0, -1),
        ("down", 0, 1),
        ("up left", -0.7, -0.7),
        ("down right", 0.7, 0.7),
    )
    gaze = [Pose(label=f"gaze {name}", motion=_of(eyeLookX=x, eyeLookY=y)) for name, x, y in looks]
    gaze += [Pose(label="squint", motion=_of(eyeSquint=1)), Pose(label="wide", motion=_of(eyeWide=1))]
    yield Section(title="Gaze", part="eyes", columns=4, poses=tuple(gaze))
    turns = (
        ("yaw -6", -6, 0, 0),
        ("yaw 6", 6, 0, 0),
        ("pitch -5", 0, -5, 0),
        ("pitch 5", 0, 5, 0),
        ("roll -4", 0, 0, -4),
        ("roll 4", 0, 0, 4),
    )
    yield Section(
        title="Head",
        part="head",
        columns=6,
        poses=tuple(Pose(label=name, motion=_of(y, p, r)) for name, y, p, r in turns),
    )


def _happy_and_surprised() -> MotionFrame:
    table = expressions()
    return _shown(np.float32(0.5) * (table[EMOTIONS[1:].index("happy")] + table[EMOTIONS[1:].index("surprised")]))
