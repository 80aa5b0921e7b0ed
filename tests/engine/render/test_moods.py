"""Expressions as a viewer sees them: found by a face mesh on rendered pictures."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.engine.render.conftest import Rendered, motion, rgb
from visavis.engine.landmarks import INNER_LOWER, INNER_UPPER, FaceGeometry
from visavis.engine.motion.expressions import add_speech, expressions
from visavis.engine.motion.frame import COEFFICIENTS, INDEX, MOUTH_COUNT, MotionFrame
from visavis.engine.motion.mood import EMOTIONS
from visavis.engine.pack.avatar_pack import AvatarPack
from visavis.engine.render.cpu import CpuRenderer
from visavis.engine.render.field_weights import FIELD_INDEX, RELAXED
from visavis.engine.render.fields import evaluate_fields

Find = Callable[[Rendered], NDArray[np.float64]]


@pytest.fixture(scope="module")
def renderer(pack: AvatarPack) -> CpuRenderer:
    return CpuRenderer(pack, 512, 512)


def felt(emotion: str, weight: float = 1.0, **mouth: float) -> MotionFrame:
    feeling = (
        expressions()[EMOTIONS.index(emotion) - 1] * np.float32(weight)
        if emotion != "neutral"
        else np.zeros(len(COEFFICIENTS), np.float32)
    )
    said = np.zeros(MOUTH_COUNT, np.float32)
    for name, value in mouth.items():
        said[INDEX[name]] = value
    face = feeling.copy()
    add_speech(face, feeling, said)
    return MotionFrame(coefficients=face)


class Seen:
    """Lengths of a face in eye distances; heights count upwards from the line between the eyes' corners."""

    def __init__(self, p: NDArray[np.float64]) -> None:
        unit = float(np.linalg.norm(p[33] - p[263]))
        up = -(p[:, 1] - (p[33, 1] + p[263, 1]) / 2) / unit
        self.corners = float(up[61] + up[291]) / 2 - float(up[13] + up[14]) / 2
        self.width = float(np.linalg.norm(p[61] - p[291])) / unit
        self.brows_inner = float(up[55] + up[285]) / 2
        self.brows_outer = float(up[46] + up[276]) / 2
        self.eyes = float(up[159] - up[145] + up[386] - up[374]) / 2
        self.gap = float(up[13] - up[14])


def test_each_emotion_shows_where_people_look_for_it(renderer: CpuRenderer, find_points: Find) -> None:
    seen = {emotion: Seen(find_points(renderer.render(felt(emotion)))) for emotion in EMOTIONS}
    rest = seen["neutral"]
    assert (
        seen["happy"].corners > rest.corners + 0.008
        and seen["happy"].width > rest.width + 0.02
        and seen["happy"].eyes < rest.eyes
    )
    assert seen["sad"].corners < rest.corners - 0.01 and seen["sad"].brows_inner > rest.brows_inner + 0.01
    assert (
        seen["surprised"].brows_inner > rest.brows_inner + 0.02
        and seen["surprised"].brows_outer > rest.brows_outer + 0.01
    )
    assert seen["surprised"].eyes > rest.eyes + 0.005 and seen["surprised"].gap > rest.gap + 0.015
    assert seen["serious"].brows_inner < rest.brows_inner - 0.01


def test_a_smile_of_the_photo_is_gone_when_it_is_sad_or_serious(renderer: CpuRenderer, find_points: Find) -> None:
    rest, serious, sad = (
        Seen(find_points(renderer.render(felt(emotion)))) for emotion in ("neutral", "serious", "sad")
    )
    assert rest.corners > 0.02, "the photo smiles"
    assert serious.corners < 0.4 * rest.corners and serious.width < rest.width - 0.01
    assert sad.corners < 0.0 and sad.width < rest.width


def test_who_does_not_smile_has_nothing_to_stop(renderer: CpuRenderer) -> None:
    """Taking a smile away moves a face whose lips are level by nothing, and one that smiles by no jump at the seam."""
    nodes = np.linspace(0, 512, 60, dtype=np.float32)
    x, y = np.meshgrid(nodes, nodes)
    smiling = evaluate_fields(renderer.face, x, y)
    assert np.abs(smiling.upper[FIELD_INDEX[RELAXED]]).max() > 1.5 and not smiling.jump[FIELD_INDEX[RELAXED]].any()
    level = renderer.face.landmarks.copy()
    level[[61, 291, *INNER_UPPER, *INNER_LOWER], 1] = level[13, 1]
    assert np.abs(evaluate_fields(FaceGeometry.of(level), x, y).upper[FIELD_INDEX[RELAXED]]).max() < 0.01


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_closed_lips_are_closed_in_any_mood(renderer: CpuRenderer, find_points: Find, emotion: str) -> None:
    closed = Seen(find_points(renderer.render(felt(emotion, jawOpen=0.1, mouthClose=0.1, mouthPress=0.35))))
    opened = Seen(find_points(renderer.render(felt(emotion, jawOpen=0.5))))
    assert closed.gap < 0.02 < 0.12 < opened.gap


def test_an_expression_leaves_everything_else_alone(renderer: CpuRenderer) -> None:
    rest = rgb(renderer.render(motion()).copy()).astype(int)
    unit, top = renderer.face.unit, int(renderer.face.landmarks[10, 1] - 0.55 * renderer.face.unit)
    for emotion in EMOTIONS[1:]:
        change = np.abs(rgb(renderer.render(felt(emotion)).copy()).astype(int) - rest).max(axis=2)
        assert change.max() > 20, "something moves"
        assert change[: max(0, top)].max(initial=0) <= 2, "hair stays"
        assert change[int(renderer.face.chin[1] + 0.9 * unit) :].max() <= 2, "shoulders stay"


def test_moods_are_gradual(renderer: CpuRenderer) -> None:
    """A little more of a mood changes no px much more than the little before: no seam opens, nothing pops."""
    for emotion in EMOTIONS[1:]:
        pictures = [
            rgb(renderer.render(felt(emotion, weight)).copy()).astype(int) for weight in np.arange(0.0, 1.001, 0.05)
        ]
        steps = [np.abs(b - a).max() for a, b in pairwise(pictures)]
        assert max(steps) < 1.7 * np.median(steps) + 12, (emotion, steps)
