"""Detail that a look-up takes away, given back beforehand: the texture is sharpened once by as much as bilinear
interpolation will soften it.

A prefilter (Unser 1999, "Splines: A Perfect Fit for Signal and Image Processing") costs nothing per frame, where a
cubic look-up would cost it in every one. How much is found for each picture: drawn grain needs more than a soft photo.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Picture = NDArray[np.uint8]

# of the picture's detail (mean square of the Laplacian) that a face shall keep whatever part of a px it moves by
KEPT = 0.8
STRENGTH_MOST = (
    # of the filter [-s, 1 + 2 s, -s]; 0.13 equals what bilinear interpolation takes of the frequencies of a 1.25 times
    # finer texture
    0.16
)
# levels of luma by which an edge may overshoot what is beside it: grain comes back whole, lips get no seam of light
HALO_MOST = 6.0
OUTLINE = 2.0  # times as much for the outline: opacity ends at 1, cannot overshoot and so gets less back
STRIP_PX = 128  # of a texture worked on at once: the whole in float32 would take tens of megabytes
# px by which a picture is moved to see what look-ups leave of it
_PHASES = ((0.0, 0.0), (0.25, 0.5), (0.5, 0.25), (0.75, 0.75))


def strength_for(texture: Picture, picture: Array, zoom: float) -> float:
    """Return how much a texture, uint8 (h, w, 4), `zoom` times finer than the output, needs to be sharpened to look as
    `picture` does.

    `picture`: luma of the same part as the output shows it, float32 (about h / zoom, w / zoom). What counts is where
    the person is opaque. 0 where look-ups leave KEPT of it anyway, or nothing is there to be compared.
    """
    rows, columns = picture.shape[0] - 1, picture.shape[1] - 1
    solid = cv2.resize(texture[..., 3], (columns + 1, rows + 1), interpolation=cv2.INTER_AREA)[:rows, :columns] == 0
    solid = cv2.erode(solid.astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=0) > 0
    if not solid.any():
        return 0.0
    luma = texture[..., 0].astype(np.float32)
    fine = _high_pass(luma)
    wanted = KEPT * float(np.mean(np.square(cv2.Laplacian(picture, cv2.CV_32F)[:rows, :columns][solid])))
    # What is seen is linear in the strength s: its detail is the mean of (a + s b)^2 over px and phases.
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
    """Sharpen in place a texture, uint8 (H, W, 4): premultiplied Y, U, V and 255 minus opacity. Where nobody is, nobody
    comes to be.
    """
    if strength <= 0.0:
        return
    luma, clear = texture[..., 0].copy(), texture[..., 3].copy()
    for top in range(0, len(texture), STRIP_PX):
        bottom = min(top + STRIP_PX, len(texture))
        first, last = max(0, top - 1), min(len(texture), bottom + 1)
        inner = slice(top - first, bottom - first)
        strip = texture[top:bottom]
        _steepen(strip, clear[first:last].astype(np.float32), inner, OUTLINE * strength)
        here = luma[first:last].astype(np.float32)
        crisp = _within(here + strength * _high_pass(here), here, HALO_MOST)[inner]
        solid = cv2.erode((clear[first:last] == 0).astype(np.uint8), np.ones((3, 3), np.uint8))[inner] > 0
        np.copyto(strip[..., 0], np.rint(np.clip(crisp, 0, 255)).astype(np.uint8), where=solid)


def _steepen(strip: Picture, clear: Array, inner: slice, strength: float) -> None:
    """Make the outline of the person steeper; their own colours, which the texture holds premultiplied, stay what they
    are.
    """
    steep = _within(clear + strength * _high_pass(clear), clear, 0.0)[inner]
    clear = clear[inner]
    edge = (clear > 0) & (clear < 255)
    share = (255.0 - steep[edge]) / (255.0 - clear[edge])
    strip[edge, :3] = np.rint(np.minimum(strip[edge, :3] * share[:, None], 255.0))
    strip[edge, 3] = np.rint(steep[edge])


def _high_pass(plane: Array) -> Array:
    """Return what the filter [-s, 1 + 2 s, -s] along rows and columns adds to a plane, over s."""
    kernel = np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0]], np.float32)
    return np.asarray(cv2.filter2D(plane, cv2.CV_32F, kernel, borderType=cv2.BORDER_REPLICATE), np.float32)


def _within(values: Array, plane: Array, slack: float) -> Array:
    """Return `values` held to what `plane` is in the 3 x 3 px about each, and `slack` beyond."""
    near = np.ones((3, 3), np.uint8)
    return np.clip(values, cv2.erode(plane, near) - slack, cv2.dilate(plane, near) + slack)
