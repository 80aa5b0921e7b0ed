"""Closed eyes in a photo: they are said, and the avatar leaves them closed."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
from PIL import Image

from tests.engine.portrait.test_quality import codes, examined, plain
from visavis.engine.motion.frame import COEFFICIENTS, INDEX, MotionFrame
from visavis.engine.pack.avatar_pack import AvatarPack
from visavis.engine.pack.bake import bake
from visavis.engine.render.cpu import CpuRenderer

SIDE_PX = 720


@cache
def iris() -> AvatarPack:
    return bake(plain().study)


def shown(**coefficients: float) -> Image.Image:
    """A photo of Iris with a face of our choice, taken by the renderer."""
    values = np.zeros(len(COEFFICIENTS), np.float32)
    for name, value in coefficients.items():
        values[INDEX[name]] = value
    frame = MotionFrame(coefficients=values, yaw_deg=0.0, pitch_deg=0.0, roll_deg=0.0)
    picture = CpuRenderer(iris(), SIDE_PX, SIDE_PX).render(frame)
    return Image.fromarray(cv2.cvtColor(picture, cv2.COLOR_YUV2RGB_I420))


def test_closed_eyes_are_said_and_do_not_blink() -> None:
    asleep, awake = examined(shown(eyeBlinkLeft=1.0, eyeBlinkRight=1.0)), examined(shown())
    assert "EYES_CLOSED" in codes(asleep) and "EYES_CLOSED" not in codes(awake)
    assert asleep.study.lids == (0.0, 0.0) and awake.study.lids == (1.0, 1.0)
    renderer = CpuRenderer(bake(asleep.study), 256, 256)
    rest = np.zeros(len(COEFFICIENTS), np.float32)
    blinking = rest.copy()
    blinking[[INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]] = 1.0
    still, blinked = (
        renderer.render(MotionFrame(coefficients=values, yaw_deg=0.0, pitch_deg=0.0, roll_deg=0.0)).copy()
        for values in (rest, blinking)
    )
    assert np.array_equal(still, blinked)
