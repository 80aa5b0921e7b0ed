"""The background that the output shows: the photo's own or another one, made once for a size. It never moves."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.errors import PictureUnreadable
from visavis.engine.render.backdrop import Backdrop
from visavis.engine.render.framing import lay_out
from visavis.engine.render.surroundings import Scene

Array = NDArray[np.float32]
Picture = NDArray[np.uint8]

BLUR_RADIUS = 0.5  # of the blur at strength 1, eye distances
DISC_PX = 14  # a blur with a larger disc works on a picture of reduced size
GAMMA = 2.2  # of a display. Light adds up before it, so the blur is computed in linear light: bright spots stay discs


def background_picture(
    scene: Scene, backdrop: Backdrop, width: int, height: int, unit: float, image: Path | None = None
) -> Picture:
    """Return the background as RGB, uint8 (height, width, 3), for every kind but "transparent".

    `unit`: the eye distance in output px. `image`: the file of the background picture, for the kind "image". Raises
    PictureUnreadable if it cannot be read.
    """
    if backdrop.kind == "image":
        return covering(_read(image), width, height)
    if backdrop.color is not None:
        return np.full((height, width, 3), backdrop.color, np.uint8)
    own = lay_out(scene.background, scene.frame, width, height, 1.0, cv2.BORDER_REPLICATE)
    if backdrop.strength is not None:
        return out_of_focus(own, BLUR_RADIUS * backdrop.strength * unit)
    return own


def covering(image: Picture, width: int, height: int) -> Picture:
    """Return `image`, RGB (h, w, 3), scaled to cover width x height; what is too wide or too high is cut off evenly."""
    rows, columns = image.shape[:2]
    scale = max(width / columns, height / rows)
    cut_columns, cut_rows = min(columns, max(1, round(width / scale))), min(rows, max(1, round(height / scale)))
    left, top = (columns - cut_columns) // 2, (rows - cut_rows) // 2
    part = image[top : top + cut_rows, left : left + cut_columns]
    scaled: Picture = cv2.resize(
        part, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    ).astype(np.uint8, copy=False)
    return scaled


def out_of_focus(image: Picture, radius_px: float) -> Picture:
    """Return `image`, RGB (H, W, 3), blurred as by a lens: every point becomes a disc with the radius `radius_px`."""
    if radius_px < 0.5:
        return image.copy()
    height, width = image.shape[:2]
    shrink = max(1.0, radius_px / DISC_PX)
    size = max(2, round(width / shrink)), max(2, round(height / shrink))
    light = (cv2.resize(image, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0) ** GAMMA
    blurred = cv2.filter2D(light, cv2.CV_32F, _disc(radius_px / shrink), borderType=cv2.BORDER_REFLECT)
    shown = np.clip(blurred, 0.0, 1.0) ** (1.0 / GAMMA) * 255.0
    wide = cv2.resize(shown, (width, height), interpolation=cv2.INTER_CUBIC)
    shown_rgb: Picture = np.clip(wide + 0.5, 0, 255).astype(np.uint8)
    return shown_rgb


def _disc(radius: float) -> Array:
    """Return the kernel of a disc, float32: its sum is 1, and its rim is one px soft."""
    reach = int(np.ceil(radius)) + 1
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    disc = np.clip(radius + 0.5 - np.hypot(x, y), 0.0, 1.0)
    kernel: Array = (disc / disc.sum()).astype(np.float32)
    return kernel


def _read(path: Path | None) -> Picture:
    """Read a picture that a sandboxed process decoded and wrote. Bytes from a client never come here."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR) if path is not None and path.is_file() else None
    if image is None:
        raise PictureUnreadable("The background image could not be read", suggestion="Send the image again")
    return np.ascontiguousarray(image[..., ::-1])
