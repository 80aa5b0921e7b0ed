"""The displacement fields of brows, cheeks, breath and the angles of the head.

Nothing here depends on the mouth. Strengths were set by eye on rendered faces.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visavis.engine.landmarks import (
    BROW_INNER_LEFT,
    BROW_INNER_RIGHT,
    BROW_OUTER_LEFT,
    BROW_OUTER_RIGHT,
    CHEEK_LEFT,
    CHEEK_RIGHT,
    FACE_OVAL,
    LID_LOWER_LEFT,
    LID_LOWER_RIGHT,
    LID_UPPER_LEFT,
    LID_UPPER_RIGHT,
    FaceGeometry,
    smoothstep,
)

Array = NDArray[np.float32]

# Lengths in eye distances; strengths for a coefficient of 1. Pairs of widths are standard deviations across and down.
BROW_INNER_UP, BROW_OUTER_UP = -0.068, -0.05
BROWS_TOGETHER, BROW_DOWN, BROW_DOWN_OUTER_SHARE = 0.022, 0.042, 0.45
CHEEK_UP = -0.04
CHEST_UP = -0.022
BROW_INNER_SIZE, BROW_OUTER_SIZE, BROWS_TOGETHER_SIZE = (0.14, 0.2), (0.17, 0.2), (0.15, 0.16)
CHEEK_SIZE = (0.2, 0.16)
OVER_LIDS, OVER_LIDS_FADE = 0.02, 0.14  # a brow's motion begins this far above the lids
UNDER_EYE_FADE = 0.1
CHEST_BELOW_CHIN, CHEST_FADE = 0.25, 1.1

# Depth of the head. The axis about which it turns lies this far behind the outline of the face.
AXIS_BEHIND_OVAL = 0.22
DEPTH_SPREAD = 0.16  # standard deviation by which landmarks spread their depth
DEPTH_FADE = 0.75  # from the nearest landmark to the outline of the hair, where the depth is 0
EVERY_LANDMARK = 4  # a quarter of the mesh is enough for so smooth a surface
PARALLAX_GAIN = 1.15
HEAD_SHIFT = 0.12  # the whole head turns about the neck: it moves by this at every depth
SHOULDERS_BELOW_CHIN, SHOULDERS_FADE = 0.05, 1.15  # motion fades out here
NECK_BELOW_CHIN = 0.55  # the head rolls about this point


def brow_cheek_and_breath_fields(face: FaceGeometry, x: Array, y: Array) -> dict[str, Array]:
    """Return the fields of brows, cheeks and breath at nodes x, y (ny, nx): (ny, nx, 2) each, in eye distances."""
    p, e = face.landmarks[:, :2], face.unit
    lids = float(p[LID_UPPER_LEFT, 1] + p[LID_UPPER_RIGHT, 1]) / 2
    over_eye = smoothstep((lids - OVER_LIDS * e - y) / (OVER_LIDS_FADE * e))

    def around(i: int, size: tuple[float, float]) -> Array:
        """A Gaussian about landmark `i`."""
        height: Array = np.exp(-0.5 * (((x - p[i, 0]) / (size[0] * e)) ** 2 + ((y - p[i, 1]) / (size[1] * e)) ** 2))
        return height

    def vectors(dx: NDArray[np.floating], dy: NDArray[np.floating]) -> Array:
        return np.stack([dx, dy], axis=-1).astype(np.float32)

    def vertical(dy: Array) -> Array:
        return vectors(np.zeros_like(dy), dy)

    inner = (around(BROW_INNER_LEFT, BROW_INNER_SIZE) + around(BROW_INNER_RIGHT, BROW_INNER_SIZE)) * over_eye
    outer = (around(BROW_OUTER_LEFT, BROW_OUTER_SIZE) + around(BROW_OUTER_RIGHT, BROW_OUTER_SIZE)) * over_eye
    cheeks = around(CHEEK_LEFT, CHEEK_SIZE) + around(CHEEK_RIGHT, CHEEK_SIZE)
    under_eye = smoothstep((y - float(p[LID_LOWER_LEFT, 1] + p[LID_LOWER_RIGHT, 1]) / 2) / (UNDER_EYE_FADE * e))
    chest = smoothstep((y - face.chin[1] - CHEST_BELOW_CHIN * e) / (CHEST_FADE * e))
    together = around(BROW_INNER_LEFT, BROWS_TOGETHER_SIZE) - around(BROW_INNER_RIGHT, BROWS_TOGETHER_SIZE)
    return {
        "browInnerUp": vertical(BROW_INNER_UP * inner),
        "browOuterUp": vertical(BROW_OUTER_UP * outer),
        "browDown": vectors(BROWS_TOGETHER * together * over_eye, BROW_DOWN * (inner + BROW_DOWN_OUTER_SHARE * outer)),
        "cheekSquint": vertical(CHEEK_UP * cheeks * under_eye),
        "breath": vertical(CHEST_UP * chest),
    }


def depth_of(face: FaceGeometry, x: Array, y: Array) -> Array:
    """Return how far each node lies in front of the axis of the head, px, float32 (ny, nx).

    Inside the face the depth is that of the mesh; it falls to 0 at the outline of the hair.
    """
    p = face.landmarks
    chosen = np.unique(np.r_[np.arange(0, 468, EVERY_LANDMARK), list(FACE_OVAL)])
    near = (float(p[list(FACE_OVAL), 2].mean()) - p[chosen, 2]) + AXIS_BEHIND_OVAL * face.unit
    wide = (DEPTH_SPREAD * face.unit) ** 2
    d2 = (x.reshape(-1, 1) - p[chosen, 0]) ** 2 + (y.reshape(-1, 1) - p[chosen, 1]) ** 2
    weight = np.exp(-0.5 * d2 / wide)
    whole = weight.sum(axis=1)
    inside = weight @ near / np.maximum(whole, 1e-6)
    fade = smoothstep(1.0 - np.sqrt(d2.min(axis=1)) / (DEPTH_FADE * face.unit))
    depth: Array = (np.maximum(inside, 0.0) * fade).reshape(x.shape).astype(np.float32)
    return depth


def head_fields(face: FaceGeometry, x: Array, y: Array) -> dict[str, Array]:
    """Return the fields of yaw, pitch and roll in px per degree: (ny, nx, 2) each.

    Yaw and pitch move every node by its depth (parallax); roll turns the head about the neck. All fade out on the
    shoulders.
    """
    e, chin = face.unit, face.chin
    near = depth_of(face, x, y)
    head = 1.0 - smoothstep((y - chin[1] - SHOULDERS_BELOW_CHIN * e) / (SHOULDERS_FADE * e))
    degree = np.float32(np.pi / 180)
    pivot_x, pivot_y = chin[0], float(chin[1]) + NECK_BELOW_CHIN * e
    zero = np.zeros_like(near)
    turn = (near * PARALLAX_GAIN + HEAD_SHIFT * e * head) * degree
    yaw = np.stack([turn, zero], axis=-1)
    pitch = np.stack([zero, turn], axis=-1)
    roll = np.stack([-(y - pivot_y) * head, (x - pivot_x) * head], axis=-1) * degree
    return {"yaw": yaw.astype(np.float32), "pitch": pitch.astype(np.float32), "roll": roll.astype(np.float32)}
