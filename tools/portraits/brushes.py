"""Brushes and shapes for illustrations: colours, gradients, smooth paths, mirror images. Lengths are pixels of the
finished picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import skia

WIDTH_PX, HEIGHT_PX = 1200, 900
AXIS = 600.0  # x of the middle of the face; the left half is the mirror image of the right half


def colour(text: str, alpha: float = 1.0) -> int:
    red, green, blue = (int(text[i : i + 2], 16) for i in (1, 3, 5))
    return skia.ColorSetARGB(round(255 * alpha), red, green, blue)


def paint(fill: str, alpha: float = 1.0, blur: float = 0.0, stroke: float = 0.0) -> skia.Paint:
    out = skia.Paint(AntiAlias=True, Color=colour(fill, alpha))
    if stroke:
        out.setStyle(skia.Paint.kStroke_Style)
        out.setStrokeWidth(stroke)
        out.setStrokeCap(skia.Paint.kRound_Cap)
        out.setStrokeJoin(skia.Paint.kRound_Join)
    if blur:
        out.setMaskFilter(skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, blur))
    return out


def linear(start: tuple, end: tuple, *stops: tuple[str, float]) -> skia.Paint:
    """A gradient between two points through colours with their alphas, evenly spaced."""
    shader = skia.GradientShader.MakeLinear([skia.Point(*start), skia.Point(*end)], [colour(*stop) for stop in stops])
    return skia.Paint(AntiAlias=True, Shader=shader)


def radial(centre: tuple, radius: float, *stops: tuple[str, float], places: list[float] | None = None) -> skia.Paint:
    shader = skia.GradientShader.MakeRadial(skia.Point(*centre), radius, [colour(*stop) for stop in stops], places)
    return skia.Paint(AntiAlias=True, Shader=shader)


def curve(*points: tuple, closed: bool = True) -> skia.Path:
    """A smooth path through `points` (a centripetal spline; a point with a third value is a corner)."""
    count = len(points)
    path = skia.Path()
    path.moveTo(*points[0][:2])
    place = [np.array(p[:2], float) for p in points]
    sharp = [len(p) > 2 for p in points]

    def tangent(i: int) -> np.ndarray:
        if sharp[i] or (not closed and i in (0, count - 1)):
            return np.zeros(2)
        return (place[(i + 1) % count] - place[i - 1]) / 2

    for i in range(count if closed else count - 1):
        j = (i + 1) % count
        reach = np.linalg.norm(place[j] - place[i])
        a, b = (t * min(1.0, reach / (np.linalg.norm(t) + 1e-9)) for t in (tangent(i), tangent(j)))
        path.cubicTo(*(place[i] + a / 3), *(place[j] - b / 3), *place[j])
    if closed:
        path.close()
    return path


def mirrored(*points: tuple) -> list[tuple]:
    """Complete a half outline, given from its top on the axis to its bottom, with its mirror image."""
    return [*points, *((2 * AXIS - p[0], *p[1:]) for p in reversed(points) if abs(p[0] - AXIS) > 0.5)]


@contextmanager
def inside(canvas: skia.Canvas, path: skia.Path) -> Iterator[None]:
    canvas.save()
    canvas.clipPath(path, doAntiAlias=True)
    yield
    canvas.restore()


def both(canvas: skia.Canvas, draw: Callable[[skia.Canvas], None]) -> None:
    """Draw the right side of the picture and its mirror image."""
    for flip in (False, True):
        canvas.save()
        if flip:
            canvas.translate(2 * AXIS, 0)
            canvas.scale(-1, 1)
        draw(canvas)
        canvas.restore()


def oval(canvas: skia.Canvas, x: float, y: float, rx: float, ry: float, brush: skia.Paint) -> None:
    canvas.drawOval(skia.Rect.MakeLTRB(x - rx, y - ry, x + rx, y + ry), brush)


def leaf(canvas: skia.Canvas, x: float, y: float, size: float, turn: float, tone: str, veins: str) -> None:
    """Draw a leaf that grows from (x, y). `turn`: degrees, clockwise from the right."""
    canvas.save()
    canvas.translate(x, y)
    canvas.rotate(turn)
    shape = curve(
        (0, 0, 1),
        (size * 0.3, -size * 0.19),
        (size * 0.72, -size * 0.15),
        (size, 0, 1),
        (size * 0.7, size * 0.14),
        (size * 0.28, size * 0.17),
    )
    canvas.drawPath(shape, paint(tone, 0.92))
    with inside(canvas, shape):
        canvas.drawRect(skia.Rect.MakeLTRB(0, 0, size, size), paint("#201020", 0.22))
        for k in range(1, 8):
            at = size * (0.06 + 0.115 * k)
            for way in (1, -1):
                vein = curve(
                    (at, 0), (at + size * 0.09, way * size * 0.09), (at + size * 0.20, way * size * 0.15), closed=False
                )
                canvas.drawPath(vein, paint(veins, 0.28, stroke=2))
        canvas.drawLine(0, 0, size, 0, paint(veins, 0.45, stroke=3))
    canvas.restore()
