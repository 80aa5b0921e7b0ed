"""Things before a mouth, drawn over a portrait at its landmarks (478, 2)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Points = NDArray[np.float32]
Shade = NDArray[np.float32]
JAW = (93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323)
UNDER_THE_EYES = (323, 280, 195, 50, 93)


def _eyes_px(p: Points) -> float:
    return float(np.hypot(*(p[33] - p[263])))


def _painted(
    picture: Image.Image,
    shape: Callable[[ImageDraw.ImageDraw], None],
    colour: tuple[int, ...],
    shade: Shade | None = None,
) -> Image.Image:
    drawn = Image.new("L", picture.size)
    shape(ImageDraw.Draw(drawn))
    opacity = np.asarray(drawn.filter(ImageFilter.GaussianBlur(1)), np.float32)[..., None] / 255
    paint = np.array(colour, np.float32) * (1.0 if shade is None else shade[..., None])
    mixed = np.asarray(picture, np.float32) * (1 - opacity) + paint * opacity
    return Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8))


def _grid(picture: Image.Image) -> tuple[Shade, Shade]:
    y, x = np.mgrid[0 : picture.height, 0 : picture.width].astype(np.float32)
    return x, y


def mask(picture: Image.Image, p: Points, colour: tuple[int, ...]) -> Image.Image:
    """A surgical mask with pleats, rounded in the light."""
    e = _eyes_px(p)
    ring = [(float(x), float(y + 0.03 * e)) for x, y in p[list(JAW)]] + [tuple(at) for at in p[list(UNDER_THE_EYES)]]
    x, y = _grid(picture)
    pleats = 1.0 - 0.06 * (np.abs(((y - p[2, 1]) / (0.16 * e)) % 1 - 0.5) < 0.06)
    shade = pleats * (1.0 - 0.18 * np.clip((x - p[1, 0]) / (0.9 * e), -1, 1) ** 2)
    return _painted(picture, lambda pen: pen.polygon(ring, fill=255), colour, shade.astype(np.float32))


def hand(picture: Image.Image, p: Points) -> Image.Image:
    """Four fingers in the colour of the person's own cheek."""
    e, (x, y) = _eyes_px(p), (p[13] + p[14]) / 2
    cheek_x, cheek_y = p[50].astype(int)
    skin = tuple(int(level) for level in np.asarray(picture)[cheek_y - 4 : cheek_y + 4, cheek_x].mean(axis=0))
    _, rows = _grid(picture)
    for finger in range(4):
        middle, half = float(y + (0.16 * finger - 0.2) * e), 0.085 * e
        box = (float(x - (0.42 - 0.03 * finger) * e), middle - half, float(x + 1.4 * e), middle + half)
        shade = 1.04 - 0.28 * np.clip(np.abs(rows - middle) / half, 0, 1) ** 3

        def shape(pen: ImageDraw.ImageDraw, box: tuple[float, ...] = box, half: float = half) -> None:
            pen.rounded_rectangle(box, radius=half, fill=255)

        picture = _painted(picture, shape, skin, shade)
    return picture


def microphone(picture: Image.Image, p: Points) -> Image.Image:
    e, (x, y) = _eyes_px(p), (p[13] + p[14]) / 2
    stick = [
        (x - 0.12 * e, y + 0.2 * e),
        (x + 0.12 * e, y + 0.2 * e),
        (x + 0.5 * e, y + 2.5 * e),
        (x + 0.2 * e, y + 2.5 * e),
    ]
    picture = _painted(
        picture, lambda pen: pen.polygon([(float(a), float(b)) for a, b in stick], fill=255), (25, 25, 28)
    )
    columns, rows = _grid(picture)
    mesh = 1.0 + 0.35 * np.sin(columns / (0.01 * e)) * np.sin(rows / (0.01 * e))
    box = (float(x - 0.24 * e), float(y - 0.23 * e), float(x + 0.24 * e), float(y + 0.28 * e))
    return _painted(picture, lambda pen: pen.ellipse(box, fill=255), (38, 38, 42), mesh)


def scarf(picture: Image.Image, p: Points, colour: tuple[int, ...]) -> Image.Image:
    e, top = _eyes_px(p), float(p[2, 1])
    left, right, bottom = float(p[234, 0] - 0.6 * e), float(p[454, 0] + 0.6 * e), float(p[152, 1] + 0.6 * e)
    ring = [(left, top - 0.15 * e), (float(p[1, 0]), top), (right, top - 0.15 * e), (right, bottom), (left, bottom)]
    x, y = _grid(picture)
    knit = 1 + 0.18 * np.sin((x + y * 0.3) / (0.03 * e)) + 0.12 * np.sin(y / (0.05 * e))
    return _painted(picture, lambda pen: pen.polygon(ring, fill=255), colour, knit)


def cup(picture: Image.Image, p: Points) -> Image.Image:
    e, (x, y) = _eyes_px(p), (float(v) for v in (p[13] + p[14]) / 2)
    ring = [
        (x - 0.4 * e, y - 0.1 * e),
        (x + 0.4 * e, y - 0.1 * e),
        (x + 0.32 * e, y + 0.8 * e),
        (x - 0.32 * e, y + 0.8 * e),
    ]
    return _painted(picture, lambda pen: pen.polygon(ring, fill=255), (235, 232, 225))


COVERS: dict[str, Callable[[Image.Image, Points], Image.Image]] = {
    "a blue mask": lambda picture, p: mask(picture, p, (140, 180, 205)),
    "a white mask": lambda picture, p: mask(picture, p, (225, 228, 230)),
    "a black mask": lambda picture, p: mask(picture, p, (35, 35, 38)),
    "a hand": hand,
    "a microphone": microphone,
    "a red scarf": lambda picture, p: scarf(picture, p, (150, 30, 40)),
    "a grey scarf": lambda picture, p: scarf(picture, p, (120, 118, 112)),
    "a cup": cup,
}
