"""Renders the poses of an avatar and arranges them on a labelled sheet."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from visavis.engine.landmarks import CHIN, EYE_OUTER_LEFT, EYE_OUTER_RIGHT, FOREHEAD, NOSE_TIP, FaceGeometry
from visavis.engine.pack.avatar_pack import AvatarPack
from visavis.engine.render.cpu import CpuRenderer
from visavis.errors import InvalidRequest
from visavis.inspect.poses import Part, Section, sections
from visavis.offline import load_avatar
from visavis.output_file import replacing

Picture = NDArray[np.uint8]
Box = tuple[int, int, int, int]  # left, top, right, bottom

SHEET_WIDTH_PX = 1680
_JPEG, _PNG = [cv2.IMWRITE_JPEG_QUALITY, 84], [cv2.IMWRITE_PNG_COMPRESSION, 6]
_SUFFIXES = {".jpg": _JPEG, ".jpeg": _JPEG, ".png": _PNG}
_GAP_PX, _LABEL_PX, _TITLE_PX = 6, 20, 40
_PAPER, _INK = (250, 250, 249), (32, 33, 36)


def write_sheet(*, avatar: str, out: Path, width_px: int, height_px: int, only: str | None = None) -> None:
    """Write the sheet of `avatar` (a photo's path, an avatar's id, or the name of a library portrait) to `out`, PNG or
    JPEG.

    It is rendered at `width_px` by `height_px`. `only`: the title of the only section. Raises `ImageRefused`,
    `NotFound`, `InvalidRequest`, `FileUnusable`.
    """
    if out.suffix.lower() not in _SUFFIXES:
        raise InvalidRequest(f"{out} is neither a PNG nor a JPEG", suggestion="Use a name like sheet.png or sheet.jpg")
    _chosen(only)
    pack = load_avatar(avatar)
    sheet = contact_sheet(pack, width_px, height_px, only=only)
    _, encoded = cv2.imencode(out.suffix.lower(), sheet[..., ::-1], _SUFFIXES[out.suffix.lower()])
    with replacing(out) as partial:
        partial.write_bytes(encoded.tobytes())


def contact_sheet(pack: AvatarPack, width_px: int, height_px: int, only: str | None = None) -> Picture:
    """Return the sheet, uint8 (H, SHEET_WIDTH_PX, 3) RGB. Raises `InvalidRequest` for an unknown section."""
    chosen = _chosen(only)
    renderer = CpuRenderer(pack, width_px, height_px)
    return np.vstack([_draw(renderer, section) for section in chosen])


def _chosen(only: str | None) -> list[Section]:
    chosen = [section for section in sections() if only is None or section.title.lower() == only.lower()]
    if not chosen:
        raise InvalidRequest(
            f"There is no section '{only}'",
            suggestion=f"There are {', '.join(section.title for section in sections())}",
        )
    return chosen


def crop_box(face: FaceGeometry, part: Part, width_px: int, height_px: int) -> Box:
    """Return the box of `part` of the resting face in a picture of that size."""
    p, e = face.landmarks, face.unit
    mouth, nose = (p[13] + p[14]) / 2, p[NOSE_TIP]
    eyes = (p[EYE_OUTER_LEFT] + p[EYE_OUTER_RIGHT]) / 2
    middle = (p[FOREHEAD] + p[CHIN]) / 2
    x, y, left, up, down = {
        "mouth": (mouth[0], mouth[1], 0.56, 0.40, 0.60),
        "eyes": (eyes[0], eyes[1], 0.70, 0.36, 0.26),
        "face": (nose[0], nose[1], 0.92, 1.05, 0.98),
        "head": (middle[0], middle[1], 1.50, 1.75, 1.75),
    }[part]
    return (
        max(0, int(x - left * e)),
        max(0, int(y - up * e)),
        min(width_px, int(x + left * e)),
        min(height_px, int(y + down * e)),
    )


def _draw(renderer: CpuRenderer, section: Section) -> Picture:
    left, top, right, bottom = crop_box(renderer.face, section.part, renderer.width_px, renderer.height_px)
    width = (SHEET_WIDTH_PX - _GAP_PX) // section.columns - _GAP_PX
    height = round(width * (bottom - top) / (right - left))
    rows = -(-len(section.poses) // section.columns)
    image = Image.new("RGB", (SHEET_WIDTH_PX, _TITLE_PX + rows * (height + _LABEL_PX + _GAP_PX)), _PAPER)
    pen = ImageDraw.Draw(image)
    pen.text((_GAP_PX, 8), section.title, fill=_INK, font=ImageFont.load_default(20))
    small = ImageFont.load_default(13)
    for n, pose in enumerate(section.poses):
        seen = cv2.cvtColor(renderer.render(pose.motion), cv2.COLOR_YUV2RGB_I420)[top:bottom, left:right]
        tile = cv2.resize(
            seen, (width, height), interpolation=cv2.INTER_CUBIC if width > right - left else cv2.INTER_AREA
        )
        x = _GAP_PX + n % section.columns * (width + _GAP_PX)
        y = _TITLE_PX + n // section.columns * (height + _LABEL_PX + _GAP_PX)
        image.paste(Image.fromarray(tile), (x, y))
        pen.text((x + 1, y + height + 2), pose.label, fill=_INK, font=small)
    return np.asarray(image)
