"""What stands beyond the edges of a photo that is narrower than the output."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from tests.engine.render.conftest import motion
from visavis.engine.landmarks import CHIN
from visavis.engine.pack.avatar_pack import AvatarPack
from visavis.engine.render.cpu import CpuRenderer
from visavis.engine.render.framing import Frame
from visavis.engine.render.surroundings import Scene, extend_to_cover


@pytest.fixture(scope="module")
def narrow(pack: AvatarPack) -> AvatarPack:
    """A photo cut so close that its sides go through the shoulders, before a wall that darkens towards its sides."""
    p = pack.landmarks
    unit, middle = float(np.linalg.norm(p[33, :2] - p[263, :2])), float(p[1, 0])
    left, right = int(middle - 1.75 * unit), int(middle + 1.75 * unit)
    columns = slice(left, right)
    wall = 200.0 - 60.0 * np.abs(np.linspace(-1, 1, right - left, dtype=np.float32)) ** 2
    wall = np.broadcast_to(wall[None, :, None], (len(pack.picture), right - left, 3))
    opacity = pack.matte[:, columns, None].astype(np.float32) / 255.0
    picture = np.rint(pack.picture[:, columns] * opacity + wall * (1 - opacity)).astype(np.uint8)
    head = replace(pack.head, left=pack.head.left - left, right=pack.head.right - left)
    closer: AvatarPack = replace(
        pack,
        picture=picture,
        matte=np.ascontiguousarray(pack.matte[:, columns]),
        background=np.rint(wall).astype(np.uint8),
        landmarks=p - np.array([left, 0, 0], np.float32),
        head=head,
        plans={},
    )
    return closer


@pytest.fixture(scope="module")
def scene(narrow: AvatarPack) -> Scene:
    return extend_to_cover(
        narrow, Frame(scale=1.0, shift_x=300.0, shift_y=0.0), narrow.matte.shape[1] + 600, len(narrow.matte)
    )


def test_what_the_photo_shows_stays_as_it_is(narrow: AvatarPack, scene: Scene) -> None:
    left = int(-scene.frame.shift_x + 300)
    rows, columns = narrow.matte.shape
    for whole, part in (
        (scene.picture, narrow.picture),
        (scene.matte, narrow.matte),
        (scene.background, narrow.background),
    ):
        assert np.array_equal(whole[:rows, left : left + columns], part)


def test_the_wall_goes_on_without_a_crease(narrow: AvatarPack, scene: Scene) -> None:
    """Across the photo's former edge neither the wall's colour nor its slope makes a step."""
    row = scene.background[40:200].astype(np.float32).mean(axis=(0, 2))
    edge = int(-scene.frame.shift_x + 300) + narrow.matte.shape[1]
    assert abs(row[edge] - row[edge - 1]) < 1.5
    inside, outside = row[edge - 1] - row[edge - 21], row[edge + 20] - row[edge]
    assert inside < -2 and outside < 0.1 * inside  # it goes on darkening: a mirrored wall would turn lighter
    assert np.abs(np.diff(row[edge:])).max() < 1.5


def test_a_cut_shoulder_goes_on_and_falls(narrow: AvatarPack, scene: Scene) -> None:
    edge = int(-scene.frame.shift_x + 300) + narrow.matte.shape[1]
    opaque = scene.matte > 127
    top = np.where(opaque.any(axis=0), opaque.argmax(axis=0), len(opaque))
    assert abs(int(top[edge + 2]) - int(np.median(top[edge - 12 : edge]))) < 24
    outline = top[edge : edge + 150]
    assert np.all(np.diff(outline) >= 0)
    assert outline[-1] > outline[0] + 20
    # It is made of the cloth that the edge cut, not of the wall.
    deep = min(len(opaque) - 4, int(outline[20]) + 60)
    cloth = narrow.picture[deep - 8 : deep + 8, -20:].reshape(-1, 3).mean(axis=0)
    assert np.abs(scene.picture[deep - 8 : deep + 8, edge : edge + 20].reshape(-1, 3).mean(axis=0) - cloth).max() < 40


def test_nothing_moves_beside_the_person(narrow: AvatarPack) -> None:
    renderer = CpuRenderer(narrow, 1280, 720)
    rest = renderer.render(motion()).copy()
    moved = renderer.render(motion(yaw=5, roll=3, breath=1, jawOpen=0.5))
    left, _, right, _ = renderer.plan.region
    assert 0 < left < right < 1280
    assert np.array_equal(moved[:720, :left], rest[:720, :left])
    assert np.array_equal(moved[:720, right:], rest[:720, right:])
    assert not np.array_equal(moved, rest)


def test_where_motion_ends_the_picture_shows_no_edge(narrow: AvatarPack) -> None:
    """Beside the region the person is part of the still picture: the seam between both must not be seen, at rest or in
    a breath.
    """
    renderer = CpuRenderer(narrow, 1280, 720)
    left = renderer.plan.region[0]
    chin = int(renderer.face.landmarks[CHIN, 1])
    for frame in (motion(), motion(breath=1, yaw=4)):
        luma = cv2.GaussianBlur(renderer.render(frame)[:720].astype(np.float32), (1, 0), sigmaX=0.1, sigmaY=6)
        steps = np.abs(np.diff(luma[chin:, left - 30 : left + 30], axis=1)).mean(axis=0)
        assert steps[29] < 2.0 * np.median(steps) + 0.5
