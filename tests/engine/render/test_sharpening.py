"""Detail that survives look-ups: on rendered frames of a drawn portrait with paper grain, and on textures
of our own.
"""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.engine.render.conftest import motion, rgb
from tools.faces import measures
from visavis.engine.pack.avatar_pack import AvatarPack
from visavis.engine.pack.bake import bake
from visavis.engine.portrait.examine import examine_photo
from visavis.engine.portrait.models import Models
from visavis.engine.render.cpu import CpuRenderer
from visavis.engine.render.framing import lay_out
from visavis.engine.render.sharpening import HALO_MOST, KEPT, sharpen, strength_for
from visavis.library import PORTRAITS

ZOOM = 1.25


@pytest.fixture(scope="module")
def drawn() -> AvatarPack:
    portrait = next(portrait for portrait in PORTRAITS if portrait.slug == "tomas")
    return bake(examine_photo(portrait.path.read_bytes(), Models()).study)


def shown(luma: NDArray[np.float32], dx: float, dy: float, how: int = cv2.INTER_LINEAR) -> NDArray[np.float32]:
    """A texture's luma as an output 1.25 times coarser shows it, moved by part of a px."""
    size = int(luma.shape[1] / ZOOM) - 2, int(luma.shape[0] / ZOOM) - 2
    matrix = np.array([[ZOOM, 0, (dx + 0.5) * ZOOM - 0.5], [0, ZOOM, (dy + 0.5) * ZOOM - 0.5]])
    return np.asarray(cv2.warpAffine(luma, matrix, size, flags=how | cv2.WARP_INVERSE_MAP), np.float32)


def detail(picture: NDArray[np.float32]) -> float:
    return float(np.mean(cv2.Laplacian(picture[4:-4, 4:-4], cv2.CV_32F) ** 2))


def texture_of(luma: NDArray[np.float32], clear: int = 0) -> NDArray[np.uint8]:
    texture = np.full((*luma.shape, 4), 128, np.uint8)
    texture[..., 0], texture[..., 3] = np.rint(luma), clear
    return texture


def test_a_moving_mouth_keeps_the_grain_of_the_picture(drawn: AvatarPack) -> None:
    renderer = CpuRenderer(drawn, 512, 512)
    photo = lay_out(drawn.picture, renderer.plan.frame, 512, 512, 1.0, cv2.BORDER_CONSTANT, sharp=True)
    p, e = renderer.face.landmarks[:, :2], renderer.face.unit
    left, right = int(p[61, 0] - 0.1 * e), int(p[291, 0] + 0.1 * e)
    box = left, int(p[61, 1] - 0.15 * e), right, int(p[291, 1] + 0.2 * e)
    frames = [rgb(renderer.render(motion(yaw=yaw, pitch=-0.7 * yaw)).copy()) for yaw in (0.0, 0.13, 0.29, 0.41, 0.62)]
    kept = measures.mouth_sharpness(photo, frames, box)
    assert min(kept) > 0.7 and max(kept) < 1.0
    assert max(kept) < 1.2 * min(kept), "sharpness does not pulse with the motion"


def test_as_much_grain_comes_back_as_look_ups_take_and_what_is_soft_is_left() -> None:
    grain = 128 + cv2.GaussianBlur(np.random.default_rng(1).normal(0, 8, (300, 300)).astype(np.float32), (0, 0), 0.7)
    picture = shown(grain, 0.0, 0.0, cv2.INTER_LANCZOS4)
    texture = texture_of(grain)
    softened = detail(shown(texture[..., 0].astype(np.float32), 0.37, 0.61)) / detail(picture)
    sharpen(texture, strength_for(texture, picture, ZOOM))
    kept = detail(shown(texture[..., 0].astype(np.float32), 0.37, 0.61)) / detail(picture)
    assert softened < 0.7 and abs(kept - KEPT) < 0.12, (softened, kept)
    assert strength_for(texture, 0.5 * picture, ZOOM) == 0.0


def test_an_edge_gets_no_halo_and_nobody_appears_where_nobody_was() -> None:
    luma = np.full((60, 60), 60, np.float32)
    luma[:, 30:] = 180
    texture = texture_of(luma)
    sharpen(texture, 0.16)
    assert texture[..., 0].min() >= 60 - HALO_MOST and texture[..., 0].max() <= 180 + HALO_MOST
    outline = texture_of(luma)
    outline[..., 3] = np.clip((np.arange(60) - 20) * 25, 0, 255)[None, :]
    outline[..., :3] = outline[..., :3] * ((255 - outline[..., 3:]) / 255.0)
    before = outline.copy()
    sharpen(outline, 0.16)
    nobody, solid = before[..., 3] == 255, before[..., 3] == 0
    assert np.array_equal(outline[nobody], before[nobody]) and (outline[solid][:, 3] == 0).all()
    steps = np.abs(np.diff(outline[30, :, 3].astype(int)))
    assert steps.max() >= 25 and (np.diff(outline[30, :, 3].astype(int)) >= 0).all(), "steeper, and no wave along it"


def test_strips_join_without_a_seam() -> None:
    luma = np.clip(np.random.default_rng(2).normal(128, 20, (300, 40)), 0, 255).astype(np.float32)
    whole, moved = texture_of(luma), texture_of(np.roll(luma, 37, axis=0))
    sharpen(whole, 0.1)
    sharpen(moved, 0.1)
    assert np.array_equal(np.roll(whole, 37, axis=0)[60:200], moved[60:200])
