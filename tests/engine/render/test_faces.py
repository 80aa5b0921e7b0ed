"""The measures of `make eval-face`, and a small part of what it measures, on a real photo."""

from __future__ import annotations

import hashlib

import cv2
import numpy as np

from tests.engine.render.conftest import motion, rgb
from tools.faces import evaluate, measures
from visavis.engine.motion.frame import COEFFICIENTS, INDEX, MOUTH_COUNT, MotionFrame
from visavis.engine.motion.liveliness import Liveliness
from visavis.engine.motion.mood import Mood
from visavis.engine.pack.avatar_pack import AvatarPack
from visavis.engine.render.cpu import CpuRenderer
from visavis.engine.render.framing import lay_out

SPEECH = "ce514355d107bc1cafc1279daaf98403ab736aa4d0178bcbd418a97857acb982"


def test_the_figures_are_of_the_speech_for_which_their_bounds_were_set() -> None:
    assert hashlib.sha256(evaluate.SPEECH.read_bytes()).hexdigest() == SPEECH


def test_blinks_are_counted_once_however_long_and_noise_is_none() -> None:
    noise = np.random.default_rng(1).normal(0, 2, 60)
    dark = 20 + noise
    dark[10:13] += 80
    dark[30:37] += 80
    dark[50] += 15  # a look aside
    assert measures.blinks(dark.tolist(), 20.0, 100.0) == 2


def test_jitter_is_that_of_the_track_and_drift_is_none() -> None:
    drift = np.stack([np.arange(50) * 0.7, np.arange(50) * -0.2], axis=1)
    assert measures.jitter(drift, 100.0) < 1e-9
    shaken = drift + np.where(np.arange(50)[:, None] % 2 == 0, 0.05, -0.05)
    assert np.isclose(measures.jitter(shaken, 100.0), 2.0 * np.sqrt(2), rtol=0.01)


def test_a_picture_is_registered_to_a_part_of_a_px() -> None:
    rng = np.random.default_rng(2)
    picture = cv2.GaussianBlur(rng.integers(0, 255, (120, 120, 3), np.uint8), (0, 0), 3)
    moved = cv2.warpAffine(
        picture, np.array([[1, 0, 0.4], [0, 1, -1.3]]), (120, 120), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    at = measures.registered([picture, moved], (10, 10, 110, 110))
    assert np.allclose(at[1], (0.4, -1.3), atol=0.12)


def test_a_blurred_mouth_is_less_sharp_and_a_changed_px_is_seen() -> None:
    sharp = np.random.default_rng(3).integers(0, 255, (60, 60, 3), np.uint8)
    soft = cv2.GaussianBlur(sharp, (0, 0), 2)
    (ratio,) = measures.mouth_sharpness(sharp, [soft], (5, 5, 55, 55))
    assert ratio < 0.2
    other = sharp.copy()
    other[7, 9, 1] ^= 1
    everywhere = np.ones((60, 60), bool)
    assert (
        measures.changed([sharp, sharp.copy()], everywhere) == 0 and measures.changed([sharp, other], everywhere) == 1
    )
    assert measures.similarity(sharp, sharp, everywhere) == 1.0 > 0.9 > measures.similarity(sharp, soft, everywhere)


def test_at_rest_the_picture_is_the_photo_and_walls_never_change(pack: AvatarPack) -> None:
    renderer, size = CpuRenderer(pack, 512, 512), 512
    photo = lay_out(pack.picture, renderer.plan.frame, size, size, 1.0, cv2.BORDER_CONSTANT, sharp=True)
    inside = (
        lay_out(np.full(pack.matte.shape, 255, np.uint8), renderer.plan.frame, size, size, 1.0, cv2.BORDER_CONSTANT)
        == 255
    )
    assert measures.similarity(photo, rgb(renderer.render(motion()).copy()), inside) >= 0.98
    person = lay_out(pack.matte, renderer.plan.frame, size, size, 1.0, cv2.BORDER_REPLICATE)
    wall = cv2.dilate(person, np.ones((2 * round(0.4 * renderer.face.unit) + 1,) * 2, np.uint8)) == 0
    life, mood = Liveliness(5), Mood.of("happy")
    frames = [
        renderer.render(life.frame(step, state="thinking", mood=mood))[:size].copy() for step in range(0, 300, 30)
    ]
    assert measures.changed(frames, wall) == 0
    assert measures.changed(frames, ~wall) > 1000, "but the person moves"


def test_a_mouth_that_feels_is_still_to_the_bit_in_silence(pack: AvatarPack) -> None:
    renderer, life = CpuRenderer(pack, 256, 256), Liveliness(6)
    lips = [*range(MOUTH_COUNT), *(INDEX[name] for name in ("moodSmile", "mouthFrown", "mouthShrugLower"))]
    pictures = []
    for step in range(0, 1200, 40):
        row = np.zeros(len(COEFFICIENTS), np.float32)
        row[lips] = life.frame(step, mood=Mood.of("surprised", 0.8)).coefficients[lips]
        pictures.append(renderer.render(MotionFrame(coefficients=row)).copy())
    assert measures.changed(pictures[15:], np.ones(pictures[0].shape, bool)) == 0
    assert measures.changed(pictures, np.ones(pictures[0].shape, bool)) > 100, "on its way it moves"
