"""Ours as ARKit's: both sides, the person's own left and right, and every value from 0 to 1."""

from __future__ import annotations

import numpy as np
import pytest

from visavis.engine.motion.arkit import NOT_IN_ARKIT, to_arkit
from visavis.engine.motion.arkit_names import ARKIT
from visavis.engine.motion.frame import COEFFICIENTS, INDEX


def shown(**ours: float) -> dict[str, object]:
    """Return ARKit's coefficients that are not 0."""
    coefficients = np.zeros((1, len(COEFFICIENTS)), np.float32)
    for name, value in ours.items():
        coefficients[0, INDEX[name]] = value
    return {
        name: pytest.approx(float(value)) for name, value in zip(ARKIT, to_arkit(coefficients)[0], strict=True) if value
    }


@pytest.mark.parametrize("name", [name for name in COEFFICIENTS if name not in NOT_IN_ARKIT])
def test_every_coefficient_of_ours_moves_some_of_arkits(name: str) -> None:
    assert shown(**{name: 0.5})


def test_sides() -> None:
    assert shown(jawOpen=0.4) == {"jawOpen": 0.4}
    assert shown(mouthPress=0.3) == {"mouthPressLeft": 0.3, "mouthPressRight": 0.3}
    assert shown(eyeBlinkLeft=0.7) == {"eyeBlinkLeft": 0.7}
    assert shown(mouthSmile=0.7, moodSmile=0.6) == {"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0}


def test_looks_are_the_persons_own() -> None:
    # to the viewer's right: the person's left
    assert shown(eyeLookX=0.5) == {"eyeLookOutLeft": 0.5, "eyeLookInRight": 0.5}
    assert shown(eyeLookX=-0.5) == {"eyeLookInLeft": 0.5, "eyeLookOutRight": 0.5}
    assert shown(eyeLookY=0.5) == {"eyeLookDownLeft": 0.5, "eyeLookDownRight": 0.5}
    assert shown(eyeLookY=-0.5) == {"eyeLookUpLeft": 0.5, "eyeLookUpRight": 0.5}
