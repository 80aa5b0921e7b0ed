"""The face of an illustrated person, part by part. The right side of the picture is drawn and mirrored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import skia
from brushes import AXIS, both, curve, inside, linear, mirrored, oval, paint, radial

FACE = ((600, 176), (676, 190), (728, 240), (747, 320), (746, 400), (734, 470), (704, 535), (655, 584), (600, 598))
BROAD_FACE = (
    (600, 172),
    (676, 184),
    (732, 234),
    (752, 320),
    (752, 400),
    (746, 470),
    (724, 540),
    (672, 592),
    (600, 608),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sitter:
    """The look of an illustrated person. Colours are `#rrggbb`; several are sorted from light to dark."""

    shine: str
    light: str
    skin: str
    shade: str
    deep: str
    blush: str
    lips: tuple[str, str, str]  # upper, lower, the line between them
    gloss: str
    iris: tuple[str, str, str, str]  # from the pupil outwards
    line: str  # lashes
    brows: tuple[str, str]  # shade, hairs
    hair: tuple[str, str, str]  # light, middle, dark
    cloth: tuple[str, str, str, str]
    sky: tuple[str, str, str]
    glow: str
    leaves: tuple[str, str, str]
    outline: tuple = FACE
    hair_gloss: str = "#8fd6c8"
    hair_drop: float = 0.0  # how much longer than a bob the hair is, as a part of the bob's length below the eyes
    freckles: int = 0
    age: float = 0.0  # strength of the lines of the face
    liner: float = 1.0  # darkness of the lashes
    wings: bool = True  # long lashes at the outer corners
    lip_height: float = 1.0
    lip_width: float = 1.0
    nose_width: float = 1.0
    brow_weight: float = 1.0
    blush_strength: float = 1.0
    earrings: bool = True

    @property
    def face(self) -> skia.Path:
        return curve(*mirrored(*self.outline))


def ear(canvas: skia.Canvas, who: Sitter) -> None:
    shape = curve((738, 352), (762, 340), (775, 362), (770, 402), (756, 440), (740, 448), (730, 420))
    canvas.drawPath(shape, linear((735, 350), (780, 440), (who.skin, 1), (who.shade, 1)))
    canvas.drawPath(
        curve((750, 362), (762, 366), (760, 392), (748, 412), closed=False), paint(who.deep, 0.55, stroke=4, blur=1.5)
    )
    if who.earrings:
        oval(canvas, 755, 443, 5.5, 5.5, radial((753, 440), 7, ("#fff6d8", 1), ("#e5b84a", 1), ("#a9741d", 1)))


def face(canvas: skia.Canvas, who: Sitter, rng: np.random.Generator) -> None:
    canvas.drawPath(
        who.face, radial((560, 330), 330, (who.light, 1), (who.skin, 1), (who.shade, 1), places=[0.0, 0.62, 1.0])
    )
    with inside(canvas, who.face):
        canvas.drawPath(
            curve((760, 200), (690, 260), (712, 380), (700, 480), (660, 560), (640, 620), (780, 620)),
            paint(who.shade, 0.55, blur=26),
        )
        canvas.drawPath(
            curve((440, 200), (478, 300), (470, 420), (500, 520), (440, 560)), paint(who.shade, 0.30, blur=20)
        )
        oval(canvas, 600, 606, 90, 22, paint(who.shade, 0.55, blur=14))
        both(canvas, lambda c: oval(c, 684, 452, 46, 32, paint(who.blush, 0.42 * who.blush_strength, blur=20)))
        oval(canvas, 600, 448, 34, 24, paint(who.blush, 0.30, blur=14))
        oval(canvas, 520, 438, 26, 15, paint(who.shine, 0.55, blur=12))
        oval(canvas, 566, 290, 62, 34, paint(who.shine, 0.45, blur=24))
        oval(canvas, 592, 570, 24, 12, paint(who.shine, 0.45, blur=9))
        both(canvas, lambda c: oval(c, 666, 356, 48, 27, paint(who.shade, 0.50, blur=12)))
        both(canvas, lambda c: oval(c, 664, 398, 40, 9, paint(who.shade, 0.35, blur=7)))
    nose(canvas, who)
    creases(canvas, who)
    for _ in range(who.freckles):
        side = rng.choice([-1, 1])
        x, y = 600 + side * abs(rng.normal(62, 34)), rng.normal(440, 17)
        oval(canvas, x, y, *(2 * [1.0 + 1.1 * rng.uniform()]), paint(who.deep, 0.32 + 0.2 * rng.uniform(), blur=0.5))


def nose(canvas: skia.Canvas, who: Sitter) -> None:
    canvas.save()
    canvas.translate(AXIS * (1 - who.nose_width), 0)
    canvas.scale(who.nose_width, 1)
    canvas.drawPath(
        curve((612, 352), (622, 400), (638, 440), (640, 462), (618, 470), (612, 430)), paint(who.shade, 0.50, blur=8)
    )
    canvas.drawPath(curve((588, 360), (584, 410), (572, 446), closed=False), paint(who.shade, 0.25, stroke=7, blur=5))
    canvas.drawPath(curve((598, 340), (602, 390), (602, 440), (594, 440), (592, 390)), paint(who.shine, 0.55, blur=5))
    oval(canvas, 597, 447, 12, 9, paint(who.shine, 0.60, blur=5))
    under = curve((566, 463), (580, 472), (600, 476), (620, 472), (634, 463), (620, 482), (600, 486), (580, 482))
    canvas.drawPath(under, paint(who.deep, 0.45, blur=4))

    def wing(c: skia.Canvas) -> None:
        c.drawPath(
            curve((630, 440), (640, 452), (637, 466), (626, 470), closed=False),
            paint(who.deep, 0.55, stroke=3, blur=1.2),
        )
        c.drawPath(curve((610, 470), (618, 465), (627, 468), (620, 473)), paint(who.line, 0.75, blur=1.0))

    both(canvas, wing)
    canvas.restore()


def creases(canvas: skia.Canvas, who: Sitter) -> None:
    """The lines of age; none at age 0."""
    if not who.age:
        return
    strong, soft = (
        paint(who.deep, 0.42 * who.age, stroke=2.4, blur=1.1),
        paint(who.shade, 0.75 * who.age, stroke=7, blur=4.5),
    )

    def side(c: skia.Canvas) -> None:
        for line in (((639, 462), (662, 482), (672, 506)), ((636, 404), (654, 413), (678, 412), (696, 402))):
            c.drawPath(curve(*line, closed=False), soft)
            c.drawPath(curve(*line, closed=False), strong)
        for line in (
            ((711, 372), (724, 366), (734, 357)),
            ((712, 379), (727, 379), (738, 377)),
            ((710, 386), (722, 392), (732, 400)),
        ):
            c.drawPath(curve(*line, closed=False), paint(who.deep, 0.34 * who.age, stroke=1.8, blur=0.8))
        c.drawPath(
            curve((613, 334), (616, 322), (613, 310), closed=False), paint(who.deep, 0.36 * who.age, stroke=2, blur=1.0)
        )

    both(canvas, side)
    for y, half, strength in ((284, 78, 0.36), (262, 88, 0.30), (241, 70, 0.22)):
        line = curve(
            (600 - half, y + 4),
            (600 - half / 2, y - 2),
            (600, y + 2),
            (600 + half / 2, y - 2),
            (600 + half, y + 5),
            closed=False,
        )
        canvas.drawPath(line, paint(who.deep, strength * who.age, stroke=2.2, blur=1.1))
        canvas.drawPath(line, paint(who.shade, strength * who.age, stroke=8, blur=5))


def eye(canvas: skia.Canvas, who: Sitter) -> None:
    """The eye on the right side of the picture, without its highlight. The other eye is its mirror image."""
    lids = curve(
        (627, 385, 1),
        (637, 371),
        (656, 360),
        (678, 361),
        (697, 375),
        (704, 383, 1),
        (692, 393),
        (672, 400),
        (650, 399),
        (635, 392),
    )
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
            radial((665, 384), 21, *((tone, 1) for tone in who.iris), places=[0.0, 0.5, 0.86, 1.0]),
        )
        for k in range(40):
            turn = k * 2 * np.pi / 40
            a, b = 10 + 1.5 * np.sin(3 * k), 18.5
            start, end = (
                (665 + a * np.cos(turn), 378.5 + a * np.sin(turn)),
                (665 + b * np.cos(turn), 378.5 + b * np.sin(turn)),
            )
            canvas.drawLine(*start, *end, paint(who.iris[0] if np.sin(turn) > -0.2 else who.iris[2], 0.30, stroke=1.1))
        oval(canvas, 665, 378.5, 9.2, 9.2, paint("#120706"))
        canvas.drawPath(
            curve((620, 352), (660, 352), (712, 358), (706, 380), (680, 369), (656, 368), (636, 380)),
            paint("#3b1b16", 0.55, blur=5),
        )
        canvas.drawPath(
            curve((634, 391), (650, 397.5), (672, 398.5), (694, 391), closed=False),
            paint("#ffffff", 0.55, stroke=1.8, blur=0.6),
        )
    upper = curve(
        (622, 389, 1),
        (637, 369),
        (656, 357),
        (679, 358),
        (700, 372),
        (716, 374, 1),
        (704, 385),
        (690, 372),
        (674, 364),
        (656, 364),
        (640, 373),
    )
    if who.liner < 1:
        upper = curve(
            (624, 388, 1),
            (637, 370),
            (656, 358.5),
            (679, 359.5),
            (699, 374),
            (707, 384, 1),
            (690, 371),
            (674, 363),
            (656, 362.5),
            (640, 372),
        )
    canvas.drawPath(upper, paint(who.line, who.liner))
    for x, y, dx, dy in () if not who.wings else ((690, 365, 9, -7), (699, 371, 13, -5)):
        canvas.drawPath(
            curve(
                (x - 4, y + 1, 1),
                (x + dx * 0.6, y + dy * 0.3),
                (x + dx, y + dy, 1),
                (x + dx * 0.5, y + dy * 0.1 + 2),
                (x + 3, y + 4, 1),
            ),
            paint(who.line),
        )
    canvas.drawPath(
        curve((636, 393), (650, 400.5), (672, 401.5), (692, 395), (702, 386), closed=False),
        paint(who.deep, 0.60, stroke=2.0, blur=0.5),
    )
    canvas.drawPath(
        curve((632, 366), (650, 349), (678, 347), (702, 360), closed=False), paint(who.deep, 0.75, stroke=2.6, blur=0.7)
    )
    canvas.drawPath(curve((640, 352), (664, 342), (694, 350), closed=False), paint(who.shine, 0.5, stroke=7, blur=4))


def brow(canvas: skia.Canvas, who: Sitter, rng: np.random.Generator) -> None:
    thick = 4.0 * (who.brow_weight - 1)
    shape = curve(
        (624, 338 + thick, 1), (628, 325 - thick), (652, 316 - thick), (684, 314 - thick), (717, 329, 1),
        (690, 325 + thick), (660, 327 + thick), (638, 335 + thick),
    )  # fmt: skip
    canvas.drawPath(shape, paint(who.brows[0], 0.80 if who.brow_weight < 1.2 else 0.6, blur=1.6 * who.brow_weight))
    for _ in range(round(70 * who.brow_weight)):
        u = rng.uniform(0, 1)
        x, y = (
            628 + 84 * u,
            np.interp(u, [0, 0.3, 0.65, 1], [333, 322, 319, 328])
            + rng.normal(0, 2.6 * who.brow_weight) * (1 - 0.7 * u),
        )
        slope = np.interp(u, [0, 0.25, 1], [-1.1, -0.35, 0.4])
        canvas.drawLine(x, y, x + 9, y + 9 * slope, paint(who.brows[1], 0.55, stroke=1.3 * who.brow_weight))


def mouth(canvas: skia.Canvas, who: Sitter) -> None:
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
    canvas.save()
    canvas.translate(AXIS * (1 - who.lip_width), 530 * (1 - who.lip_height))
    canvas.scale(who.lip_width, who.lip_height)
    oval(canvas, 600, 562, 32, 6, paint(who.deep, 0.45, blur=5))
    canvas.drawPath(
        lower, linear((600, 527), (600, 556), (who.lips[2], 1), (who.lips[1], 1), (who.lips[1], 1), (who.lips[0], 1))
    )
    canvas.drawPath(upper, linear((600, 510), (600, 532), (who.lips[1], 1), (who.lips[0], 1), (who.lips[2], 1)))
    with inside(canvas, lower):
        oval(canvas, 590, 540, 20, 4.5, paint(who.gloss, 0.65, blur=3.2))
        oval(canvas, 622, 540, 9, 3, paint(who.gloss, 0.35, blur=2.5))
        for k in range(-7, 8):
            canvas.drawLine(600 + 5.6 * k, 533, 600 + 6.2 * k, 551, paint(who.lips[2], 0.10, stroke=1.2))
    with inside(canvas, upper):
        canvas.drawPath(
            curve((570, 517), (589, 512), (600, 515.5), (611, 512), (630, 517), closed=False),
            paint(who.gloss, 0.45, stroke=2, blur=1),
        )
    line = curve(
        (542, 523),
        (552, 525.5),
        (568, 527.5),
        (587, 530),
        (600, 532),
        (613, 530),
        (632, 527.5),
        (648, 525.5),
        (658, 523),
        closed=False,
    )
    canvas.drawPath(line, paint(who.lips[2], 0.95, stroke=2.4, blur=0.4))
    canvas.restore()
    both(canvas, lambda c: oval(c, 659, 522, 5, 4, paint(who.shade, 0.55, blur=4)))
    both(
        canvas,
        lambda c: c.drawPath(
            curve((646, 470), (667, 486), (675, 508), closed=False), paint(who.shade, 0.42, stroke=5, blur=4)
        ),
    )
    canvas.drawPath(curve((594, 486), (595, 504), (605, 504), (606, 486)), paint(who.shade, 0.32, blur=3))
