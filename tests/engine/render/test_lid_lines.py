"""Eyes that are drawn larger than the mesh believes: their own lines are found, and a blink closes all of them."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from visavis.engine.landmarks import EYE_LEFT, EYE_RIGHT
from visavis.engine.render.eyes import Eye, _source_heights
from visavis.engine.render.lid_lines import lid_lines

UNIT = 300.0
CENTRES = {EYE_LEFT: np.array([130.0, 140.0]), EYE_RIGHT: np.array([370.0, 140.0])}
CENTRE = CENTRES[EYE_LEFT]
HALF_WIDTH, HALF_HEIGHT = 42.0, 19.0  # of the mesh's eye
SKINS = {"light": (190, 112, 146), "dark": (88, 109, 152)}  # Y, U, V
WHITE, LINE = (215, 128, 128), (24, 127, 131)


def points() -> NDArray[np.float32]:
    p = np.zeros((478, 2), np.float32)
    across = np.linspace(-1, 1, len(EYE_LEFT.upper))
    height = HALF_HEIGHT * np.sqrt(1 - across**2)
    for eye, centre in CENTRES.items():
        for indices, sign in ((eye.upper, -1), (eye.lower, 1)):
            p[list(indices)] = np.stack([centre[0] + HALF_WIDTH * across, centre[1] + sign * height], axis=-1)
        p[eye.iris] = centre
        p[list(eye.rim)] = centre + 17 * np.array([(1, 0), (0, -1), (-1, 0), (0, 1)])
        p[list(eye.brow)] = np.stack([centre[0] + 45 * np.linspace(-1, 1, 5), np.full(5, centre[1] - 65)], axis=-1)
    return p


def face(
    larger: float, skin: tuple[int, int, int], line_px: int = 10, other: float | None = None, iris_px: int = 17
) -> NDArray[np.uint8]:
    """A texture with two eyes, `larger` than the mesh's (the right one by `other`), and a thick line along the upper
    lids.
    """
    texture = np.zeros((280, 500, 4), np.uint8)
    texture[..., :3] = skin
    colours = np.ascontiguousarray(texture[..., :3])
    for at, size in zip(CENTRES.values(), (larger, other or larger), strict=True):
        centre, axes = (int(at[0]), int(at[1])), (round(HALF_WIDTH * size), round(HALF_HEIGHT * size))
        cv2.ellipse(colours, centre, (axes[0] + line_px // 2, axes[1] + line_px), 0, 180, 360, LINE, -1, cv2.LINE_AA)
        cv2.ellipse(colours, centre, axes, 0, 0, 360, WHITE, -1, cv2.LINE_AA)
        cv2.circle(colours, centre, iris_px, (70, 118, 120), -1, cv2.LINE_AA)
    texture[..., :3] = colours
    return texture


def drawn(texture: NDArray[np.uint8]) -> list[bool]:
    return [lines.drawn for lines in lid_lines(texture, points(), UNIT)]


@pytest.mark.parametrize("skin", list(SKINS))
def test_a_drawn_eye_has_the_lines_that_are_drawn(skin: str) -> None:
    lines, other = lid_lines(face(1.2, SKINS[skin]), points(), UNIT)
    assert lines.drawn and other.drawn and lines.bare is not None
    assert (
        abs(lines.left - (CENTRE[0] - 1.2 * HALF_WIDTH - 5)) < 5
        and abs(lines.right - (CENTRE[0] + 1.2 * HALF_WIDTH + 5)) < 5
    )
    middle = float(CENTRE[0])
    assert abs(np.interp(middle, *lines.lower) - (CENTRE[1] + 1.2 * HALF_HEIGHT)) < 3
    top = CENTRE[1] - 1.2 * HALF_HEIGHT - 10
    assert top - 9 < np.interp(middle, *lines.bare) < top - 1, "bare skin begins above the line of the lashes"
    assert top - 2 < np.interp(middle, *lines.upper) < CENTRE[1] - HALF_HEIGHT + 2, "and the lid below it"


@pytest.mark.parametrize("skin", list(SKINS))
@pytest.mark.parametrize("larger", [0.9, 1.0, 1.05])
def test_the_mesh_is_believed_where_it_fits(skin: str, larger: float) -> None:
    assert drawn(face(larger, SKINS[skin], line_px=4)) == [False, False]


def test_one_eye_alone_is_not_drawn() -> None:
    assert drawn(face(1.2, SKINS["light"], other=1.0)) == [False, False], "a shadow beside one eye looks like that"


def test_what_runs_into_a_shadow_is_no_drawn_eye() -> None:
    texture = face(1.2, SKINS["light"])
    assert drawn(texture) == [True, True]
    texture[:150, 120:140, :3] = LINE
    assert drawn(texture) == [False, False]


@pytest.mark.parametrize("skin", list(SKINS))
@pytest.mark.parametrize("larger", [1.0, 1.2])
def test_a_blink_leaves_no_white(skin: str, larger: float) -> None:
    texture = face(larger, SKINS[skin])
    eye = Eye(texture, points(), UNIT, EYE_LEFT, lid_lines(texture, points(), UNIT)[0])
    eye.paint(texture, 1.0, 0.0, 0.0)
    assert texture[:, :250, 0].max() <= SKINS[skin][0] + 6, "white shows"
    middle = texture[int(CENTRE[1] - 0.5 * HALF_HEIGHT), int(CENTRE[0] - 20) : int(CENTRE[0] + 20), 0].astype(int)
    assert np.abs(middle - SKINS[skin][0]).max() < 0.2 * SKINS[skin][0], (
        "the lid is skin, without the line of the lashes"
    )
    eye.paint(texture, 0.0, 0.0, 0.0)
    assert np.array_equal(texture, face(larger, SKINS[skin]))


@pytest.mark.parametrize("iris_px", [17, 22])
def test_the_iris_is_as_large_as_it_is_drawn(iris_px: int) -> None:
    for lines, centre in zip(
        lid_lines(face(1.25, SKINS["light"], iris_px=iris_px), points(), UNIT), CENTRES.values(), strict=True
    ):
        assert lines.drawn and np.abs(np.array(lines.iris) - (*centre, iris_px)).max() < 2.5, lines.iris
        assert (
            abs(lines.whites[0] - (centre[0] - 1.25 * HALF_WIDTH)) < 4
            and abs(lines.whites[1] - (centre[0] + 1.25 * HALF_WIDTH)) < 4
        )


@pytest.mark.parametrize("drop_px", [-4.0, 0.5, 25.0, 70.0, 160.0])
def test_skin_that_is_drawn_down_comes_from_one_place(drop_px: float) -> None:
    """Far travel in a narrow lid, too: a search that jumps past it left flat patches on a lid."""
    rows, columns = 120, 9
    y = np.broadcast_to(np.arange(rows, dtype=np.float32)[:, None], (rows, columns))
    brow, lashes = np.linspace(20, 50, columns, dtype=np.float32), np.full(columns, 58, np.float32)
    drop = np.full(columns, drop_px, np.float32)
    source = _source_heights(y, drop, brow, lashes)
    v = np.clip((source - brow) / np.maximum(lashes - brow, 2), 0, 1)
    assert np.abs(source + drop * (0.5 * v + v * v * (1.5 - v)) - y).max() < 0.2
    assert (np.diff(source, axis=0) > -0.05).all(), "no fold"
