"""What is drawn between the lips: the opening, what lies in it, and the edge of the lower lip."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.engine import native

WIDTH, HEIGHT = 40, 30  # of the box about the mouth
BORDER_X, BORDER_Y = 4, 3  # of the face around the box
LIT_ROWS_BELOW = 2
ROWS = ("upper", "lower", "cosine_upper", "cosine_lower", "recoloured", "inner", "light", "shadow")
GROUND, TEETH, SKIN = (60, 120, 150), (200, 126, 130), (150, 110, 140)

Picture = NDArray[np.uint8]
Patch = tuple[NDArray[np.float32], float, float]


def skin() -> Picture:
    """A face of one colour."""
    return np.full((HEIGHT + 2 * BORDER_Y, WIDTH + 2 * BORDER_X, 4), (*SKIN, 0), np.uint8)


def graded() -> Picture:
    """A face that gets lighter by a level from row to row."""
    face = skin()
    face[..., 0] = 100 + np.arange(len(face))[:, None]
    return face


def ground() -> Patch:
    return np.full((8, 8, 4), (*GROUND, 1), np.float32), 0.0, 0.0


def teeth(left: float, top: float, width: int, height: int) -> Patch:
    yuva = np.zeros((height, width, 4), np.float32)
    yuva[1:-1, 1:-1] = (*TEETH, 1)
    return yuva, left, top


def draw(
    face: Picture, *patches: Patch, lit_rows_below: int = LIT_ROWS_BELOW, shadow_depth: float = 0.0, **rows: float
) -> Picture:
    """Return the box as it is drawn: lips `upper` and `lower` px from its top, and whatever else `rows` says."""
    shown = face.copy()
    columns = {name: np.full(WIDTH, 1.0, np.float32) for name in ROWS}
    for name, value in ({"recoloured": 0.0, "inner": 0.0} | rows).items():
        columns[name][:] = value
    laid = (native.Patch * len(patches))()
    for patch, (yuva, x, y) in zip(laid, patches, strict=True):
        patch.yuva, patch.height, patch.width, patch.light = native.address(yuva), *yuva.shape[:2], 1.0
        patch.x, patch.y = x, y
    opening = native.Opening(
        pixels=native.address(shown), pixels_width=face.shape[1], pixels_height=face.shape[0],
        left=BORDER_X, top=BORDER_Y, width=WIDTH, height=HEIGHT, lit_rows_below=lit_rows_below,
        shadow_depth=shadow_depth, shadow_decay=0.5, edge_steepness=1.0, inner_steepness=1.0,
        roll_cosine=1.0, roll_sine=0.0, patches=laid, patch_count=len(patches),
    )  # fmt: skip
    for name in ROWS:
        setattr(opening, name, native.address(columns[name]))
    native.draw_opening(opening)
    outside = np.ones(face.shape[:2], bool)
    outside[BORDER_Y:-BORDER_Y, BORDER_X:-BORDER_X] = False
    assert np.array_equal(shown[outside], face[outside]), "drawn beyond the box"
    return shown[BORDER_Y:-BORDER_Y, BORDER_X:-BORDER_X]


def test_between_the_lips_the_inside_is_seen_and_beyond_them_nothing_changes() -> None:
    box = draw(skin(), ground(), teeth(-10.0, 2.0, 60, 14), upper=6.0, lower=24.0)
    assert (box[8:14, :, :3] == TEETH).all()
    assert (box[17:23, :, :3] == GROUND).all(), "below the teeth"
    assert (box[:5, :, :3] == SKIN).all() and (box[26:, :, :3] == SKIN).all()


def test_beyond_a_patch_the_one_behind_it_is_seen() -> None:
    box = draw(skin(), ground(), teeth(15.0, 12.0, 10, 6), upper=3.0, lower=27.0)
    assert (box[14:16, 17:23, :3] == TEETH).all()
    for rows, columns in ((slice(5, 11), slice(None)), (slice(19, 25), slice(None)), (slice(14, 16), slice(0, 14))):
        assert (box[rows, columns, :3] == GROUND).all()
    assert (box[14:16, 26:, :3] == GROUND).all()


def test_the_upper_lip_throws_a_shadow_that_fades_downwards() -> None:
    shadow_depth = 0.5
    box = draw(skin(), ground(), teeth(-10.0, 2.0, 60, 14), shadow_depth=shadow_depth, upper=6.0, lower=24.0)
    light = (box[8:14, 5, 0].astype(float) - 16) / (TEETH[0] - 16)
    assert np.allclose(light, 1 - shadow_depth * 0.5 ** np.arange(1, 7), atol=0.01), light


def test_lips_that_overlap_show_nothing_between_them() -> None:
    assert (draw(skin(), ground(), upper=20.0, lower=10.0)[..., :3] == SKIN).all()


def test_the_edge_of_the_lower_lip_looks_as_what_lies_below_it() -> None:
    face = graded()
    inner = face[BORDER_Y:-BORDER_Y, BORDER_X:-BORDER_X, 0].astype(int)
    box = draw(face, ground(), upper=15.0, lower=15.0, recoloured=6.0)[..., 0].astype(int)
    assert (box[14:19] == inner[14:19] + LIT_ROWS_BELOW).all(), (
        "from half of its depth above the line to all of it below"
    )
    assert (box[:11] == inner[:11]).all() and (box[23:] == inner[23:]).all()


def test_an_edge_is_drawn_beside_an_opening() -> None:
    face = graded()
    inner = face[BORDER_Y:-BORDER_Y, BORDER_X:-BORDER_X, 0].astype(int)
    box = draw(face, ground(), upper=6.0, lower=15.0, recoloured=6.0)
    assert (box[8:13, :, 0] == GROUND[0]).all(), "the inside lies over the edge"
    assert (box[17:19, :, 0] == inner[17:19] + LIT_ROWS_BELOW).all()


def test_an_edge_whose_likeness_lies_beyond_the_face_is_left_as_it_is() -> None:
    face = graded()
    box = draw(face, ground(), lit_rows_below=BORDER_Y + 1, upper=15.0, lower=15.0, recoloured=6.0)
    assert np.array_equal(box, face[BORDER_Y:-BORDER_Y, BORDER_X:-BORDER_X])
