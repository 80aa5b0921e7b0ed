"""Sharpens the texture once, by as much as bilinear interpolation will soften it in every frame.

This is a prefilter (Unser 1999, "Splines: A Perfect Fit for Signal and Image Processing"). It costs nothing per frame;
a cubic look-up would cost time in every frame. The strength is computed for each picture, because drawn grain needs
more than a soft photo.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Picture = NDArray[np.uint8]

# The share of the picture's detail (mean square of the Laplacian) that a moving face should keep, at any phase of a px.
KEPT = 0.8
# The greatest s of the filter [-s, 1 + 2 s, -s]. 0.13 compensates for what bilinear interpolation takes from a texture
# that is 1.25 times finer than the output.
STRENGTH_MOST = 0.16
# An edge may overshoot the px beside it by this many levels of luma: enough to restore grain, too little for a bright
# line along the lips.
HALO_MOST = 6.0
# The outline of the person is sharpened more. Opacity ends at 1 and cannot overshoot, so it gains less.
OUTLINE_GAIN = 2.0
STRIP_PX = 128  # rows that are processed at once: a whole texture in float32 would take tens of megabytes
_PHASES = ((0.0, 0.0), (0.25, 0.5), (0.5, 0.25), (0.75, 0.75))  # px by which the picture is moved for the comparison


def strength_for(texture: Picture, picture: Array, zoom: float) -> float:
    """Return the strength with which a texture keeps the detail of `picture` when it is looked up.

    `texture`: uint8 (h, w, 4), `zoom` times finer than the output. `picture`: luma of the same part as the output shows
    it, float32 (about h / zoom, w / zoom). Only px in which the person is opaque are compared. The strength is 0 if
    look-ups already leave KEPT of the detail, or if there is no such px.
    """
    rows, columns = picture.shape[0] - 1, picture.shape[1] - 1
    solid = cv2.resize(texture[..., 3], (columns + 1, rows + 1), interpolation=cv2.INTER_AREA)[:rows, :columns] == 0
    solid = cv2.erode(solid.astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=0) > 0
    if not solid.any():
        return 0.0
    luma = texture[..., 0].astype(np.float32)
    fine = _high_pass(luma)
    wanted = KEPT * float(np.mean(np.square(cv2.Laplacian(picture, cv2.CV_32F)[:rows, :columns][solid])))
    # The result of a look-up is linear in the strength s: its detail is the mean of (a + s b)^2 over px and phases.
    square, mixed, extra = 0.0, 0.0, 0.0
    for dx, dy in _PHASES:
        matrix = np.array([[zoom, 0, (dx + 0.5) * zoom - 0.5], [0, zoom, (dy + 0.5) * zoom - 0.5]], np.float64)
        seen = (
            cv2.warpAffine(plane, matrix, (columns, rows), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
            for plane in (luma, fine)
        )
        a, b = (cv2.Laplacian(plane, cv2.CV_32F)[solid] for plane in seen)
        square += float(np.mean(a * a)) / len(_PHASES)
        mixed += float(np.mean(a * b)) / len(_PHASES)
        extra += float(np.mean(b * b)) / len(_PHASES)
    if square >= wanted or extra <= 0.0:
        return 0.0
    return float(
        np.clip((np.sqrt(max(mixed * mixed + extra * (wanted - square), 0.0)) - mixed) / extra, 0.0, STRENGTH_MOST)
    )


def sharpen(texture: Picture, strength: float) -> None:
    """Sharpen a texture in place, uint8 (H, W, 4): premultiplied Y, U, V and transparency. Px that are fully
    transparent stay so.
    """
    if strength <= 0.0:
        return
    luma, transparency = texture[..., 0].copy(), texture[..., 3].copy()
    for top in range(0, len(texture), STRIP_PX):
        bottom = min(top + STRIP_PX, len(texture))
        first, last = max(0, top - 1), min(len(texture), bottom + 1)
        inner = slice(top - first, bottom - first)
        strip = texture[top:bottom]
        _steepen(strip, transparency[first:last].astype(np.float32), inner, OUTLINE_GAIN * strength)
        here = luma[first:last].astype(np.float32)
        crisp = _within(here + strength * _high_pass(here), here, HALO_MOST)[inner]
        solid = cv2.erode((transparency[first:last] == 0).astype(np.uint8), np.ones((3, 3), np.uint8))[inner] > 0
        np.copyto(strip[..., 0], np.rint(np.clip(crisp, 0, 255)).astype(np.uint8), where=solid)


def _steepen(strip: Picture, transparency: Array, inner: slice, strength: float) -> None:
    """Make the outline of the person steeper. Their colours stay; the premultiplied values change with the opacity."""
    steep = _within(transparency + strength * _high_pass(transparency), transparency, 0.0)[inner]
    transparency = transparency[inner]
    edge = (transparency > 0) & (transparency < 255)
    share = (255.0 - steep[edge]) / (255.0 - transparency[edge])
    strip[edge, :3] = np.rint(np.minimum(strip[edge, :3] * share[:, None], 255.0))
    strip[edge, 3] = np.rint(steep[edge])


def _high_pass(plane: Array) -> Array:
    """Return what the filter [-s, 1 + 2 s, -s] along rows and columns adds to a plane, divided by s."""
    kernel = np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]], np.float32)
    return np.asarray(cv2.filter2D(plane, cv2.CV_32F, kernel, borderType=cv2.BORDER_REPLICATE), np.float32)


def _within(values: Array, plane: Array, slack: float) -> Array:
    """Return `values`, each held within the range of the 3 x 3 px of `plane` around it, extended by `slack`."""
    near = np.ones((3, 3), np.uint8)
    return np.clip(values, cv2.erode(plane, near) - slack, cv2.dilate(plane, near) + slack)
