"""Where the head stands in an output of any size: whole and centred, with the face at about 45 % of the height.

The shares were set by eye on the library's portraits and on photos.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.pack.avatar_pack import HeadBox

Image = TypeVar("Image", NDArray[np.uint8], NDArray[np.float32])

# Shares of the height of the output, unless stated otherwise.
FACE_SHARE = 0.44  # forehead to chin
FACE_SHARE_COVERING = 0.485  # a face may grow up to this if the picture then covers the output
FACE_SHARE_CROPPED = 0.92  # and up to this if the photo cuts off the top of the head
HEAD_SHARE_MOST = 0.72  # the head with its hair
HEAD_WIDTH_MOST = 0.78  # of the width of the output
TOP_SHARE = 0.085  # above the head
# Bounds for any zoom: the head stays whole, with a little space.
HEAD_SHARE_WHOLE, HEAD_WIDTH_WHOLE, TOP_SHARE_LEAST = 0.9, 0.94, 0.03
SCALE_MOST = 2.2  # a photo that is enlarged further looks soft
CUT_OFF = 0.012  # a head this near to the upper edge counts as cut off; of the height of the picture
OFF_CENTRE_MOST = 0.04  # of the width of the output: the head may be this far off centre so that no gap is left


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Converts picture px to output px: x_out = scale * x + shift_x, the same for y. Px centres are at n + 0.5."""

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
    """Return the frame that shows the head well in width_px x height_px.

    `face_height`: forehead to chin, px of the picture. `nearness`: a factor for the size of the head; the head always
    stays whole.
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
        scale = max(scale, height_px / picture_height)  # the cut then lies at the edge of the output
    top_share = min(TOP_SHARE, max(TOP_SHARE_LEAST, (1.0 - scale * head_height / height_px) / 3))
    x = _slide(
        scale * picture_width,
        width_px,
        width_px / 2 - scale * (head.left + head.right) / 2,
        slack=OFF_CENTRE_MOST * width_px,
    )
    y = _slide(scale * picture_height, height_px, top_share * height_px - scale * head.top, slack=0.0)
    if scale * picture_height < height_px - 0.5:
        y = height_px - scale * picture_height  # a gap is above the head, never below the shoulders
    return Frame(scale=float(scale), shift_x=float(x), shift_y=float(y))


def _slide(length: float, room: float, wanted: float, slack: float) -> float:
    """Return the place at which a picture of `length` begins in `room`.

    It is the place nearest to `wanted` at which the picture covers the room. If that is more than `slack` away (and
    `slack` is not 0), it is `wanted`, moved by `slack` in that direction. A picture that cannot cover stays at
    `wanted`.
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
    """Return `image` placed by `frame` in an output that is `zoom` times larger; `width` and `height` are those of the
    result. `border`: an OpenCV border mode.

    `sharp`: interpolate by cubics. It takes three times as long and makes a visible difference only in faces.
    """
    s = frame.scale * zoom
    if s < 0.75:  # a Gaussian before the reduction, against aliasing of fine hair
        image = cv2.GaussianBlur(image, (0, 0), max(0.1, 0.42 * (1.0 / s - 0.6)))
    m = np.array(
        [[s, 0, frame.shift_x * zoom + 0.5 * s - 0.5], [0, s, frame.shift_y * zoom + 0.5 * s - 0.5]], np.float64
    )
    shown: Image = cv2.warpAffine(
        image, m, (width, height), flags=cv2.INTER_CUBIC if sharp else cv2.INTER_LINEAR, borderMode=border
    )
    return shown
