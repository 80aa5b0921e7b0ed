"""The compiled kernels: both ways to compute give the same bytes, and both give what is meant."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from visavis.engine import native
from visavis.engine.render.warp import Grid

NOBODY = (0, 0, 0, 255)
Drawn = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]


@pytest.fixture(params=["widest", "portable"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(native, "_PORTABLE", int(request.param == "portable"))
    return str(request.param)


def person(rng: np.random.Generator, width: int, height: int) -> NDArray[np.uint8]:
    """A premultiplied texture with every degree of transparency."""
    clear = cv2.resize(rng.integers(0, 2, (6, 6)).astype(np.float32) * 255, (width, height)).astype(np.uint8)
    colours = cv2.resize(rng.integers(16, 236, (9, 9, 3)).astype(np.uint8), (width, height)) * (
        (255.0 - clear[..., None]) / 255
    )
    return np.dstack([colours.astype(np.uint8), clear])


def sources(rng: np.random.Generator, grid: Grid, zoom: float, by_px: float) -> NDArray[np.float32]:
    x, y = grid.nodes()
    coarse = rng.normal(0, by_px, (4, 4, 2)).astype(np.float32)
    moved = np.stack([x, y], axis=-1) * zoom + cv2.resize(coarse, (grid.nx, grid.ny))
    return np.ascontiguousarray(moved, np.float32)


class Canvas:
    """One strip of a picture, and all that drawing it needs."""

    def __init__(
        self, rng: np.random.Generator, box: tuple[int, int, int, int], cell: int, zoom: float = 1.1, by_px: float = 6.0
    ) -> None:
        left, top, right, bottom = self.box = box
        self.texture = person(rng, 150, 130)
        self.framed = native.with_border(self.texture, NOBODY)
        self.grid = Grid.over(*box, cell)
        self.sources = sources(rng, self.grid, zoom, by_px)
        self.still = [rng.integers(0, 256, (200 // step, 220 // step)).astype(np.uint8) for step in (1, 2, 2)]
        self.spans = np.tile(np.array([0, right - left], np.int32), ((bottom - top) // 2, 1))
        self.scratch = native.row_scratch(right - left, cell)
        self.drawn = np.empty_like(self.sources)
        self.strips = (native.Strip * 1)()
        self.out = [plane.copy() for plane in self.still]
        self.matte = np.zeros((200, 220), np.uint8)
        strip = self.strips[0]
        strip.left, strip.top, strip.width, strip.height = (
            left - self.grid.x0,
            top - self.grid.y0,
            right - left,
            bottom - top,
        )
        strip.spans, strip.drawn = native.address(self.spans), native.address(self.drawn)
        strip.last_row, strip.last_column = self.grid.ny - 1, self.grid.nx - 1
        for channel, step in enumerate((1, 2, 2)):
            at = slice(top // step, bottom // step), slice(left // step, right // step)
            strip.still[channel], strip.out[channel] = (
                native.address(self.still[channel][at]),
                native.address(self.out[channel][at]),
            )
            strip.stride[channel] = self.still[channel].strides[0]
        strip.matte, strip.matte_stride = native.address(self.matte[top:bottom, left:right]), 220

    def draw(self, still_by: float = -1.0, changed: tuple[tuple[int, int], ...] = ()) -> int:
        grid = native.Grid(nodes=native.address(self.sources), across=self.grid.nx, cell=self.grid.cell)
        scratch = native.address(self.scratch)
        return native.draw_strips(self.strips, grid, native.Texture.of(self.framed), still_by, changed, scratch)

    def planes(self) -> Drawn:
        left, top, right, bottom = self.box
        y, u, v = (
            plane[top // s : bottom // s, left // s : right // s] for plane, s in zip(self.out, (1, 2, 2), strict=True)
        )
        return y, u, v, self.matte[top:bottom, left:right]

    def expected(self) -> tuple[NDArray[np.float32], ...]:
        """The same in floats, by another library."""
        left, top, right, bottom = self.box
        c, nx, ny = self.grid.cell, self.grid.nx, self.grid.ny
        wide = cv2.resize(self.sources, (nx * c, ny * c), interpolation=cv2.INTER_LINEAR)
        wide = wide[top - self.grid.y0 : bottom - self.grid.y0, left - self.grid.x0 : right - self.grid.x0]
        x, y = wide[..., 0], wide[..., 1]
        picture = cv2.copyMakeBorder(self.texture, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=NOBODY).astype(np.float32)
        x, y = np.clip(x, -1, 150) + 2, np.clip(y, -1, 130) + 2
        ix, iy = np.minimum(x.astype(int), 152), np.minimum(y.astype(int), 132)
        fx, fy = (x - ix)[..., None], (y - iy)[..., None]
        upper = picture[iy, ix] * (1 - fx) + picture[iy, ix + 1] * fx
        lower = picture[iy + 1, ix] * (1 - fx) + picture[iy + 1, ix + 1] * fx
        seen = upper * (1 - fy) + lower * fy
        half = seen.reshape(seen.shape[0] // 2, 2, seen.shape[1] // 2, 2, 4).mean(axis=(1, 3))
        out = []
        for channel, (still, step, px) in enumerate(zip(self.still, (1, 2, 2), (seen, half, half), strict=True)):
            ground = still[top // step : bottom // step, left // step : right // step]
            out.append(np.minimum(px[..., channel] + ground * px[..., 3] / 255, 255))
        return (*out, 235 - seen[..., 3] * 219 / 255)


@pytest.mark.parametrize("cell", [3, 4, 6, 8, 9, 11, 16, 23])
def test_a_strip_is_what_its_sources_say(cell: int, way: str) -> None:
    canvas = Canvas(np.random.default_rng(cell), (12, 20, 182, 90), cell)
    assert canvas.draw() == 1
    for got, meant in zip(canvas.planes(), canvas.expected(), strict=True):
        # Sixteen-bit fractions: half a level for rounding, and what a 64th of a texel is worth on the steepest edge of
        # this texture.
        assert np.abs(got - meant).max() <= 3.0 and np.abs(got - meant).mean() < 0.5


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**31),
    st.integers(3, 24),
    st.integers(4, 90),
    st.integers(1, 40),
    st.integers(0, 9),
    st.integers(0, 9),
    st.floats(0.3, 400),
)
def test_both_ways_give_the_same_bytes(
    seed: int, cell: int, half_width: int, half_height: int, left: int, top: int, by_px: float
) -> None:
    box = (2 * left, 2 * top, 2 * (left + half_width), 2 * (top + half_height))
    drawn = []
    for portable in (0, 1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(native, "_PORTABLE", portable)
            canvas = Canvas(np.random.default_rng(seed), box, cell, by_px=by_px)
            canvas.draw()
            drawn.append([plane.copy() for plane in (*canvas.out, canvas.matte)])
    for one, other in zip(*drawn, strict=True):
        assert np.array_equal(one, other)


def test_only_the_spans_are_written(way: str) -> None:
    canvas = Canvas(np.random.default_rng(5), (12, 20, 182, 90), 8)
    canvas.spans[:] = (40, 74)
    canvas.spans[3] = (0, 0)
    canvas.draw()
    inside = np.zeros((200, 220), bool)
    inside[20:90, 12 + 40 : 12 + 74] = True
    inside[26:28] = False
    for plane, still, at in zip(canvas.out, canvas.still, (inside, inside[::2, ::2], inside[::2, ::2]), strict=True):
        assert np.array_equal(plane[~at], still[~at]) and not np.array_equal(plane[at], still[at])


def test_a_picture_without_a_matte_is_the_same_picture(way: str) -> None:
    with_matte, without = (Canvas(np.random.default_rng(11), (12, 20, 182, 90), 8) for _ in range(2))
    without.strips[0].matte = None
    with_matte.draw()
    without.draw()
    assert all(np.array_equal(a, b) for a, b in zip(with_matte.out, without.out, strict=True))
    assert with_matte.matte.any() and not without.matte.any()


def test_a_person_brighter_than_white_stays_white(way: str) -> None:
    canvas = Canvas(np.random.default_rng(12), (12, 20, 182, 90), 8)
    canvas.texture[...] = (250, 128, 128, 255)  # full luma, and yet clear: more than any premultiplied texture holds
    canvas.framed = native.with_border(canvas.texture, NOBODY)
    canvas.sources[...] = 60.0
    canvas.still[0][...] = 200
    canvas.draw()
    assert (canvas.planes()[0] == 255).all()


def test_what_has_not_moved_is_left_as_it_is(way: str) -> None:
    canvas = Canvas(np.random.default_rng(6), (12, 20, 182, 90), 8)
    assert canvas.draw(0.1) == 1, "at first everything is drawn"
    canvas.sources += 0.06
    assert canvas.draw(0.1) == 0
    canvas.sources += 0.06
    assert canvas.draw(0.1) == 1, "what it was drawn from counts, not what was shown last"
    canvas.sources[3, 4, 1] -= 0.2
    assert canvas.draw(0.1) == 1 and canvas.draw(0.1) == 0
    rows = canvas.strips[0].top
    assert canvas.draw(0.1, ((0, rows),)) == 0 and canvas.draw(0.1, ((0, rows + 1),)) == 1, (
        "rows up to the first one of the strip lie above it"
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
def test_sources_that_are_no_places_show_nobody(value: float, way: str) -> None:
    canvas = Canvas(np.random.default_rng(7), (12, 20, 182, 90), 8)
    canvas.sources[:] = value
    canvas.draw()
    for plane, still in zip(canvas.out, canvas.still, strict=True):
        assert np.array_equal(plane, still)


def test_displacements_are_inverted() -> None:
    rng, grid = np.random.default_rng(8), Grid(0, 0, 60, 50, 7)
    field = cv2.GaussianBlur(rng.normal(0, 60, (grid.ny, grid.nx, 2)).astype(np.float32), (0, 0), 4.0)
    u = np.empty_like(field)
    native.invert(field, grid.cell, 8, None, 1.0, native.invert_scratch(grid.nx, grid.ny), u)
    i, j = np.meshgrid(np.arange(grid.nx, dtype=np.float32), np.arange(grid.ny, dtype=np.float32))
    there = cv2.remap(
        field, i - u[..., 0] / grid.cell, j - u[..., 1] / grid.cell, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    assert np.abs(field).max() > 4 and np.abs(u - there).max() < 0.25, (
        "cv2 looks up in 32nds of a node, a fifth of a px"
    )
    rest, out = rng.normal(size=field.shape).astype(np.float32), np.empty_like(field)
    native.invert(field, grid.cell, 8, rest, 1.5, native.invert_scratch(grid.nx, grid.ny), out)
    assert np.allclose(out, rest - 1.5 * u, atol=1e-4)


def test_a_field_that_is_no_number_stays_within_its_memory() -> None:
    field = np.full((9, 9, 2), np.nan, np.float32)
    u = np.zeros_like(field)
    native.invert(field, 5, 4, None, 1.0, native.invert_scratch(9, 9), u)
    assert np.isnan(u).all()


@pytest.mark.parametrize("count", [31, 1200])
def test_fields_are_summed_by_their_weights(count: int, way: str) -> None:
    rng = np.random.default_rng(9)
    fields, weights = rng.normal(size=(7, count)).astype(np.float32), np.array([0, 1, -2, 0, 0.5, 0, 3], np.float32)
    out = np.full(count, 9, np.float32)
    native.weighted_sum(weights, fields, out)
    assert np.allclose(out, weights @ fields, atol=1e-5)
    native.weighted_sum(weights, fields, out, add=True)
    assert np.allclose(out, 2 * (weights @ fields), atol=1e-5)


def test_each_lip_is_seen_on_its_side_of_the_line(way: str) -> None:
    rng = np.random.default_rng(10)
    grid = Grid.over(0, 0, 66, 40, 6)
    at_upper, at_lower = sources(rng, grid, 1.0, 3.0), sources(rng, grid, 1.0, 3.0)
    texture = person(rng, 150, 130)
    framed = native.with_border(texture, NOBODY)
    scratch = native.row_scratch(66, 6)

    def skin(middle: NDArray[np.float32]) -> NDArray[np.uint8]:
        face = np.zeros((40, 66, 4), np.uint8)
        box = {"left": -grid.x0, "top": -grid.y0, "width": 66, "height": 40}
        lips = native.Lips(**box, middle=native.address(middle), steepness=0.4, pixels=native.address(face))
        upper, lower = (
            native.Grid(nodes=native.address(nodes), across=grid.nx, cell=6) for nodes in (at_upper, at_lower)
        )
        native.draw_lips(lips, upper, lower, native.Texture.of(framed), native.address(scratch))
        return face

    upper, lower = skin(np.full(66, 90, np.float32)), skin(np.full(66, -90, np.float32))
    line = (20 + 6 * np.sin(np.arange(66) / 9)).astype(np.float32)
    both = skin(line)
    below = np.arange(40)[:, None] - line[None, :]
    assert np.array_equal(both[below < -1.3], upper[below < -1.3]) and np.array_equal(
        both[below > 1.3], lower[below > 1.3]
    )
    share = np.clip(0.4 * below + 0.5, 0, 1)[..., None]
    assert np.abs(both - (upper * (1 - share) + lower * share)).max() <= 1.01
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "_PORTABLE", 1)
        assert np.array_equal(skin(line), both)


def test_what_is_clear_is_not_put_into_the_picture() -> None:
    face = np.zeros((4, 8, 4), np.uint8)
    face[..., :3] = (200, 90, 160)
    face[:, 4:, 3] = 200
    y, u, v = np.full((6, 20), 7, np.uint8), np.full((3, 10), 8, np.uint8), np.full((3, 10), 9, np.uint8)
    planes = [native.address(part) for part in (y[2:, 4:12], u[1:, 2:6], v[1:, 2:6])]
    native.write_planes(native.address(face), 8, 4, 12, planes, (20, 10, 10))
    assert (y[2:, 4:8] == 200).all() and (u[1:, 2:4] == 90).all() and (v[1:, 2:4] == 160).all()
    for plane, step, was in ((y, 1, 7), (u, 2, 8), (v, 2, 9)):
        untouched = np.ones(plane.shape, bool)
        untouched[2 // step :, 4 // step : 8 // step] = False
        assert (plane[untouched] == was).all()


def test_the_places_of_a_frame_are_those_of_its_fields() -> None:
    rng, grid, rows, columns = np.random.default_rng(13), Grid(0, 0, 40, 30, 7), slice(8, 22), slice(11, 31)

    def smooth(count: int, part: tuple[slice, slice], by_px: float) -> NDArray[np.float32]:
        fields = rng.normal(0, by_px, (count, grid.ny, grid.nx, 2)).astype(np.float32)
        fields = np.stack([cv2.GaussianBlur(field, (0, 0), 3.0) for field in fields])
        return np.ascontiguousarray(fields[:, part[0], part[1]])

    everywhere = slice(0, grid.ny), slice(0, grid.nx)
    face, mouth, jump = smooth(5, everywhere, 20), smooth(4, (rows, columns), 20), smooth(4, (rows, columns), 20)
    face_weights, mouth_weights = np.array([1, 0, -1, 0.5, 2], np.float32), np.array([0.7, 0, 1, -0.4], np.float32)
    at_rest = np.ascontiguousarray(np.stack(grid.nodes(), axis=-1) * np.float32(1.25))
    mouth_at_rest = np.ascontiguousarray(at_rest[rows, columns])
    field, upper, both = (np.empty_like(at_rest) for _ in range(3))
    mouth_field, lower = np.empty_like(mouth_at_rest), np.empty_like(mouth_at_rest)
    work = native.invert_scratch(grid.nx, grid.ny)
    sources = native.Sources(
        across=grid.nx, down=grid.ny, cell=grid.cell, mouth_left=columns.start, mouth_top=rows.start,
        mouth_across=lower.shape[1], mouth_down=lower.shape[0], face_rows=5, mouth_rows=4, zoom=1.25,
        **{name: native.address(array) for name, array in (
            ("face_fields", face), ("mouth_fields", mouth), ("jump_fields", jump), ("at_rest", at_rest),
            ("mouth_at_rest", mouth_at_rest), ("field", field), ("mouth_field", mouth_field), ("work", work),
            ("upper", upper), ("lower", lower), ("both", both),
        )},
    )  # fmt: skip
    weights = native.address(face_weights), native.address(mouth_weights)

    def places(displaced: NDArray[np.float32], rest: NDArray[np.float32], rounds: int) -> NDArray[np.float32]:
        displaced, out = np.ascontiguousarray(displaced), np.empty_like(rest)
        native.invert(displaced, grid.cell, rounds, rest, 1.25, work, out)
        return out

    head = np.einsum("k,kyxc->yxc", face_weights, face)
    native.find_sources(sources, *weights, speaks=False, rounds=(3, 5, 6))
    still = places(head, at_rest, 3)
    assert np.allclose(upper, still, atol=1e-3) and np.array_equal(both, upper)
    native.find_sources(sources, *weights, speaks=True, rounds=(3, 5, 6))
    spoken = head[rows, columns] + np.einsum("k,kyxc->yxc", mouth_weights, mouth)
    parted = spoken + np.einsum("k,kyxc->yxc", mouth_weights, jump)
    assert np.allclose(upper[rows, columns], places(spoken, mouth_at_rest, 5), atol=1e-3)
    assert np.allclose(lower, places(parted, mouth_at_rest, 6), atol=1e-3)
    outside = np.ones(upper.shape[:2], bool)
    outside[rows, columns] = False
    assert np.allclose(upper[outside], still[outside], atol=1e-3) and np.array_equal(both, upper)
    assert np.abs(upper[rows, columns] - still[rows, columns]).max() > 1 and np.abs(lower - mouth_at_rest).max() > 1


def test_folds_change_the_luma_of_their_part_alone() -> None:
    rng = np.random.default_rng(14)
    luma, changes = rng.uniform(0, 255, (5, 300)).astype(np.float32), rng.normal(0, 60, (3, 5, 300)).astype(np.float32)
    changes += np.sign(changes) * native.UNSEEN_CHANGE
    texture = rng.integers(0, 256, (9, 310, 4)).astype(np.uint8)
    before = texture.copy()
    native.paint_folds(native.FoldMaps(luma, list(changes)), [0.5, 0.0, 1.0], texture[2:7, 4:304])
    expected = before.copy()
    expected[2:7, 4:304, 0] = np.rint(np.clip(luma + 0.5 * changes[0] + changes[2], 0, 255))
    assert np.array_equal(texture, expected) and not np.array_equal(texture, before)


def test_where_no_fold_is_nothing_is_painted() -> None:
    luma, change = np.full((4, 600), 50, np.float32), np.zeros((4, 600), np.float32)
    change[1, 20:550], change[2, 30:40] = 10, 0.9 * native.UNSEEN_CHANGE
    texture = np.zeros((4, 600, 4), np.uint8)
    native.paint_folds(native.FoldMaps(luma, [change]), [1.0], texture)
    expected = np.zeros_like(texture)
    expected[1, 20:550, 0] = 60
    assert np.array_equal(texture, expected)
