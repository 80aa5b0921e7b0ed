"""What holds for every picture that is rendered: stillness, sameness, framing, eyes."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.engine.render.conftest import FindPoints, motion, rgb
from visavis.engine.pack.avatar_pack import AvatarPack
from visavis.engine.render.cpu import CpuRenderer
from visavis.engine.render.framing import lay_out


@pytest.fixture(scope="module")
def renderer(pack: AvatarPack) -> CpuRenderer:
    return CpuRenderer(pack, 512, 512)


def test_the_same_motion_gives_the_same_pixels_whatever_came_between(renderer: CpuRenderer) -> None:
    rest = renderer.render(motion()).copy()
    renderer.render(motion(yaw=4, roll=-2, jawOpen=0.8, eyeBlinkLeft=1, eyeBlinkRight=0.6, eyeLookX=0.7, breath=1))
    assert np.array_equal(renderer.render(motion()), rest)


def test_a_head_that_creeps_is_never_shown_further_back_than_it_stands(pack: AvatarPack, renderer: CpuRenderer) -> None:
    """What has hardly moved is not drawn anew; yet after a hundred small steps the picture is that of a renderer that
    takes them in one.
    """
    still = renderer.render(motion()).copy()
    assert np.array_equal(renderer.render(motion(yaw=0.005)), still)
    for step in range(1, 101):
        crept = renderer.render(motion(yaw=0.03 * step, pitch=-0.01 * step))
    fresh = CpuRenderer(pack, 512, 512).render(motion(yaw=3.0, pitch=-1.0))
    off = np.abs(crept[:512].astype(np.int16) - fresh[:512])
    moved = np.abs(still[:512].astype(np.int16) - fresh[:512])
    assert moved.mean() > 2.0
    assert off.mean() < 0.1 * moved.mean()


def test_lids_and_folds_change_where_nothing_moves(pack: AvatarPack, renderer: CpuRenderer) -> None:
    renderer.render(motion())
    shut = motion(eyeBlinkLeft=1, eyeBlinkRight=1, browDown=1)
    assert np.array_equal(renderer.render(shut), CpuRenderer(pack, 512, 512).render(shut))


def test_a_mouth_that_closes_leaves_nothing_behind(pack: AvatarPack, renderer: CpuRenderer) -> None:
    renderer.render(motion(jawOpen=0.9))
    renderer.render(motion(jawOpen=0.4, mouthPucker=1))
    assert np.array_equal(renderer.render(motion()), CpuRenderer(pack, 512, 512).render(motion()))


def test_a_hurried_frame_shows_the_lips_as_ever_and_what_hardly_moves_a_little_later(
    pack: AvatarPack, renderer: CpuRenderer
) -> None:
    renderer.render(motion())
    moved = motion(yaw=0.12, jawOpen=0.6, mouthFunnel=0.3)
    fresh = CpuRenderer(pack, 512, 512).render(moved).copy()
    hurried = renderer.render(moved, hurried=True).copy()
    face = renderer.face
    mouth = (
        slice(int(face.nose_base_y), int(face.chin[1])),
        slice(int(face.corner_left[0]) - 10, int(face.corner_right[0]) + 11),
    )
    assert np.array_equal(hurried[mouth], fresh[mouth])
    behind = np.abs(hurried.astype(np.int16) - fresh).mean()
    assert behind > 0
    assert np.abs(renderer.render(moved).astype(np.int16) - fresh).mean() < 0.5 * behind


def test_two_renderers_of_one_pack_agree_and_share_their_plan(pack: AvatarPack, renderer: CpuRenderer) -> None:
    other = CpuRenderer(pack, 512, 512)
    frame = motion(jawOpen=0.4, yaw=2)
    assert np.array_equal(other.render(frame), renderer.render(frame))
    assert other.plan is renderer.plan


def test_the_background_is_bit_still(pack: AvatarPack, renderer: CpuRenderer) -> None:
    """Beyond a third of the eye distance from the person, not one bit changes, however the head moves."""
    person = (lay_out(pack.matte, renderer.plan.frame, 512, 512, 1.0, cv2.BORDER_REPLICATE) > 0).astype(np.uint8)
    reach = int(0.35 * renderer.face.unit) + 4
    still = cv2.dilate(person, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) == 0
    assert still.mean() > 0.05
    rest = renderer.render(motion())[:512].copy()
    for moved in (motion(yaw=6, pitch=5, roll=4), motion(yaw=-6, pitch=-5, roll=-4, jawOpen=1, breath=1)):
        luma = renderer.render(moved)[:512]
        assert np.array_equal(luma[still], rest[still])
        assert not np.array_equal(luma, rest)


def test_at_rest_the_picture_is_the_neutral_photo(pack: AvatarPack, renderer: CpuRenderer) -> None:
    """Away from nothing but rounding: person over background gives the photo back."""
    photo = lay_out(pack.picture, renderer.plan.frame, 512, 512, 1.0, 1)
    shown = rgb(renderer.render(motion()))
    difference = np.abs(photo.astype(int) - shown)[16:-16, 16:-16]
    assert np.percentile(difference, 50) <= 3
    assert difference.mean() < 6


@pytest.mark.parametrize(("width", "height"), [(512, 512), (1280, 720), (240, 320), (1920, 1072), (720, 1280)])
def test_the_head_stands_whole_and_in_the_middle(
    pack: AvatarPack, find_points: FindPoints, width: int, height: int
) -> None:
    p = find_points(CpuRenderer(pack, width, height).render(motion()))
    x, y = p[:, 0], p[:, 1]
    assert abs((x.min() + x.max()) / 2 / width - 0.5) < 0.12
    assert y.min() > 0.06 * height and y.max() < 0.85 * height
    share = (y.max() - y.min()) / height  # the mesh seen; prominent, but never beyond the width of an upright picture
    assert (0.39 if width >= height else 0.27) < share < 0.52


def test_the_head_turns_nods_and_tilts(renderer: CpuRenderer, find_points: FindPoints) -> None:
    rest = find_points(renderer.render(motion()))
    nose, brow = 1, 10
    assert find_points(renderer.render(motion(yaw=6)))[nose, 0] > rest[nose, 0] + 2
    assert find_points(renderer.render(motion(yaw=-6)))[nose, 0] < rest[nose, 0] - 2
    assert find_points(renderer.render(motion(pitch=5)))[nose, 1] > rest[nose, 1] + 1
    assert find_points(renderer.render(motion(roll=4)))[brow, 0] > rest[brow, 0] + 3


def test_lids_close_one_by_one_and_are_skin(renderer: CpuRenderer, find_points: FindPoints) -> None:
    rest = find_points(renderer.render(motion()))
    open_left = rest[145, 1] - rest[159, 1]  # the viewer's left, the person's right
    open_right = rest[374, 1] - rest[386, 1]
    wink = find_points(renderer.render(motion(eyeBlinkLeft=1)))
    assert wink[374, 1] - wink[386, 1] < 0.62 * open_right
    assert wink[145, 1] - wink[159, 1] > 0.75 * open_left
    frame = renderer.render(motion(eyeBlinkLeft=1, eyeBlinkRight=1))[:512]
    x, y = rest[468].astype(int)
    skin = frame[int(rest[50, 1]) - 3 : int(rest[50, 1]) + 4, int(rest[50, 0]) - 3 : int(rest[50, 0]) + 4].mean()
    assert frame[y - 2 : y + 2, x - 3 : x + 4].mean() > 0.55 * skin  # no dark iris shines through


def test_gaze_moves_the_iris(renderer: CpuRenderer, find_points: FindPoints) -> None:
    left = find_points(renderer.render(motion(eyeLookX=-1)))
    right = find_points(renderer.render(motion(eyeLookX=1)))
    assert right[468, 0] - left[468, 0] > 1.5
    assert right[473, 0] - left[473, 0] > 1.5


def test_closed_eyes_show_nothing_of_the_eyeball(renderer: CpuRenderer) -> None:
    """Where the eyes are, closed lids look the same whichever way the eyeballs beneath them look."""
    ahead = renderer.render(motion(eyeBlinkLeft=1, eyeBlinkRight=1)).copy()
    aside = renderer.render(motion(eyeBlinkLeft=1, eyeBlinkRight=1, eyeLookX=1)).copy()
    assert np.abs(ahead.astype(int) - aside).max() <= 2
    half = renderer.render(motion(eyeBlinkLeft=0.4, eyeBlinkRight=0.4)).copy()
    assert (
        np.abs(half.astype(int) - renderer.render(motion(eyeBlinkLeft=0.4, eyeBlinkRight=0.4, eyeLookX=1))).max() > 10
    )
