"""The three operators of MediaPipe's own in the face mesh, in numpy. `options`: those that the network gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visavis.engine.portrait.networks.network import Tensor

Options = Mapping[str, Any]


def points_to_matrix(options: Options, points: Tensor) -> Tensor:
    """Landmarks2TransformMatrix: the box around some points, turned level, as a matrix (1, 4, 4) from pixels of the
    output to those of a feature map. `points`: (1, N, 2 or 3).
    """
    places = points[0, :, :2].astype(float)
    size = np.array([options["output_width"], options["output_height"]])
    dx, dy = places[options["right_rotation_idx"]] - places[options["left_rotation_idx"]]
    angle = options["target_rotation_radians"] - np.arctan2(dy, dx)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = places[options["subset_idxs"]] @ turn.T
    low, high = turned.min(axis=0), turned.max(axis=0)
    matrix = np.eye(4)
    matrix[:2, :2] = turn.T * ((high - low) * [options["scale_x"], options["scale_y"]] / size)
    matrix[:2, 3] = turn.T @ (low + high) / 2 - matrix[:2, :2] @ size / 2
    return matrix[None].astype(np.float32)


def crop_tensor(options: Options, tensor: Tensor, matrix: Tensor) -> Tensor:
    """TransformTensorBilinear: a feature map (1, H, W, C) resampled through a matrix; 0 outside of it."""
    rows, columns = np.mgrid[: options["output_height"], : options["output_width"]] + 0.5  # centres of pixels
    x, y = (a * columns + b * rows + shift - 0.5 for a, b, _, shift in matrix[0, :2].astype(float))
    right, bottom = tensor.shape[2] - 1, tensor.shape[1] - 1
    inside = (x >= 0) & (x <= right) & (y >= 0) & (y <= bottom)
    values = _bilinear(tensor[0], np.clip(x, 0, right), np.clip(y, 0, bottom))
    found: Tensor = np.where(inside[..., None], values, 0)[None].astype(np.float32)
    return found


def move_points(_: Options, points: Tensor, matrix: Tensor) -> Tensor:
    """TransformLandmarks: x and y through a matrix; a third coordinate stays."""
    moved = points[..., :2] @ matrix[0, :2, :2].T + matrix[0, :2, 3]
    found: Tensor = np.concatenate([moved, points[..., 2:]], axis=-1).astype(np.float32)
    return found


def _bilinear(grid: Tensor, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values of `grid` (H, W, C) at places inside of it, linear between its pixels."""
    left, top = np.minimum(x.astype(int), grid.shape[1] - 2), np.minimum(y.astype(int), grid.shape[0] - 2)
    to_right, to_bottom = (x - left)[..., None], (y - top)[..., None]
    upper = grid[top, left] * (1 - to_right) + grid[top, left + 1] * to_right
    lower = grid[top + 1, left] * (1 - to_right) + grid[top + 1, left + 1] * to_right
    values: NDArray[np.float64] = upper * (1 - to_bottom) + lower * to_bottom
    return values


OPERATORS: dict[str, Callable[..., Tensor]] = {
    "Landmarks2TransformMatrix": points_to_matrix,
    "TransformTensorBilinear": crop_tensor,
    "TransformLandmarks": move_points,
}
