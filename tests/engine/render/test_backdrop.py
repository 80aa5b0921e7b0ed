"""What stands behind the person: drawn, and taken away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.engine.render.conftest import Rendered, motion, rgb
from visavis.engine.colour import to_yuv
from visavis.engine.errors import PictureUnreadable
from visavis.engine.landmarks import CHIN, FOREHEAD
from visavis.engine.pack.avatar_pack import AvatarPack
from visavis.engine.pack_ref import picture_id_of
from visavis.engine.render.backdrop import Backdrop, Framing
from visavis.engine.render.background_picture import covering
from visavis.engine.render.cpu import CpuRenderer
from visavis.engine.render.cutout import own_colours
from visavis.engine.render.framing import place

SIDE = 320
SPEAKING = motion(yaw=5, roll=3, breath=1, jawOpen=0.5)
RATIOS = [(18, 9), (16, 9), (5, 3), (16, 10), (3, 2), (4, 3), (1, 1)]


@pytest.mark.parametrize(
    "backdrop",
    [
        Backdrop(),
        Backdrop(kind="color", color=(26, 43, 60)),
        Backdrop(kind="image", picture_id=picture_id_of(b"an office")),
        Backdrop(kind="blur", strength=0.25),
        Backdrop(kind="transparent"),
        Backdrop(kind="chroma"),
    ],
)
def test_a_backdrop_travels(backdrop: Backdrop) -> None:
    assert Backdrop.from_plain(backdrop.plain()) == backdrop


@pytest.mark.parametrize("picture_id", ["", "pict_", "../../secret", "pict_" + "0" * 63 + "/"])
def test_what_names_no_picture_is_refused(picture_id: str) -> None:
    with pytest.raises(ValueError):
        Backdrop(kind="image", picture_id=picture_id)


def test_a_colour_stands_still_and_flat_behind_a_moving_head(pack: AvatarPack) -> None:
    renderer = CpuRenderer(pack, SIDE, SIDE, Backdrop(kind="color", color=(200, 20, 160)))
    rest, moved = renderer.render(motion()).copy(), renderer.render(SPEAKING)
    wanted = np.rint(to_yuv(np.array([[[200, 20, 160]]], np.uint8)))[0, 0]
    corner = slice(0, SIDE // 10)
    assert np.all(rest[corner, corner] == wanted[0]) and np.array_equal(rest[corner, corner], moved[corner, corner])
    assert not np.array_equal(rest, moved)
    # A key is exactly what it is said to be, wherever nobody stands.
    still = renderer.plan.still[:SIDE]
    region = renderer.plan.region
    assert np.all(still[:, region[0] : region[2]] == wanted[0])


def test_an_image_covers_the_frame_with_its_middle(pack: AvatarPack, tmp_path: Path) -> None:
    image = np.zeros((300, 900, 3), np.uint8)
    # BGR
    image[:, :300], image[:, 300:450], image[:, 450:600], image[:, 600:] = (
        (255, 0, 0),
        (0, 200, 0),
        (0, 0, 200),
        (255, 0, 0),
    )
    assert cv2.imwrite(str(tmp_path / "image.png"), image)
    backdrop = Backdrop(kind="image", picture_id=picture_id_of(b"a flag"))
    picture = rgb(CpuRenderer(pack, SIDE, SIDE, backdrop, image=tmp_path / "image.png").render(motion()))
    left, right = picture[10, 10].astype(int), picture[10, -10].astype(int)
    assert left[1] > 150 > left[0] + left[2]  # the square in its middle: green, then red
    assert right[0] > 150 > right[1] + right[2]
    assert covering(image, 100, 400).shape == (400, 100, 3)
    for path in (None, tmp_path / "nothing.png"):
        other = Backdrop(kind="image", picture_id=picture_id_of(b"nothing"))
        with pytest.raises(PictureUnreadable):
            CpuRenderer(pack, SIDE, SIDE, other, image=path)


def test_a_blur_takes_detail_from_the_background_alone_and_puts_no_halo_about_the_hair(pack: AvatarPack) -> None:
    plain, soft = CpuRenderer(pack, SIDE, SIDE), CpuRenderer(pack, SIDE, SIDE, Backdrop(kind="blur", strength=1.0))
    photo, blurred = (rgb(renderer.render(motion())).astype(np.float32) for renderer in (plain, soft))
    matte = _matte(pack)
    away = cv2.dilate(matte, np.ones((9, 9), np.uint8)) < 2
    detail = [np.abs(cv2.Laplacian(p.mean(axis=2), cv2.CV_32F))[away].mean() for p in (photo, blurred)]
    assert detail[1] < 0.7 * detail[0]
    face = cv2.erode(matte, np.ones((25, 25), np.uint8)) > 250
    assert np.abs(photo - blurred)[face].mean() < 1.0
    # A blur of the photo itself would smear dark hair over the bright wall about it.
    head = slice(0, int(plain.face.landmarks[CHIN, 1]))
    ring = (cv2.dilate(matte, np.ones((15, 15), np.uint8)) > 2) & away
    naive = cv2.GaussianBlur(photo, (0, 0), 0.2 * plain.face.unit)
    wall = photo[head][ring[head]].mean()
    assert wall - blurred[head][ring[head]].mean() < 0.35 * (wall - naive[head][ring[head]].mean())


def test_a_transparent_picture_carries_the_person_and_a_matte_that_moves_with_them(pack: AvatarPack) -> None:
    renderer = CpuRenderer(pack, SIDE, SIDE, Backdrop(kind="transparent"))
    assert renderer.picture_height_px == 2 * SIDE
    rest = renderer.render(motion()).copy()
    assert rest.shape == (3 * SIDE, SIDE)
    matte = rest[SIDE : 2 * SIDE]
    nose = renderer.face.landmarks[1]
    assert matte[int(nose[1]), int(nose[0])] == 235 and matte[4, 4] == 16
    assert _grey_below(rest)
    moved = renderer.render(motion(yaw=6))
    assert np.abs(moved[SIDE : 2 * SIDE].astype(int) - matte).max() > 60
    # Composed over the photo's own background it is the photo again; over black no light of the wall is left at the
    # edge.
    opacity = ((matte.astype(np.float32) - 16) / 219)[..., None]
    colours = rgb(rest)[:SIDE].astype(np.float32)
    photo = rgb(CpuRenderer(pack, SIDE, SIDE).render(motion())).astype(np.float32)
    ground = rgb(CpuRenderer(pack, SIDE, SIDE).plan.still).astype(np.float32)
    again = colours * opacity + ground * (1 - opacity)
    assert np.abs(again - photo).mean() < 1.5
    soft = (opacity[..., 0] > 0.1) & (opacity[..., 0] < 0.6)
    soft[int(renderer.face.landmarks[CHIN, 1]) :] = False  # hair and cheeks
    assert colours[soft].mean() < ground[soft].mean() - 40


def _grey_below(i420: Rendered) -> bool:
    """Whether U and V of the lower half are neutral."""
    flat = i420.reshape(-1)[2 * SIDE * SIDE :]
    u, v = flat.reshape(2, SIDE, SIDE // 2)
    return bool(np.all(u[SIDE // 2 :] == 128) and np.all(v[SIDE // 2 :] == 128))


def _matte(pack: AvatarPack) -> NDArray[np.uint8]:
    """The matte of the resting person, uint8 (SIDE, SIDE)."""
    y = CpuRenderer(pack, SIDE, SIDE, Backdrop(kind="transparent")).render(motion())[SIDE : 2 * SIDE]
    opacity: NDArray[np.uint8] = np.rint((y.astype(np.float32) - 16) * 255 / 219).astype(np.uint8)
    return opacity


def test_another_background_is_a_change_in_passing(pack: AvatarPack) -> None:
    shared = replace(pack, plans={})
    first = CpuRenderer(shared, SIDE, SIDE)
    other = CpuRenderer(shared, SIDE, SIDE, Backdrop(kind="color", color=(9, 9, 9)))
    assert other.plan.face_fields is first.plan.face_fields, "what does not change was made again"
    alone = CpuRenderer(replace(pack, plans={}), SIDE, SIDE, Backdrop(kind="color", color=(9, 9, 9)))
    assert np.array_equal(other.render(SPEAKING), alone.render(SPEAKING))


def test_soft_edges_are_unmixed() -> None:
    """A red disc with a soft rim, photographed before a blue wall: its rim's own colour is red."""
    y, x = np.mgrid[0:120, 0:120].astype(np.float32)
    opacity = np.clip((44 - np.hypot(x - 60, y - 60)) / 10 + 0.5, 0, 1)[..., None]
    red, blue = np.array([200.0, 40.0, 30.0]), np.array([30.0, 60.0, 210.0])
    photo = np.rint(red * opacity + blue * (1 - opacity)).astype(np.uint8)
    wall = np.broadcast_to(blue.astype(np.uint8), photo.shape)
    own = own_colours(photo, np.rint(255 * opacity[..., 0]).astype(np.uint8), np.ascontiguousarray(wall))
    assert np.abs(own.astype(int) - red).max() < 12


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("zoom", [0.7, 1.0, 1.4, 2.0])
def test_the_head_stays_whole_with_air_above_it_in_every_format(
    pack: AvatarPack, ratio: tuple[int, int], zoom: float
) -> None:
    long, short = 1280, 1280 * ratio[1] // ratio[0] // 2 * 2
    rows, columns = pack.matte.shape
    for width, height in ((long, short), (short, long)):
        frame = place(
            pack.head, float(pack.landmarks[CHIN, 1] - pack.landmarks[FOREHEAD, 1]), columns, rows, width, height, zoom
        )
        top, bottom = (frame.scale * y + frame.shift_y for y in (pack.head.top, pack.head.bottom))
        left, right = (frame.scale * x + frame.shift_x for x in (pack.head.left, pack.head.right))
        assert 0.01 * height < top < bottom < height
        assert 0 <= left < right <= width


def test_nearer_is_nearer(pack: AvatarPack) -> None:
    sizes = [CpuRenderer(pack, SIDE, SIDE, framing=Framing(zoom=zoom)).face.unit for zoom in (0.7, 1.0, 1.3)]
    assert sizes == sorted(sizes) and sizes[2] > 1.15 * sizes[1] > 1.3 * sizes[0]
