"""The lines of the lips: where they run, how high they are in a column, and what follows from them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from visavis.engine import native

Array = NDArray[np.float32]
POINTS = 9


def heights(line: Array, left: int, top: int, width: int) -> Array:
    out = np.full(width, np.nan, np.float32)
    native.line_heights(native.address(line), len(line), left, top, width, native.address(out))
    return out


def test_a_line_has_the_height_between_its_points_and_goes_on_level_beside_them() -> None:
    rng = np.random.default_rng(1)
    line = np.stack([np.sort(rng.uniform(10, 50, POINTS)), rng.uniform(5, 30, POINTS)], axis=-1).astype(np.float32)
    line[3, 0] = 20.0  # a point on a column
    line[:, 0].sort()
    x = np.arange(4, 60)
    assert np.allclose(heights(line, 4, 3, len(x)), np.interp(x, line[:, 0], line[:, 1] - 3), atol=1e-5)


def test_a_line_that_goes_back_to_the_left_is_followed_to_the_right() -> None:
    line = np.array([(0, 0), (10, 10), (6, 40), (10, 20), (20, 30)], np.float32)
    assert np.allclose(heights(line, 0, 0, 21), [*range(10), *range(20, 31)])


def pose(rest: Array, upper: Array, jump: Array, weights: Array) -> tuple[Array, Array, Array, Array, float]:
    lines, extent = [np.empty_like(rest) for _ in range(3)], np.empty(8, np.float32)
    gap = native.pose_lips(
        native.address(rest), (native.address(upper), native.address(jump)), len(weights), len(rest),
        native.address(weights), (native.address(lines[0]), native.address(lines[1]), native.address(lines[2])),
        native.address(extent),
    )  # fmt: skip
    return lines[0], lines[1], lines[2], extent, gap


def test_lips_part_where_the_jump_says_so_and_never_overlap() -> None:
    rng = np.random.default_rng(2)
    rest = np.stack([np.linspace(20, 60, POINTS), np.full(POINTS, 40)], axis=-1).astype(np.float32)
    upper, jump = rng.normal(0, 2, (2, 3, POINTS, 2)).astype(np.float32)
    jump[:, :, 1] = np.linspace(-1, 5, POINTS)  # overlapping on the left, parted on the right
    weights = np.array([0.5, 0.0, 1.0], np.float32)
    above, below, middle, extent, gap = pose(rest, upper, jump, weights)
    meant = rest + np.einsum("k,kpc->pc", weights, upper)
    apart = np.einsum("k,kpc->pc", weights, jump)
    parted = apart[:, 1] > 0
    assert 0 < parted.sum() < POINTS
    assert np.allclose(above, meant, atol=1e-4)
    assert np.allclose(below[parted], (meant + apart)[parted], atol=1e-4)
    assert np.array_equal(below[~parted], above[~parted]) and np.array_equal(middle[~parted], above[~parted])
    assert np.allclose(middle[parted], (above + below)[parted] / 2, atol=1e-4)
    assert gap == pytest.approx(apart[:, 1].max(), abs=1e-4)
    both = np.concatenate([above, below])
    assert np.array_equal(extent[:4], [*both.min(axis=0), *both.max(axis=0)])
    assert np.array_equal(extent[4:], [*above.min(axis=0), above[:, 0].max(), below[:, 1].max()])


def test_nodes_below_the_line_show_the_lower_layer() -> None:
    across, down, whole = 6, 5, 11
    x, y = np.meshgrid(np.arange(across, dtype=np.float32) * 4, np.arange(down, dtype=np.float32) * 4)
    nodes = np.ascontiguousarray(np.stack([x, y], axis=-1))
    line = np.array([(0, 2), (20, 14)], np.float32)
    lower = np.full((down, across, 2), 7, np.float32)
    both = np.zeros((down + 2, whole, 2), np.float32)
    native.join_layers(
        native.address(nodes), across, down, native.address(line), 2, native.address(lower),
        native.address(both[1, 3]), whole,
    )  # fmt: skip
    expected = np.zeros_like(both)
    expected[1 : 1 + down, 3 : 3 + across][y > 2 + 0.6 * x] = 7
    assert np.array_equal(both, expected) and both.any()


COLUMNS = ("upper", "lower", "cosine_upper", "cosine_lower", "recoloured", "inner", "light", "shadow")


def shaded(upper: Array, lower: Array, **given: float) -> dict[str, Array]:
    columns = {name: np.full(len(upper), np.nan, np.float32) for name in COLUMNS} | {"upper": upper, "lower": lower}
    opening = native.Opening(width=len(upper), **{name: native.address(column) for name, column in columns.items()})
    usual = {
        "steepest": 3.0, "recoloured_most": 9.0, "inner_most": 9.0, "half_width": 10.0, "corner_flatness": 2.0,
        "light": 1.0, "shadow_length": 2.0,
    }  # fmt: skip
    native.shade_columns(opening, native.Shading(**(usual | given)))
    return columns


def test_steep_edges_are_softened_across_their_slope() -> None:
    upper = np.array([5, 5, 6, 8, 28, 28], np.float32)
    columns = shaded(upper, upper + 4)
    slope = np.minimum(np.abs([0, 0.5, 1.5, 11, 10, 0]), 3.0)
    for name in ("cosine_upper", "cosine_lower"):
        assert np.allclose(columns[name], 1 / np.sqrt(1 + slope**2), atol=1e-6)


def test_wider_gaps_show_more_of_the_lips_up_to_a_bound() -> None:
    upper, gap = np.zeros(5, np.float32), np.array([0, 2, 4, 8, 40], np.float32)
    columns = shaded(
        upper, gap, line_kept=2.0, recoloured_share=0.5, recoloured_most=3.0, inner_share=0.25, inner_most=4.0
    )
    assert np.allclose(columns["recoloured"], [0, 0, 1, 3, 3]) and np.allclose(columns["inner"], [0, 0.5, 1, 2, 4])


def test_light_falls_off_to_the_corners_and_shadow_downwards() -> None:
    upper = np.array([2.0, 2.25, 2.75, -3.0, -0.5], np.float32)
    columns = shaded(
        upper, upper, left=8.0, centre=10.0, half_width=2.0, corner_dark=0.6, corner_light_least=0.5, light=0.5
    )
    assert np.allclose(columns["light"], 0.5 * np.maximum(1 - 0.6 * np.array([1, 0.25, 0, 0.25, 1]), 0.5))
    first_below = np.array([1.0, 0.75, 0.25, 3.0, 0.5])  # from the edge down to the first row below it, in the box
    assert np.allclose(columns["shadow"], np.exp(-first_below / 2), atol=1e-6)
