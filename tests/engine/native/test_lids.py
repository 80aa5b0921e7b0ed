"""The lids and the gaze of an eye, compared with the same by another library."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from visavis.engine import native

WIDTH, HEIGHT = 40, 30
LASH, LASH_WIDTH = (26, 126, 131, 0), 1.7
Picture = NDArray[np.uint8]
Array = NDArray[np.float32]


def picture(rng: np.random.Generator) -> Picture:
    return np.asarray(cv2.resize(rng.integers(0, 256, (7, 9, 4)).astype(np.uint8), (WIDTH, HEIGHT)), np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Eye:
    """An eye of random pictures, whose upper lid is at row 12 and whose lower lid is at row 20."""

    seed: int = 1
    pictures: tuple[Picture, Picture, Picture] = field(init=False)
    maps: tuple[Array, Array, Array, Array] = field(init=False)
    rim_fade: Array = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        y = np.repeat(np.arange(HEIGHT, dtype=np.float32)[:, None], WIDTH, axis=1)
        down = cv2.resize(rng.uniform(0, 9, (4, 4)).astype(np.float32), (WIDTH, HEIGHT))
        rim_fade = np.zeros((HEIGHT, WIDTH), np.float32)
        rim_fade[1:-1, 1:-1] = 0.5
        rim_fade[2:-2, 2:-2] = 1.0
        object.__setattr__(self, "pictures", (picture(rng), picture(rng), picture(rng)))
        object.__setattr__(self, "maps", (y, y - down, y, y + down))
        object.__setattr__(self, "rim_fade", rim_fade)

    def columns(self) -> dict[str, Array]:
        x = np.arange(WIDTH, dtype=np.float32)
        return {
            "lid": 12 + np.sin(x / 5),
            "drop": np.full(WIDTH, 6, np.float32),
            "lift": np.full(WIDTH, 2, np.float32),
            "rim": 20 + np.cos(x / 7),
            "rise": np.full(WIDTH, 3, np.float32),
            "lash_strength": np.linspace(0, 0.8, WIDTH, dtype=np.float32),
        }

    def painted(self, **shares: float) -> Picture:
        """Return the texture with the eye in it, beyond whose part nothing may change."""
        columns, (shown, skin, look) = self.columns(), self.pictures
        lids = native.Lids(
            width=WIDTH, height=HEIGHT, open=native.address(shown), lid_skin=native.address(skin),
            look=native.address(look), rim_fade=native.address(self.rim_fade), per_lash=1 / LASH_WIDTH, **shares,
            **{name: native.address(column) for name, column in columns.items()},
        )  # fmt: skip
        for name, array in zip(("upper_first", "upper_second", "lower_first", "lower_second"), self.maps, strict=True):
            setattr(lids, name, native.address(array))
        lids.lash[:] = LASH
        texture = np.full((HEIGHT + 6, WIDTH + 8, 4), 99, np.uint8)
        native.paint_lids(lids, texture[3:-3, 4:-4])
        outside = np.ones(texture.shape[:2], bool)
        outside[3:-3, 4:-4] = False
        assert (texture[outside] == 99).all(), "painted beyond the eye"
        return texture[3:-3, 4:-4]

    def expected(
        self, *, dropped: float = 0.0, raised: float = 0.0, risen: float = 0.0, overlap: float = 0.0,
        upper_share: float = 0.0, lower_share: float = 0.0, lash_share: float = 0.0,
    ) -> Picture:  # fmt: skip
        columns, (shown, skin, look) = self.columns(), self.pictures
        x, y = np.meshgrid(np.arange(WIDTH, dtype=np.float32), np.arange(HEIGHT, dtype=np.float32))

        def drawn(source: Picture, first: Array, second: Array, share: float) -> Picture:
            heights = (first * (1 - share) + second * share).astype(np.float32)
            moved = cv2.remap(source, x, heights, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            return np.asarray(moved, np.uint8)

        def blend(over: Picture, under: Picture, weight: Array) -> Picture:
            weight = np.ascontiguousarray(weight, np.float32)
            return np.asarray(cv2.blendLinear(over, under, weight, np.float32(1) - weight), np.uint8)

        edge = columns["lid"] + dropped * columns["drop"] - raised * columns["lift"]
        floor = columns["rim"] - risen * columns["rise"]
        if dropped or raised:
            look = blend(drawn(skin, *self.maps[:2], upper_share), look, np.clip(edge - y + 0.5, 0, 1))
        if risen:
            look = blend(drawn(shown, *self.maps[2:], lower_share), look, np.clip(y - floor + 0.5 + overlap, 0, 1))
        shade = np.exp(-0.5 * ((y - edge) / LASH_WIDTH) ** 2) * columns["lash_strength"] * lash_share
        lash = np.broadcast_to(np.array(LASH, np.uint8), shown.shape).copy()
        return blend(blend(lash, look, shade), shown, self.rim_fade)


@pytest.mark.parametrize(
    "shares",
    [
        {},
        {"dropped": 0.4, "upper_share": 0.6, "lash_share": 0.5},
        {"dropped": 1.0, "upper_share": 1.0, "risen": 0.42, "lower_share": 0.7, "overlap": 1.0, "lash_share": 1.0},
        {"risen": 1.0, "lower_share": 1.0},
        {"raised": 1.0, "upper_share": 0.3, "lash_share": 0.6},
    ],
    ids=["open", "half shut", "shut", "squinting", "wide open"],
)
def test_lids_are_painted_as_by_another_library(shares: dict[str, float]) -> None:
    eye = Eye()
    painted, expected = eye.painted(**shares).astype(int), eye.expected(**shares)
    assert np.abs(painted - expected).max() <= 1, "a level, by the order of rounding"
    assert np.abs(painted - expected).mean() < 0.05
    assert not shares or np.abs(painted - Eye().painted()).max() > 20


def test_skin_from_beyond_the_eye_is_that_of_its_rim() -> None:
    eye = Eye()
    for height in (-1e9, np.nan, 1e9):
        for array in eye.maps:
            array[...] = height
        painted = eye.painted(dropped=1.0, upper_share=0.5, risen=1.0, lower_share=0.5)
        rim = eye.pictures[1][HEIGHT - 1 if height == 1e9 else 0]
        assert np.array_equal(painted[5, 2:-2], rim[2:-2])


@pytest.mark.parametrize("by_px", [(0.4, -0.3), (-3.0, 2.0), (90.0, -90.0), (float("nan"), 0.0)])
def test_an_eyeball_moves_behind_its_lids(by_px: tuple[float, float]) -> None:
    rng = np.random.default_rng(3)
    shown_picture, behind = picture(rng), picture(rng)
    left, top, across, down = 5, 9, 28, 12
    shown = np.clip(cv2.resize(rng.uniform(-1, 2, (3, 5)).astype(np.float32), (across, down)), 0, 1)
    weight = np.ascontiguousarray(cv2.resize(rng.uniform(0, 1, (3, 3)).astype(np.float32), (across, down)))
    gaze = native.Gaze(
        width=WIDTH, height=HEIGHT, open=native.address(shown_picture), behind=native.address(behind), left=left,
        top=top, across=across, down=down, shown=native.address(shown), weight=native.address(weight),
    )  # fmt: skip
    texture = np.full((HEIGHT + 2, WIDTH + 3, 4), 99, np.uint8)
    native.turn_eye(gaze, by_px, texture[1:-1, 1:-2])
    outside = np.ones(texture.shape[:2], bool)
    outside[1:-1, 1:-2] = False
    assert (texture[outside] == 99).all(), "painted beyond the eye"
    part = slice(top, top + down), slice(left, left + across)
    beside = np.ones((HEIGHT, WIDTH), bool)
    beside[part] = shown <= 0
    seen = texture[1:-1, 1:-2]
    assert np.array_equal(seen[beside], shown_picture[beside])
    if np.isnan(by_px[0]):
        return  # places that are none show any place of the eye
    x, y = np.meshgrid(np.arange(across, dtype=np.float32) + left, np.arange(down, dtype=np.float32) + top)
    from_x, from_y = x - np.float32(by_px[0]) * weight, y - np.float32(by_px[1]) * weight
    moved = cv2.remap(behind, from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    expected = cv2.blendLinear(moved, np.ascontiguousarray(shown_picture[part]), shown, 1 - shown)
    assert np.abs(seen[part].astype(int) - expected).max() <= 1
    assert np.abs(seen[part].astype(int) - shown_picture[part]).max() > 20
