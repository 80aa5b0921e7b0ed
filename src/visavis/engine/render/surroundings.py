"""The still picture about the person: the background, and beyond the picture's edges a continuation of it that nobody takes for an edge.

A portrait rarely has the shape of the output. Where it ends, its background goes on as its own mirror image, the more blurred the further out, and
shoulders that touch the edge go on along their slope.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.render.framing import Frame, lay_out
from visavis.engine.render.landmarks import smooth
from visavis.engine.render.pack import AvatarPack

Array = NDArray[np.float32]

FEATHER = 0.05  # of the output's shorter side: the width over which the moving person gives way to the still continuation
BLURS = ((0.006, 0.02), (0.016, 0.06), (0.04, 0.16))  # sigma, and the distance at which it is reached, in shares of the longer side


def surroundings(pack: AvatarPack, frame: Frame, width: int, height: int) -> tuple[NDArray[np.uint8], Array | None]:
    """Return the still picture, RGB (height, width, 3), and how much the continuation holds at each px (height, width), None if it holds nowhere."""
    ph, pw = pack.matte.shape
    ground = lay_out(pack.background, frame, width, height, 1.0, cv2.BORDER_REFLECT_101)
    edge = _outside(frame, pw, ph, width, height, feather=FEATHER * min(width, height))
    if not edge.any():
        return ground, None
    picture = lay_out(pack.picture, frame, width, height, 1.0, cv2.BORDER_REPLICATE, sharp=True)
    matte = lay_out(pack.matte, frame, width, height, 1.0, cv2.BORDER_REPLICATE)
    further = ground.copy()
    left, right = int(np.ceil(frame.shift_x)) + 1, int(np.floor(frame.shift_x + frame.scale * pw)) - 2
    inside = slice(max(0, left), min(width, right + 1))
    further[:, inside] = np.where((matte[:, inside] > 0)[..., None], picture[:, inside], further[:, inside])
    if left > 1:
        _continue_shoulder(further, picture, matte, left, -1)
    if right < width - 2:
        _continue_shoulder(further, picture, matte, right, 1)
    beyond = _beyond(frame, pw, ph, width, height)
    long = max(width, height)
    small = cv2.resize(further, (max(8, width // 8), max(8, height // 8)), interpolation=cv2.INTER_AREA)
    softer = [
        cv2.resize(cv2.GaussianBlur(small, (0, 0), sigma * long / 8, borderType=cv2.BORDER_REPLICATE), (width, height), interpolation=cv2.INTER_CUBIC)
        for sigma, _ in BLURS
    ]
    for top in range(0, height, 64):
        rows = slice(top, top + 64)
        filled = further[rows].astype(np.float32)
        for blurred, (_, reach) in zip(softer, BLURS, strict=True):
            filled += (blurred[rows] - filled) * smooth(beyond[rows, :, None] / np.float32(reach * long))
        ground[rows] = np.clip(ground[rows] + (filled - ground[rows]) * edge[rows, :, None] + 0.5, 0, 255)
    return ground, edge


def _continue_shoulder(out: NDArray[np.uint8], picture: NDArray[np.uint8], matte: NDArray[np.uint8], edge: int, outward: int) -> None:
    """Draw the person, who touches the column `edge` of the picture, on beyond it (`outward`: -1 left, 1 right), along the slope found there."""
    height, width = matte.shape
    step = max(4, width // 24)
    here = np.flatnonzero(matte[:, edge] > 127)
    inner = np.flatnonzero(matte[:, int(np.clip(edge - outward * step, 0, width - 1))] > 127)
    if not len(here) or not len(inner):
        return
    slope = float(np.clip((here[0] - inner[0]) / step, 0.15, 2.5))
    x = np.arange(0, edge, dtype=np.float32) if outward < 0 else np.arange(edge + 1, width, dtype=np.float32)
    d = np.abs(x - edge)
    # Rounder and rounder: a shoulder falls the steeper the further out. The cloth is drawn out sideways, folds back after a while.
    fall = slope * d + 0.5 * d * d / width
    from_x = edge - outward * np.abs((d * 0.35 + step) % (2 * step) - step) * 0.5
    map_x = np.broadcast_to(from_x[None, :], (height, len(x))).astype(np.float32)
    map_y = (np.arange(height, dtype=np.float32)[:, None] - fall[None, :]).astype(np.float32)
    cloth = cv2.remap(picture, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    at_edge = np.full_like(map_x, edge)
    opaque = cv2.remap(matte, at_edge, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT).astype(np.float32)[..., None] / 255.0
    part = out[:, :edge] if outward < 0 else out[:, edge + 1 :]
    part[...] = np.rint(part + (cloth.astype(np.float32) - part) * opaque)


def _beyond(frame: Frame, picture_width: int, picture_height: int, width: int, height: int) -> Array:
    """Return how far outside the picture each px of the output lies, float32 (height, width); 0 inside."""
    x, y = np.arange(width, dtype=np.float32) + 0.5, np.arange(height, dtype=np.float32) + 0.5
    dx = np.maximum(frame.shift_x - x, x - frame.shift_x - frame.scale * picture_width)
    dy = np.maximum(frame.shift_y - y, y - frame.shift_y - frame.scale * picture_height)
    return np.maximum(np.maximum(dx[None, :], dy[:, None]), 0).astype(np.float32)


def _outside(frame: Frame, picture_width: int, picture_height: int, width: int, height: int, feather: float) -> NDArray[np.float32]:
    """Return, float32 (height, width), 0 inside the picture and 1 outside it, rising over `feather` px before its edge.

    An edge that lies outside the output, or at its bottom, feathers nothing.
    """
    left, right = frame.shift_x, frame.shift_x + frame.scale * picture_width
    top, bottom = frame.shift_y, frame.shift_y + frame.scale * picture_height
    x = np.arange(width, dtype=np.float32) + 0.5
    y = np.arange(height, dtype=np.float32) + 0.5
    ax = np.zeros_like(x)
    ay = np.zeros_like(y)
    if left > 0.5:
        ax = np.maximum(ax, np.clip(1 - (x - left) / feather, 0, 1))
    if right < width - 0.5:
        ax = np.maximum(ax, np.clip(1 - (right - x) / feather, 0, 1))
    if top > 0.5:
        ay = np.maximum(ay, np.clip(1 - (y - top) / feather, 0, 1))
    if bottom < height - 0.5:
        ay = np.maximum(ay, np.clip(1 - (bottom - y) / feather, 0, 1))
    return np.maximum(ax[None, :], ay[:, None]).astype(np.float32)
