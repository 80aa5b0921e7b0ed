"""Hair and beards of illustrated people."""

from __future__ import annotations

import numpy as np
import skia
from brushes import both, curve, inside, linear, mirrored, paint
from features import Sitter


def hung(who: Sitter, *points: tuple) -> list[tuple]:
    """Return the points of a bob, lengthened to this person's hair."""
    return [(x, y + who.hair_drop * max(0.0, y - 380), *rest) for x, y, *rest in points]


def bob_behind(canvas: skia.Canvas, who: Sitter, _rng: np.random.Generator) -> None:
    shape = curve(*hung(who,
        (600, 84), (692, 100), (765, 168), (800, 270), (806, 380), (812, 470), (797, 566), (744, 610), (690, 596),
        (510, 596), (456, 610), (403, 566), (388, 470), (394, 380), (400, 270), (435, 168), (508, 100),
    ))  # fmt: skip
    canvas.drawPath(shape, linear((600, 90), (600, 620), (who.hair[1], 1), (who.hair[2], 1), (who.hair[2], 1)))
    with inside(canvas, shape):
        for k in range(13):
            x = 755 + 5.0 * k

            def lock(c: skia.Canvas, x: float = x, k: int = k) -> None:
                path = curve(*hung(who, (x - 20, 330), (x, 430), (x - 4 - k, 520), (x - 34 - 2 * k, 610)), closed=False)
                c.drawPath(
                    path,
                    paint(who.hair[0] if k % 3 == 0 else who.hair[1], 0.35, stroke=2.2 if k % 3 else 3.5, blur=0.6),
                )

            both(canvas, lock)


def bob_before(canvas: skia.Canvas, who: Sitter, rng: np.random.Generator) -> None:
    """A side part: a large sweep over the forehead, a smaller one on the other side."""
    sweep = curve(*hung(who,
        (554, 92, 1), (630, 82), (712, 112), (774, 196), (796, 300), (804, 400), (808, 500), (792, 570), (756, 606),
        (738, 588),
        (752, 540), (756, 460), (748, 390), (742, 330), (722, 276), (672, 236), (612, 210), (566, 176),
    ))  # fmt: skip
    small = curve(*hung(who,
        (558, 92, 1), (492, 104), (430, 182), (404, 290), (396, 390), (392, 500), (408, 570), (444, 606), (462, 588),
        (448, 540), (444, 460), (452, 390), (456, 330), (470, 276), (504, 228), (540, 186),
    ))  # fmt: skip
    with inside(canvas, who.face):
        canvas.save()
        canvas.translate(6, 16)
        canvas.drawPath(sweep, paint(who.deep, 0.50, blur=11))
        canvas.drawPath(small, paint(who.deep, 0.40, blur=11))
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
        canvas.drawPath(
            shape, linear((600, 100), (600 + 190 * side, 560), (who.hair[1], 1), (who.hair[1], 1), (who.hair[2], 1))
        )
        with inside(canvas, shape):
            outer_at, inner_at = (np.array(hung(who, *line), float) for line in (outer, inner))
            for _ in range(150):
                u = rng.uniform(0, 1)
                path = [tuple(p) for p in outer_at * (1 - u) + inner_at * u + rng.normal(0, 2.5, (6, 2))]
                tone, strength = [(who.hair[0], 0.22), (who.hair[2], 0.42), (who.hair[1], 0.5)][rng.integers(3)]
                canvas.drawPath(
                    curve(*path, closed=False), paint(tone, strength, stroke=rng.uniform(1.0, 4.5), blur=0.7)
                )
            for u, strength in ((0.22, 0.55), (0.34, 0.40), (0.62, 0.35)):
                band = outer_at * (1 - u) + inner_at * u
                canvas.drawPath(
                    curve(*[tuple(p) for p in band[1:4]], closed=False),
                    paint(who.hair_gloss, strength, stroke=9, blur=7),
                )
            canvas.drawPath(shape, paint(who.hair[2], 0.55, stroke=7, blur=4))


def top_knot(canvas: skia.Canvas, who: Sitter, _rng: np.random.Generator, *, front: bool) -> None:
    """Hair in a knot on top of the head, with a lock in front of each ear."""
    rng = np.random.default_rng(3)
    light, middle, dark = who.hair
    if not front:
        canvas.drawPath(
            curve(*mirrored((600, 112), (690, 124), (752, 196), (768, 300), (764, 400), (740, 470), (600, 520))),
            paint(dark),
        )
        canvas.save()
        canvas.translate(0, 16)
        knot = curve((600, 32), (646, 42), (668, 78), (652, 118), (600, 132), (548, 118), (532, 78), (554, 42))
        canvas.drawPath(knot, linear((550, 40), (650, 130), (middle, 1), (middle, 1), (dark, 1)))
        with inside(canvas, knot):
            for _ in range(150):
                size, lean = rng.uniform(0.15, 1.0), rng.uniform(-0.5, 0.5)
                turn = rng.uniform(0, 2 * np.pi) + np.linspace(0, 1.9, 6)
                x, y = 600 + 66 * size * np.cos(turn), 82 + 48 * size * np.sin(turn + lean)
                tone = (light, middle, dark)[rng.integers(3)]
                canvas.drawPath(
                    curve(*zip(x, y, strict=True), closed=False), paint(tone, 0.5, stroke=rng.uniform(1.2, 4), blur=0.6)
                )
            canvas.drawPath(
                curve((548, 66), (580, 48), (620, 50), closed=False), paint(who.hair_gloss, 0.5, stroke=9, blur=7)
            )
        canvas.restore()
        return
    root = np.array(
        [
            (452, 392),
            (450, 340),
            (460, 284),
            (486, 238),
            (528, 206),
            (572, 192),
            (628, 192),
            (672, 206),
            (714, 238),
            (740, 284),
            (750, 340),
            (748, 392),
        ]
    )
    tip = np.array(
        [
            (438, 400),
            (430, 320),
            (436, 234),
            (466, 164),
            (516, 120),
            (568, 104),
            (632, 104),
            (684, 120),
            (734, 164),
            (764, 234),
            (770, 320),
            (762, 400),
        ]
    )
    shape = curve(*(tuple(p) for p in root), *(tuple(p) for p in tip[::-1]))
    with inside(canvas, who.face):
        canvas.save()
        canvas.translate(3, 12)
        canvas.drawPath(shape, paint(who.deep, 0.45, blur=10))
        canvas.restore()
    canvas.drawPath(shape, linear((470, 120), (760, 400), (middle, 1), (middle, 1), (dark, 1)))
    crown = np.array([600.0, 108.0])
    with inside(canvas, shape):
        for _ in range(420):
            at = rng.uniform(0, len(root) - 1)
            start, over = (
                np.array([np.interp(at, np.arange(len(root)), side[:, axis]) for axis in range(2)])
                for side in (root, tip)
            )
            first = start + (over - start) * rng.uniform(-0.05, 0.7)
            last = crown + (over - crown) * rng.uniform(0.1, 0.5)
            bend = (first + last) / 2 + (over - (first + last) / 2) * 0.45
            tone, strength = [(light, 0.30), (dark, 0.42), (middle, 0.5)][rng.integers(3)]
            canvas.drawPath(
                curve(tuple(first), tuple(bend), tuple(last), closed=False),
                paint(tone, strength, stroke=rng.uniform(1.0, 4.0), blur=0.6),
            )
        canvas.drawPath(
            curve((462, 240), (500, 172), (566, 136), closed=False), paint(who.hair_gloss, 0.42, stroke=12, blur=9)
        )
        canvas.drawPath(
            curve((700, 158), (736, 206), (752, 270), closed=False), paint(who.hair_gloss, 0.28, stroke=10, blur=9)
        )

    def lock(c: skia.Canvas) -> None:
        for k in range(7):
            path = curve((744 + k, 350), (757 + k, 410), (752 + 0.8 * k, 470), (760 + k, 530 - 6 * k), closed=False)
            c.drawPath(path, paint((light, middle, dark, middle)[k % 4], 0.9, stroke=2.4, blur=0.4))

    both(canvas, lock)


def afro(canvas: skia.Canvas, who: Sitter, _rng: np.random.Generator, *, front: bool) -> None:
    """A round cloud of curls behind the face, and in front of it along the forehead."""
    rng = np.random.default_rng(12 + front)
    turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    wobble = 1 + 0.012 * np.sin(5 * turn + 1) + 0.010 * np.sin(9 * turn)
    cloud = [(600 + 238 * w * np.cos(t), 304 + 222 * w * np.sin(t)) for t, w in zip(turn, wobble, strict=True)]
    light, middle, dark = who.hair
    if not front:
        canvas.drawPath(curve(*cloud), linear((460, 110), (760, 520), (middle, 1), (dark, 1), (dark, 1)))
    hairline = [
        (462, 372),
        (460, 318),
        (474, 268),
        (510, 232),
        (556, 214),
        (600, 210),
        (644, 214),
        (690, 232),
        (726, 268),
        (740, 318),
        (738, 372),
    ]
    line = np.array(hairline, float)
    if front:
        shade = curve(*hairline, (770, 330), (720, 180), (600, 150), (480, 180), (430, 330))
        with inside(canvas, who.face):
            canvas.save()
            canvas.translate(4, 14)
            canvas.drawPath(shade, paint(who.deep, 0.55, blur=10))
            canvas.restore()
        canvas.drawPath(shade, paint(dark, 1.0, blur=2.5))
    for _ in range(2600 if not front else 1500):
        if front:
            at = rng.uniform(0, len(line) - 1)
            x, y = (np.interp(at, np.arange(len(line)), line[:, axis]) for axis in range(2))
            away = abs(rng.normal(0, 1)) * 34 - 5
            out = np.array([x - 600, (y - 420)])
            x, y = np.array([x, y]) + out / np.linalg.norm(out) * away
        else:
            t, r = rng.uniform(0, 2 * np.pi), np.sqrt(rng.uniform(0.12, 1.045))
            x, y = 600 + 238 * r * np.cos(t), 304 + 222 * r * np.sin(t)
        lit = np.clip(0.55 - (x - 560) / 520 - (y - 260) / 420, 0, 1)
        tone, strength = (
            (light, 0.20 + 0.55 * lit)
            if rng.uniform() < 0.30 + 0.35 * lit
            else (dark if rng.uniform() < 0.5 else middle, 0.75)
        )
        curl(canvas, x, y, rng.uniform(3.5, 8.5), rng, paint(tone, strength, stroke=rng.uniform(1.4, 3.2)))


def curl(canvas: skia.Canvas, x: float, y: float, size: float, rng: np.random.Generator, brush: skia.Paint) -> None:
    start = rng.uniform(0, 2 * np.pi)
    turn = start + rng.choice([-1, 1]) * np.linspace(0, 4.6, 7)
    wide = size * np.linspace(1, 0.55, 7)
    canvas.drawPath(
        curve(*zip(x + wide * np.cos(turn), y + 0.85 * wide * np.sin(turn), strict=True), closed=False), brush
    )


def combed_back(canvas: skia.Canvas, who: Sitter, _rng: np.random.Generator) -> None:
    """Short hair combed up and back from a high hairline, thin at the temples."""
    rng = np.random.default_rng(4)
    light, middle, dark = who.hair
    root = np.array(
        [
            (450, 400),
            (451, 350),
            (458, 292),
            (478, 244),
            (520, 206),
            (572, 190),
            (628, 188),
            (680, 204),
            (722, 242),
            (742, 290),
            (749, 350),
            (750, 400),
        ]
    )
    tip = np.array(
        [
            (438, 396),
            (428, 330),
            (424, 250),
            (446, 168),
            (500, 112),
            (572, 84),
            (650, 84),
            (716, 118),
            (762, 178),
            (778, 256),
            (772, 334),
            (762, 396),
        ]
    )
    shape = curve(*(tuple(p) for p in root), *(tuple(p) for p in tip[::-1]))
    with inside(canvas, who.face):
        canvas.save()
        canvas.translate(2, 10)
        canvas.drawPath(shape, paint(who.deep, 0.35, blur=10))
        canvas.restore()
    canvas.drawPath(shape, paint(middle, 1.0, blur=3))
    canvas.drawPath(shape, linear((470, 110), (760, 380), (light, 1), (middle, 1), (dark, 1)))
    places = np.arange(len(root))
    for k in range(900):
        at = rng.uniform(0, len(root) - 1)
        start, end = (np.array([np.interp(at, places, side[:, axis]) for axis in range(2)]) for side in (root, tip))
        lean = np.array([-13 * np.sin(np.pi * at / (len(root) - 1)) + 8 * np.sin(at * 4.1), 0])
        u, v = rng.uniform(-0.05, 0.45), rng.uniform(0.60, 0.99)
        middle_point = (start + end) / 2 + lean + rng.normal(0, 4, 2)
        first, last = start + (end - start) * u, start + (end - start) * v + lean * 0.25 + rng.normal(0, 1.5, 2)
        lit = np.clip(0.7 - (first[0] - 500) / 420, 0, 1)
        tone = dark if rng.uniform() < 0.42 - 0.25 * lit else (light if rng.uniform() < 0.3 + 0.5 * lit else middle)
        canvas.drawPath(
            curve(tuple(first), tuple(middle_point), tuple(last), closed=False),
            paint(tone, 0.55 if k % 5 else 0.8, stroke=rng.uniform(1.0, 3.4), blur=0.4),
        )


def beard(canvas: skia.Canvas, who: Sitter, _rng: np.random.Generator) -> None:
    """A short full beard; the lips and the skin around them stay bare."""
    rng = np.random.default_rng(6)
    light, middle, dark = who.hair
    shape = curve(
        *mirrored(
            (600, 483),
            (640, 488),
            (672, 512),
            (694, 500),
            (722, 456),
            (742, 392),
            (758, 392),
            (757, 470),
            (737, 548),
            (690, 612),
            (640, 636),
            (600, 640),
        )
    )
    bare = curve(*mirrored((600, 506), (634, 510), (664, 522), (660, 540), (634, 558), (600, 560)))
    shape.addPath(bare)
    shape.setFillType(skia.PathFillType.kEvenOdd)
    canvas.drawPath(shape, paint(who.deep, 0.30, blur=9))
    canvas.drawPath(shape, paint(middle, 0.9, blur=4))
    for k in range(2600):
        x, y = 600 + rng.uniform(-160, 160), rng.uniform(380, 642)
        if not shape.contains(x, y):
            continue
        out = (x - 600) / 160
        angle = np.pi / 2 - 0.55 * out if y > 512 else np.pi / 2 - 1.05 * np.sign(out) * min(1, 0.35 + abs(out) * 2.2)
        if abs(out) > 0.68 and y < 520:
            angle = np.pi / 2 - 0.12 * out
        angle += rng.normal(0, 0.22)
        long = rng.uniform(9, 20) * (0.6 if y < 510 else 1.0)
        end = (x + long * np.cos(angle), y + long * np.sin(angle))
        if bare.contains(*end):
            continue
        bend = (x + 0.5 * long * np.cos(angle + 0.3), y + 0.5 * long * np.sin(angle + 0.3))
        lit = np.clip(0.6 - (x - 540) / 330 - max(0, y - 590) / 90, 0, 1)
        tone = dark if rng.uniform() < 0.50 - 0.32 * lit else (light if rng.uniform() < 0.30 + 0.5 * lit else middle)
        canvas.drawPath(
            curve((x, y), bend, end, closed=False),
            paint(tone, 0.6 if k % 4 else 0.85, stroke=rng.uniform(0.9, 2.4), blur=0.3),
        )
    canvas.drawPath(curve((580, 574), (600, 569), (620, 574), (612, 590), (588, 590)), paint(dark, 0.35, blur=5))
