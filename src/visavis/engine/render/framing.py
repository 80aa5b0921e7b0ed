"""Where the head stands in a picture of any size: the head whole and centred, the face about 45 % of the height."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Image = TypeVar("Image", NDArray[np.uint8], NDArray[np.float32])

FACE_SHARE = 0.44  # of the output's height, from forehead to chin
FACE_SHARE_COVERING = 0.485  # to which a face may grow where the picture then fills the output
HEAD_SHARE_MOST = 0.72  # of the output's height, hair and all
HEAD_WIDTH_MOST = 0.78  # of the output's width
FACE_SHARE_CROPPED = 0.92  # to which it may grow where the photo cuts the head off above
SCALE_MOST = 2.2  # a photo enlarged further looks soft
CUT_OFF = 0.012  # of the picture's height: a head that begins nearer its upper edge is cut off by it
TOP_SHARE = 0.085  # of the output's height above the head
# however near it is wanted, a head stays whole, hair and a little air
HEAD_SHARE_WHOLE, HEAD_WIDTH_WHOLE, TOP_SHARE_LEAST = 0.9, 0.94, 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadBox:
    """The head, hair included, in px of the picture."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Picture px to output px: x_out = scale * x + shift_x, likewise y (px centres at whole numbers plus a half)."""

    scale: float
    shift_x: float
    shift_y: float


def place(
    head: HeadBox,
    face_height: float,
    picture_width: int,
    picture_height: int,
    width_px: int,
    height_px: int,
    nearness: float = 1.0,
) -> Frame:
    """Return how to place the picture so that the head is well seen in width_px x height_px.

    `face_height`: forehead to chin, px of the picture. `nearness`: how many times the usual size the head shall have,
    as far as it stays whole.
    """
    head_height, head_width = head.bottom - head.top, head.right - head.left
    height_most, width_most = (
        min(HEAD_SHARE_MOST * nearness, HEAD_SHARE_WHOLE),
        min(HEAD_WIDTH_MOST * nearness, HEAD_WIDTH_WHOLE),
    )
    most = min(
        height_most * height_px / head_height, width_most * width_px / head_width, SCALE_MOST * max(1.0, nearness)
    )
    scale = min(FACE_SHARE * nearness * height_px / face_height, most)
    cover = max(width_px / picture_width, height_px / picture_height)
    if scale < cover <= min(FACE_SHARE_COVERING * nearness * height_px / face_height, most):
        scale = cover
    if (
        head.top <= CUT_OFF * picture_height
        and face_height * height_px / picture_height <= FACE_SHARE_CROPPED * height_px
    ):
        scale = max(scale, height_px / picture_height)  # a head that the photo cuts shall not end in the air
    top_share = min(TOP_SHARE, max(TOP_SHARE_LEAST, (1.0 - scale * head_height / height_px) / 3))
    x = _slide(
        scale * picture_width, width_px, width_px / 2 - scale * (head.left + head.right) / 2, slack=0.04 * width_px
    )
    y = _slide(scale * picture_height, height_px, top_share * height_px - scale * head.top, slack=0.0)
    if scale * picture_height < height_px - 0.5:
        y = height_px - scale * picture_height  # what is missing is missing above, never under the shoulders
    return Frame(scale=float(scale), shift_x=float(x), shift_y=float(y))


def _slide(length: float, room: float, wanted: float, slack: float) -> float:
    """Return where a picture of `length` begins in `room`: as wanted, but no further from covering the room than
    `slack` px would help.
    """
    if length < room:
        return wanted
    covering = min(0.0, max(wanted, room - length))
    return (
        covering
        if abs(covering - wanted) <= slack or slack == 0.0
        else wanted + slack * (1 if covering > wanted else -1)
    )


def lay_out(
    image: Image, frame: Frame, width: int, height: int, zoom: float, border: int, *, sharp: bool = False
) -> Image:
    """Return `image` in the frame, `zoom` times the output's size (width x height are already zoomed); `border` is an
    OpenCV border mode.

    `sharp` interpolates by cubics: three times the work, seen in faces only.
    """
    s = frame.scale * zoom
    if s < 0.75:  # a Gaussian of the right width before thinning out: no shimmer of fine hair
        image = cv2.GaussianBlur(image, (0, 0), max(0.1, 0.42 * (1.0 / s - 0.6)))
    m = np.array(
        [[s, 0, frame.shift_x * zoom + 0.5 * s - 0.5], [0, s, frame.shift_y * zoom + 0.5 * s - 0.5]], np.float64
    )
    shown: Image = cv2.warpAffine(
        image, m, (width, height), flags=cv2.INTER_CUBIC if sharp else cv2.INTER_LINEAR, borderMode=border
    )
    return shown
