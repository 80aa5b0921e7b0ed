"""Draw Pip, the illustrated one: shapes, gradients and soft shadows, no 3D. One command, from the repository root: see README.md.

Lengths are pixels of the finished picture, 1200 x 900; the face's own axis is x = 600, its left half is the right one mirrored.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import skia
from PIL import Image

WIDTH_PX, HEIGHT_PX = 1200, 900
OVERSAMPLING = 2
OUTPUT = Path(__file__).parents[2] / "src" / "visavis" / "library" / "portraits"
AXIS = 600.0

SKIN, SKIN_LIGHT, SKIN_SHADE, SKIN_DEEP = "#c98658", "#e0a273", "#a9633f", "#7d4029"
BLUSH = "#d4603f"
LIP_UPPER, LIP_LOWER, LIP_LINE = "#a34a3f", "#c2645a", "#5e2320"
HAIR, HAIR_LIGHT, HAIR_DARK = "#1f5d63", "#4fa39c", "#0f3339"
KNIT, KNIT_LIGHT, KNIT_DARK = "#f0b94a", "#ffd477", "#c98a26"
LINE = "#3b1b16"


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
    """Half an outline, from its top on the axis to its bottom, made whole."""
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


FACE = curve(*mirrored((600, 176), (676, 190), (728, 240), (747, 320), (746, 400), (734, 470), (704, 535), (655, 584), (600, 598)))
NECK = curve((536, 520), (664, 520), (666, 620), (684, 690), (516, 690), (534, 620))


def background(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    canvas.drawPaint(linear((0, 0), (1200, 900), ("#f3c9b0", 1), ("#e8a48c", 1), ("#cf7f78", 1)))
    oval(canvas, 600, 400, 330, 330, paint("#fff0dc", 0.85, blur=85))  # no hard edge near a head that will move
    for x, y, size, turn, tone in (
        (60, 890, 320, -68, "#9c4f58"),
        (150, 950, 290, -96, "#b5636a"),
        (-10, 800, 250, -40, "#8a424f"),
        (1145, 890, 320, -112, "#9c4f58"),
        (1050, 950, 280, -86, "#b5636a"),
        (1215, 790, 250, -140, "#8a424f"),
    ):
        leaf(canvas, x, y, size, turn, tone)
    for _ in range(26):
        x, y = rng.uniform(0, 1200), rng.uniform(0, 620)
        if abs(x - 600) > 390:
            oval(canvas, x, y, *(2 * [2.5 + 3 * rng.uniform()]), paint("#fff3e2", 0.45))


def leaf(canvas: skia.Canvas, x: float, y: float, size: float, turn: float, tone: str) -> None:
    canvas.save()
    canvas.translate(x, y)
    canvas.rotate(turn)
    shape = curve(
        (0, 0, 1), (size * 0.3, -size * 0.19), (size * 0.72, -size * 0.15), (size, 0, 1), (size * 0.7, size * 0.14), (size * 0.28, size * 0.17)
    )
    canvas.drawPath(shape, paint(tone, 0.92))
    with inside(canvas, shape):
        canvas.drawRect(skia.Rect.MakeLTRB(0, 0, size, size), paint("#5d2534", 0.22))
        for k in range(1, 8):
            at = size * (0.06 + 0.115 * k)
            for way in (1, -1):
                vein = curve((at, 0), (at + size * 0.09, way * size * 0.09), (at + size * 0.20, way * size * 0.15), closed=False)
                canvas.drawPath(vein, paint("#f3c9b0", 0.28, stroke=2))
        canvas.drawLine(0, 0, size, 0, paint("#f3c9b0", 0.45, stroke=3))
    canvas.restore()


def hair_behind(canvas: skia.Canvas) -> None:
    shape = curve(
        (600, 84), (692, 100), (765, 168), (800, 270), (806, 380), (812, 470), (797, 566), (744, 610), (690, 596),
        (510, 596), (456, 610), (403, 566), (388, 470), (394, 380), (400, 270), (435, 168), (508, 100),
    )  # fmt: skip
    canvas.drawPath(shape, linear((600, 90), (600, 620), (HAIR, 1), (HAIR_DARK, 1), ("#092226", 1)))
    with inside(canvas, shape):
        for k in range(13):
            x = 755 + 5.0 * k

            def lock(c: skia.Canvas, x: float = x, k: int = k) -> None:
                path = curve((x - 20, 330), (x, 430), (x - 4 - k, 520), (x - 34 - 2 * k, 610), closed=False)
                c.drawPath(path, paint(HAIR_LIGHT if k % 3 == 0 else HAIR, 0.35, stroke=2.2 if k % 3 else 3.5, blur=0.6))

            both(canvas, lock)


def body(canvas: skia.Canvas) -> None:
    jumper = curve(
        *mirrored((600, 690), (680, 668), (742, 692), (830, 722), (905, 764), (952, 830), (985, 960, 1), (600, 960)),
    )
    canvas.drawPath(jumper, linear((380, 660), (860, 930), (KNIT_LIGHT, 1), (KNIT, 1), (KNIT_DARK, 1)))
    with inside(canvas, jumper):
        both(
            canvas,
            lambda c: c.drawPath(curve((872, 960), (856, 870), (872, 800), (884, 780), closed=False), paint(KNIT_DARK, 0.75, stroke=5, blur=1.5)),
        )
        both(canvas, lambda c: c.drawPath(curve((862, 960), (846, 870), (862, 800), closed=False), paint(KNIT_DARK, 0.35, stroke=26, blur=12)))
        for k in range(-27, 28):
            x = 600 + 15 * k
            path = curve((600 + 9.0 * k, 700), (x + 0.4 * k, 800), (x + 0.8 * k, 960), closed=False)
            canvas.drawPath(path, paint(KNIT_DARK, 0.20, stroke=3, blur=0.8))
        oval(canvas, 600, 700, 190, 62, paint("#8a5414", 0.40, blur=22))
    canvas.drawPath(NECK, linear((520, 540), (690, 700), (SKIN, 1), (SKIN_SHADE, 1)))
    with inside(canvas, NECK):
        shadow = curve((470, 500), (730, 500), (716, 585), (668, 640), (612, 662), (560, 652), (512, 612), (480, 570))
        canvas.drawPath(shadow, paint(SKIN_DEEP, 0.62, blur=9))
        canvas.drawPath(curve((672, 560), (700, 560), (760, 720), (668, 700), (656, 640)), paint(SKIN_DEEP, 0.35, blur=10))
    collar = curve(
        *mirrored((600, 664), (650, 656), (690, 634), (708, 640), (724, 690), (690, 722), (640, 742), (600, 746)),
    )
    canvas.drawPath(collar, linear((490, 640), (730, 750), (KNIT_LIGHT, 1), (KNIT, 1), (KNIT_DARK, 1)))
    with inside(canvas, collar):
        for k in range(-13, 14):
            path = curve((600 + 8.0 * k, 620), (600 + 8.9 * k, 760), closed=False)
            canvas.drawPath(path, paint(KNIT_DARK, 0.38, stroke=3.2, blur=0.7))
        canvas.drawPath(curve((490, 636), (540, 662), (600, 670), (660, 662), (710, 636), closed=False), paint("#8a5414", 0.45, stroke=10, blur=5))
    canvas.drawPath(curve((492, 640), (540, 658), (600, 665), (660, 658), (708, 640), closed=False), paint("#fff0c4", 0.55, stroke=3, blur=0.8))


def ear(canvas: skia.Canvas) -> None:
    shape = curve((738, 352), (762, 340), (775, 362), (770, 402), (756, 440), (740, 448), (730, 420))
    canvas.drawPath(shape, linear((735, 350), (780, 440), (SKIN, 1), (SKIN_SHADE, 1)))
    canvas.drawPath(curve((750, 362), (762, 366), (760, 392), (748, 412), closed=False), paint(SKIN_DEEP, 0.55, stroke=4, blur=1.5))
    oval(canvas, 755, 443, 5.5, 5.5, radial((753, 440), 7, ("#fff6d8", 1), ("#e5b84a", 1), ("#a9741d", 1)))


def face(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    canvas.drawPath(FACE, radial((560, 330), 330, (SKIN_LIGHT, 1), (SKIN, 1), (SKIN_SHADE, 1), places=[0.0, 0.62, 1.0]))
    with inside(canvas, FACE):
        canvas.drawPath(curve((760, 200), (690, 260), (712, 380), (700, 480), (660, 560), (640, 620), (780, 620)), paint(SKIN_SHADE, 0.55, blur=26))
        canvas.drawPath(curve((440, 200), (478, 300), (470, 420), (500, 520), (440, 560)), paint(SKIN_SHADE, 0.30, blur=20))
        oval(canvas, 600, 606, 90, 22, paint(SKIN_SHADE, 0.55, blur=14))
        both(canvas, lambda c: oval(c, 684, 452, 46, 32, paint(BLUSH, 0.42, blur=20)))
        oval(canvas, 600, 448, 34, 24, paint(BLUSH, 0.30, blur=14))
        oval(canvas, 520, 438, 26, 15, paint("#f6c79c", 0.55, blur=12))
        oval(canvas, 566, 290, 62, 34, paint("#f3bd90", 0.45, blur=24))
        oval(canvas, 592, 570, 24, 12, paint("#f0b98c", 0.45, blur=9))
        both(canvas, lambda c: oval(c, 666, 356, 48, 27, paint(SKIN_SHADE, 0.50, blur=12)))
        both(canvas, lambda c: oval(c, 664, 398, 40, 9, paint(SKIN_SHADE, 0.35, blur=7)))
    nose(canvas)
    for _ in range(64):
        side = rng.choice([-1, 1])
        x, y = 600 + side * abs(rng.normal(62, 34)), rng.normal(440, 17)
        oval(canvas, x, y, *(2 * [1.0 + 1.1 * rng.uniform()]), paint("#8a4527", 0.32 + 0.2 * rng.uniform(), blur=0.5))


def nose(canvas: skia.Canvas) -> None:
    canvas.drawPath(curve((612, 352), (622, 400), (638, 440), (640, 462), (618, 470), (612, 430)), paint(SKIN_SHADE, 0.50, blur=8))
    canvas.drawPath(curve((588, 360), (584, 410), (572, 446), closed=False), paint(SKIN_SHADE, 0.25, stroke=7, blur=5))
    canvas.drawPath(curve((598, 340), (602, 390), (602, 440), (594, 440), (592, 390)), paint("#f8d0a6", 0.55, blur=5))
    oval(canvas, 597, 447, 12, 9, paint("#fbdcb6", 0.60, blur=5))
    under = curve((566, 463), (580, 472), (600, 476), (620, 472), (634, 463), (620, 482), (600, 486), (580, 482))
    canvas.drawPath(under, paint(SKIN_DEEP, 0.45, blur=4))

    def wing(c: skia.Canvas) -> None:
        c.drawPath(curve((630, 440), (640, 452), (637, 466), (626, 470), closed=False), paint(SKIN_DEEP, 0.55, stroke=3, blur=1.2))
        c.drawPath(curve((610, 470), (618, 465), (627, 468), (620, 473)), paint(LINE, 0.75, blur=1.0))

    both(canvas, wing)


def eye(canvas: skia.Canvas) -> None:
    """The one on the right side of the picture; the other is its mirror image but for the light it catches."""
    lids = curve((627, 385, 1), (637, 371), (656, 360), (678, 361), (697, 375), (704, 383, 1), (692, 393), (672, 400), (650, 399), (635, 392))
    canvas.drawPath(lids, linear((660, 358), (660, 402), ("#d9c6b8", 1), ("#f4e9dd", 1)))
    with inside(canvas, lids):
        oval(canvas, 629, 387, 9, 8, paint("#cf7a66", 0.9, blur=3))
        oval(canvas, 703, 384, 9, 9, paint("#b98374", 0.7, blur=4))
        oval(
            canvas,
            665,
            378.5,
            20.5,
            20.5,
            radial((665, 384), 21, ("#d9a13c", 1), ("#8a5a20", 1), ("#5b3313", 1), ("#2a140a", 1), places=[0.0, 0.5, 0.86, 1.0]),
        )
        for k in range(40):
            turn = k * 2 * np.pi / 40
            a, b = 10 + 1.5 * np.sin(3 * k), 18.5
            start, end = (665 + a * np.cos(turn), 378.5 + a * np.sin(turn)), (665 + b * np.cos(turn), 378.5 + b * np.sin(turn))
            canvas.drawLine(*start, *end, paint("#ffd477" if np.sin(turn) > -0.2 else "#6b3d16", 0.30, stroke=1.1))
        oval(canvas, 665, 378.5, 9.2, 9.2, paint("#120706"))
        canvas.drawPath(curve((620, 352), (660, 352), (712, 358), (706, 380), (680, 369), (656, 368), (636, 380)), paint("#3b1b16", 0.55, blur=5))
        canvas.drawPath(curve((634, 391), (650, 397.5), (672, 398.5), (694, 391), closed=False), paint("#ffffff", 0.55, stroke=1.8, blur=0.6))
    upper = curve(
        (622, 389, 1), (637, 369), (656, 357), (679, 358), (700, 372), (716, 374, 1), (704, 385), (690, 372), (674, 364), (656, 364), (640, 373)
    )
    canvas.drawPath(upper, paint(LINE))
    for x, y, dx, dy in ((690, 365, 9, -7), (699, 371, 13, -5)):
        canvas.drawPath(
            curve((x - 4, y + 1, 1), (x + dx * 0.6, y + dy * 0.3), (x + dx, y + dy, 1), (x + dx * 0.5, y + dy * 0.1 + 2), (x + 3, y + 4, 1)),
            paint(LINE),
        )
    canvas.drawPath(curve((636, 393), (650, 400.5), (672, 401.5), (692, 395), (702, 386), closed=False), paint(SKIN_DEEP, 0.60, stroke=2.0, blur=0.5))
    canvas.drawPath(curve((632, 366), (650, 349), (678, 347), (702, 360), closed=False), paint(SKIN_DEEP, 0.75, stroke=2.6, blur=0.7))
    canvas.drawPath(curve((640, 352), (664, 342), (694, 350), closed=False), paint("#eab288", 0.5, stroke=7, blur=4))


def brow(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    shape = curve((624, 338, 1), (628, 325), (652, 316), (684, 314), (717, 329, 1), (690, 325), (660, 327), (638, 335))
    canvas.drawPath(shape, paint("#2a2220", 0.80, blur=1.6))
    for _ in range(70):
        u = rng.uniform(0, 1)
        x, y = 628 + 84 * u, np.interp(u, [0, 0.3, 0.65, 1], [333, 322, 319, 328]) + rng.normal(0, 2.6) * (1 - 0.7 * u)
        slope = np.interp(u, [0, 0.25, 1], [-1.1, -0.35, 0.4])
        canvas.drawLine(x, y, x + 9, y + 9 * slope, paint("#1c1716", 0.55, stroke=1.3))


def mouth(canvas: skia.Canvas) -> None:
    upper = curve(
        (542, 523, 1),
        (566, 516),
        (588, 510.5),
        (600, 514),
        (612, 510.5),
        (634, 516),
        (658, 523, 1),
        (634, 528),
        (614, 530),
        (600, 532),
        (586, 530),
        (566, 528),
    )
    lower = curve(
        (545, 524, 1),
        (566, 527),
        (586, 529.5),
        (600, 531.5),
        (614, 529.5),
        (634, 527),
        (655, 524, 1),
        (637, 543),
        (615, 553.5),
        (600, 554.5),
        (585, 553.5),
        (563, 543),
    )
    oval(canvas, 600, 562, 32, 6, paint(SKIN_DEEP, 0.45, blur=5))
    canvas.drawPath(lower, linear((600, 527), (600, 556), (LIP_LINE, 1), (LIP_LOWER, 1), ("#cf7568", 1), (LIP_UPPER, 1)))
    canvas.drawPath(upper, linear((600, 510), (600, 532), (LIP_LOWER, 1), (LIP_UPPER, 1), ("#7d342e", 1)))
    with inside(canvas, lower):
        oval(canvas, 590, 540, 20, 4.5, paint("#ffd9c4", 0.65, blur=3.2))
        oval(canvas, 622, 540, 9, 3, paint("#ffd9c4", 0.35, blur=2.5))
        for k in range(-7, 8):
            canvas.drawLine(600 + 5.6 * k, 533, 600 + 6.2 * k, 551, paint(LIP_LINE, 0.10, stroke=1.2))
    with inside(canvas, upper):
        canvas.drawPath(curve((570, 517), (589, 512), (600, 515.5), (611, 512), (630, 517), closed=False), paint("#e6a08d", 0.45, stroke=2, blur=1))
    line = curve((542, 523), (552, 525.5), (568, 527.5), (587, 530), (600, 532), (613, 530), (632, 527.5), (648, 525.5), (658, 523), closed=False)
    canvas.drawPath(line, paint(LIP_LINE, 0.95, stroke=2.4, blur=0.4))
    both(canvas, lambda c: oval(c, 659, 522, 5, 4, paint(SKIN_SHADE, 0.55, blur=4)))
    both(canvas, lambda c: c.drawPath(curve((646, 470), (667, 486), (675, 508), closed=False), paint(SKIN_SHADE, 0.42, stroke=5, blur=4)))
    canvas.drawPath(curve((594, 486), (595, 504), (605, 504), (606, 486)), paint(SKIN_SHADE, 0.32, blur=3))


def hair_before(canvas: skia.Canvas, rng: np.random.Generator) -> None:
    """A side part: one sweep over the forehead, a smaller one on the other side."""
    sweep = curve(
        (554, 92, 1), (630, 82), (712, 112), (774, 196), (796, 300), (804, 400), (808, 500), (792, 570), (756, 606), (738, 588),
        (752, 540), (756, 460), (748, 390), (742, 330), (722, 276), (672, 236), (612, 210), (566, 176),
    )  # fmt: skip
    small = curve(
        (558, 92, 1), (492, 104), (430, 182), (404, 290), (396, 390), (392, 500), (408, 570), (444, 606), (462, 588),
        (448, 540), (444, 460), (452, 390), (456, 330), (470, 276), (504, 228), (540, 186),
    )  # fmt: skip
    with inside(canvas, FACE):
        canvas.save()
        canvas.translate(6, 16)
        canvas.drawPath(sweep, paint(SKIN_DEEP, 0.50, blur=11))
        canvas.drawPath(small, paint(SKIN_DEEP, 0.40, blur=11))
        canvas.restore()
    for shape, outer, inner, side in (
        (
            small,
            [(556, 88), (478, 110), (424, 210), (396, 360), (390, 480), (440, 608)],
            [(558, 120), (530, 190), (480, 262), (452, 350), (444, 470), (466, 596)],
            -1,
        ),
        (
            sweep,
            [(556, 88), (650, 86), (756, 170), (802, 330), (810, 480), (760, 608)],
            [(556, 120), (590, 196), (690, 246), (746, 350), (756, 470), (734, 596)],
            1,
        ),
    ):
        canvas.drawPath(shape, linear((600, 100), (600 + 190 * side, 560), (HAIR, 1), (HAIR, 1), (HAIR_DARK, 1)))
        with inside(canvas, shape):
            outer_at, inner_at = np.array(outer, float), np.array(inner, float)
            for _ in range(150):
                u = rng.uniform(0, 1)
                path = [tuple(p) for p in outer_at * (1 - u) + inner_at * u + rng.normal(0, 2.5, (6, 2))]
                tone, strength = [(HAIR_LIGHT, 0.22), (HAIR_DARK, 0.42), (HAIR, 0.5)][rng.integers(3)]
                canvas.drawPath(curve(*path, closed=False), paint(tone, strength, stroke=rng.uniform(1.0, 4.5), blur=0.7))
            for u, strength in ((0.22, 0.55), (0.34, 0.40), (0.62, 0.35)):
                band = outer_at * (1 - u) + inner_at * u
                canvas.drawPath(curve(*[tuple(p) for p in band[1:4]], closed=False), paint("#8fd6c8", strength, stroke=9, blur=7))
            canvas.drawPath(shape, paint(HAIR_DARK, 0.55, stroke=7, blur=4))


def draw() -> Image.Image:
    rng = np.random.default_rng(5)
    surface = skia.Surface(WIDTH_PX * OVERSAMPLING, HEIGHT_PX * OVERSAMPLING)
    with surface as canvas:
        canvas.scale(OVERSAMPLING, OVERSAMPLING)
        background(canvas, rng)
        hair_behind(canvas)
        body(canvas)
        both(canvas, ear)
        face(canvas, rng)
        both(canvas, eye)
        for x in (535, 665):  # the lamp stands on the left for both eyes
            oval(canvas, x - 6.5, 371, 5.2, 5.2, paint("#ffffff", 0.95, blur=0.5))
            oval(canvas, x + 7, 388, 2.6, 2.6, paint("#ffffff", 0.55, blur=0.6))
        both(canvas, lambda c: brow(c, np.random.default_rng(8)))
        mouth(canvas)
        hair_before(canvas, rng)
    pixels = surface.makeImageSnapshot().toarray(colorType=skia.kRGBA_8888_ColorType)[..., :3]
    image = Image.fromarray(pixels).resize((WIDTH_PX, HEIGHT_PX), Image.Resampling.LANCZOS)
    grained = np.asarray(image, np.float64) + rng.normal(0, 2.2, (HEIGHT_PX, WIDTH_PX, 1))  # paper
    return Image.fromarray(np.clip(grained + 0.5, 0, 255).astype(np.uint8))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--output", type=Path, default=OUTPUT)
    options = arguments.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    draw().save(options.output / "pip.jpg", quality=88, optimize=True, subsampling=0)


if __name__ == "__main__":
    main()
