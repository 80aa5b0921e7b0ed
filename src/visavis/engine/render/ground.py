"""What stands behind the person in the output: the photo's own background or another, made once for a size. It never
moves.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.render.backdrop import Backdrop
from visavis.engine.render.framing import lay_out
from visavis.engine.render.surroundings import Scene
from visavis.errors import BackgroundRefused

Array = NDArray[np.float32]
Picture = NDArray[np.uint8]

BLUR_REACH = 0.5  # radius of the blur at strength 1, in eye distances
DISC_PX = 14  # a larger disc of confusion is drawn on a smaller picture
GAMMA = 2.2  # light adds up before a display's gamma, not after: lights in the background stay discs


def ground_of(
    scene: Scene, backdrop: Backdrop, width: int, height: int, unit: float, image: Path | None = None
) -> Picture:
    """Return RGB, uint8 (height, width, 3), for any kind but "transparent"; `unit`: px between the outer corners of the
    eyes. `image`: the file of the backdrop's picture, of kind "image".

    Raises BackgroundRefused when that cannot be read.
    """
    if backdrop.kind == "image":
        return covering(_read(image), width, height)
    if backdrop.color is not None:
        return np.full((height, width, 3), backdrop.color, np.uint8)
    own = lay_out(scene.background, scene.frame, width, height, 1.0, cv2.BORDER_REPLICATE)
    if backdrop.strength is not None:
        return out_of_focus(own, BLUR_REACH * backdrop.strength * unit)
    return own


def covering(image: Picture, width: int, height: int) -> Picture:
    """Return `image`, RGB (h, w, 3), scaled to cover width x height, its middle kept."""
    rows, columns = image.shape[:2]
    scale = max(width / columns, height / rows)
    cut_columns, cut_rows = min(columns, max(1, round(width / scale))), min(rows, max(1, round(height / scale)))
    left, top = (columns - cut_columns) // 2, (rows - cut_rows) // 2
    part = image[top : top + cut_rows, left : left + cut_columns]
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    cover: Picture = cv2.resize(part, (width, height), interpolation=how).astype(np.uint8, copy=False)
    return cover


def out_of_focus(image: Picture, radius_px: float) -> Picture:
    """Return `image`, RGB (H, W, 3), as a lens blurs it: every light becomes a disc of `radius_px`."""
    if radius_px < 0.5:
        return image.copy()
    height, width = image.shape[:2]
    shrink = max(1.0, radius_px / DISC_PX)
    size = max(2, round(width / shrink)), max(2, round(height / shrink))
    light = (cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0) ** GAMMA
    blurred = cv2.filter2D(light, cv2.CV_32F, _disc(radius_px / shrink), borderType=cv2.BORDER_REFLECT)
    shown = np.clip(blurred, 0.0, 1.0) ** (1.0 / GAMMA) * 255.0
    wide = cv2.resize(shown, (width, height), interpolation=cv2.INTER_CUBIC)
    seen: Picture = np.clip(wide + 0.5, 0, 255).astype(np.uint8)
    return seen


def _disc(radius: float) -> Array:
    """Return the kernel of a disc, float32, its sum 1, its rim soft over a px."""
    reach = int(np.ceil(radius)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    disc = np.clip(radius + 0.5 - np.hypot(x, y), 0.0, 1.0)
    lens: NDArray[np.float32] = (disc / disc.sum()).astype(np.float32)
    return lens


def _read(path: Path | None) -> Picture:
    """Read a picture that was decoded and written by a sandboxed process: no bytes of a stranger come here."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR) if path is not None and path.is_file() else None
    if image is None:
        raise BackgroundRefused("The background image could not be read", suggestion="Send the image again")
    return np.ascontiguousarray(image[..., ::-1])
