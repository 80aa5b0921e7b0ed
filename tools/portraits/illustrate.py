"""Draw the illustrated people: shapes, gradients and soft shadows, no 3D. One command, from the repository root: see
README.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import skia
from brushes import AXIS, HEIGHT_PX, WIDTH_PX, both, curve, inside, leaf, linear, mirrored, oval, paint
from features import BROAD_FACE, Sitter, brow, ear, eye, face, mouth
from hairdos import afro, beard, bob_before, bob_behind, combed_back, top_knot
from PIL import Image

OVERSAMPLING = 2
OUTPUT = Path(__file__).parents[2] / "src" / "visavis" / "library" / "portraits"
Draw = Callable[[skia.Canvas, Sitter, np.random.Generator], None]

PIP = Sitter(
    shine="#f6c79c",
    light="#e0a273",
    skin="#c98658",
    shade="#a9633f",
    deep="#7d4029",
    blush="#d4603f",
    lips=("#a34a3f", "#c2645a", "#5e2320"),
    gloss="#ffd9c4",
    iris=("#d9a13c", "#8a5a20", "#5b3313", "#2a140a"),
    line="#3b1b16",
    brows=("#2a2220", "#1c1716"),
    hair=("#4fa39c", "#1f5d63", "#0f3339"),
    cloth=("#ffd477", "#f0b94a", "#c98a26", "#8a5414"),
    sky=("#f3c9b0", "#e8a48c", "#cf7f78"),
    glow="#fff0dc",
    leaves=("#9c4f58", "#b5636a", "#8a424f"),
    freckles=64,
)
PIP_EVENING = replace(
    PIP,
    cloth=("#b98fd6", "#7f55a8", "#533277", "#2d1748"),
    sky=("#4a4483", "#352f68", "#211d49"),
    glow="#a98bd0",
    leaves=("#2b3a66", "#3a4a7c", "#232f58"),
)
IRIS = Sitter(
    shine="#fff0e0",
    light="#fbd8bf",
    skin="#efbd9f",
    shade="#cf8f72",
    deep="#97583f",
    blush="#e0735f",
    lips=("#b4524f", "#cf7470", "#6d2826"),
    gloss="#ffe6dc",
    iris=("#c2b25c", "#7f9a68", "#4d7260", "#263c36"),
    line="#2f1a14",
    brows=("#5a3a28", "#472c1e"),
    hair=("#a8703f", "#6d4024", "#3a2013"),
    hair_gloss="#e0aa6e",
    hair_drop=0.42,
    cloth=("#4f9a9c", "#2c7479", "#1a4f56", "#0c2f35"),
    sky=("#dfe6e6", "#b4c2c4", "#87999e"),
    glow="#fbfaf4",
    leaves=("#6f8f8c", "#86a5a0", "#5d7d7c"),
    freckles=26,
    earrings=False,
)
AMARA = Sitter(
    shine="#d39a6d",
    light="#a0633f",
    skin="#80472a",
    shade="#5c2d1a",
    deep="#35160d",
    blush="#a8402e",
    lips=("#7c3034", "#a54c4a", "#310e0e"),
    gloss="#ffc3ad",
    iris=("#8a5426", "#5a3014", "#33180b", "#180a05"),
    line="#150a08",
    brows=("#170d0b", "#0d0706"),
    hair=("#6b4a3c", "#2e1d19", "#150c0b"),
    cloth=("#ffb199", "#f2765f", "#c24a40", "#7d2a26"),
    sky=("#a9d8cb", "#5fa8a3", "#31707a"),
    glow="#e6f7e6",
    leaves=("#1f5a5f", "#2d7472", "#174a52"),
    lip_height=1.14,
    lip_width=1.04,
    nose_width=1.12,
    brow_weight=1.05,
    blush_strength=0.8,
)
TOMAS = Sitter(
    shine="#ffe2c6",
    light="#f2c7a4",
    skin="#dfa682",
    shade="#bb7c5c",
    deep="#84492f",
    blush="#d56a50",
    lips=("#a9605a", "#c47f76", "#5f2a26"),
    gloss="#ffe0d2",
    iris=("#9fc4d8", "#5f8fae", "#37617f", "#1b3346"),
    line="#3d2a25",
    brows=("#8d8682", "#6d6764"),
    hair=("#ffffff", "#d9dde1", "#98a0a9"),
    cloth=("#4c6c93", "#33507a", "#20365a", "#101f3a"),
    sky=("#dbe2cd", "#a9bb9f", "#728f80"),
    glow="#fbf6e2",
    leaves=("#55705a", "#6f8a6b", "#46604f"),
    outline=BROAD_FACE,
    age=0.8,
    liner=0.55,
    wings=False,
    lip_height=0.85,
    nose_width=1.12,
    brow_weight=1.35,
    blush_strength=1.15,
    earrings=False,
)


def background(canvas: skia.Canvas, who: Sitter, rng: np.random.Generator) -> None:
    canvas.drawPaint(linear((0, 0), (1200, 900), *((tone, 1) for tone in who.sky)))
    oval(canvas, 600, 400, 330, 330, paint(who.glow, 0.85, blur=85))  # soft, because the head in front of it will move
    first, second, third = who.leaves
    for x, y, size, turn, tone in (
        (60, 890, 320, -68, first),
        (150, 950, 290, -96, second),
        (-10, 800, 250, -40, third),
        (1145, 890, 320, -112, first),
        (1050, 950, 280, -86, second),
        (1215, 790, 250, -140, third),
    ):
        leaf(canvas, x, y, size, turn, tone, who.sky[0])
    for _ in range(26):
        x, y = rng.uniform(0, 1200), rng.uniform(0, 620)
        if abs(x - 600) > 390:
            oval(canvas, x, y, *(2 * [2.5 + 3 * rng.uniform()]), paint(who.glow, 0.45))


def neck(canvas: skia.Canvas, who: Sitter, wide: float = 0.0) -> None:
    shape = curve(
        (536 - wide, 520), (664 + wide, 520), (666 + wide, 620), (690 + wide, 700), (510 - wide, 700), (534 - wide, 620)
    )
    canvas.drawPath(shape, linear((520, 540), (690, 700), (who.skin, 1), (who.shade, 1)))
    with inside(canvas, shape):
        shadow = curve((470, 500), (730, 500), (716, 585), (668, 640), (612, 662), (560, 652), (512, 612), (480, 570))
        canvas.drawPath(shadow, paint(who.deep, 0.62, blur=9))
        canvas.drawPath(
            curve((672, 560), (700, 560), (760, 720), (668, 700), (656, 640)), paint(who.deep, 0.35, blur=10)
        )


def jumper(canvas: skia.Canvas, who: Sitter, broad: float = 1.0) -> None:
    light, cloth, dark, deep = who.cloth
    half = ((600, 690), (680, 668), (742, 692), (830, 722), (905, 764), (952, 830), (985, 960, 1), (600, 960))
    shape = curve(*mirrored(*((AXIS + broad * (x - AXIS), *rest) for x, *rest in half)))
    canvas.drawPath(shape, linear((380, 660), (860, 930), (light, 1), (cloth, 1), (dark, 1)))

    def sleeve(c: skia.Canvas) -> None:
        c.drawPath(
            curve((872, 960), (856, 870), (872, 800), (884, 780), closed=False), paint(dark, 0.75, stroke=5, blur=1.5)
        )
        c.drawPath(curve((862, 960), (846, 870), (862, 800), closed=False), paint(dark, 0.35, stroke=26, blur=12))

    with inside(canvas, shape):
        both(canvas, sleeve)
        for k in range(-27, 28):
            x = 600 + 15 * k
            path = curve((600 + 9.0 * k, 700), (x + 0.4 * k, 800), (x + 0.8 * k, 960), closed=False)
            canvas.drawPath(path, paint(dark, 0.20, stroke=3, blur=0.8))
        oval(canvas, 600, 700, 190, 62, paint(deep, 0.40, blur=22))


def roll_neck(canvas: skia.Canvas, who: Sitter, _rng: np.random.Generator) -> None:
    light, cloth, dark, deep = who.cloth
    jumper(canvas, who)
    neck(canvas, who)
    collar = curve(
        *mirrored((600, 664), (650, 656), (690, 634), (708, 640), (724, 690), (690, 722), (640, 742), (600, 746))
    )
    canvas.drawPath(collar, linear((490, 640), (730, 750), (light, 1), (cloth, 1), (dark, 1)))
    with inside(canvas, collar):
        for k in range(-13, 14):
            path = curve((600 + 8.0 * k, 620), (600 + 8.9 * k, 760), closed=False)
            canvas.drawPath(path, paint(dark, 0.38, stroke=3.2, blur=0.7))
        canvas.drawPath(
            curve((490, 636), (540, 662), (600, 670), (660, 662), (710, 636), closed=False),
            paint(deep, 0.45, stroke=10, blur=5),
        )
    canvas.drawPath(
        curve((492, 640), (540, 658), (600, 665), (660, 658), (708, 640), closed=False),
        paint(light, 0.65, stroke=3, blur=0.8),
    )


def round_neck(canvas: skia.Canvas, who: Sitter, _rng: np.random.Generator) -> None:
    """A wide neckline below bare collarbones."""
    light, cloth, _, deep = who.cloth
    jumper(canvas, who)
    chest = curve(
        *mirrored((600, 640), (640, 640), (664, 676), (716, 690), (760, 696), (742, 742), (690, 782), (600, 800))
    )
    canvas.drawPath(chest, linear((500, 640), (700, 800), (who.skin, 1), (who.shade, 1)))
    with inside(canvas, chest):

        def bone(c: skia.Canvas) -> None:
            c.drawPath(
                curve((616, 706), (650, 700), (700, 690), (760, 684), closed=False),
                paint(who.deep, 0.40, stroke=6, blur=4),
            )
            c.drawPath(
                curve((622, 698), (660, 691), (720, 680), closed=False), paint(who.shine, 0.40, stroke=6, blur=4)
            )

        both(canvas, bone)
        oval(canvas, 600, 726, 16, 22, paint(who.deep, 0.35, blur=8))
    neck(canvas, who)
    edge = curve((440, 692), (458, 742), (510, 782), (600, 800), (690, 782), (742, 742), (760, 692), closed=False)
    canvas.drawPath(edge, paint(deep, 0.50, stroke=24, blur=9))
    canvas.drawPath(edge, paint(cloth, 1.0, stroke=21))
    canvas.drawPath(edge, paint(light, 0.7, stroke=3, blur=0.8))
    chain = curve((524, 690), (552, 738), (600, 758), (648, 738), (676, 690), closed=False)
    canvas.drawPath(chain, paint(who.deep, 0.4, stroke=4, blur=2))
    canvas.drawPath(chain, paint("#f0c860", 1.0, stroke=2.6))
    oval(canvas, 600, 764, 8, 8, paint("#f0c860"))
    oval(canvas, 598, 762, 3, 3, paint("#fff6d0"))


def jumper_and_shirt(canvas: skia.Canvas, who: Sitter, _rng: np.random.Generator) -> None:
    light, cloth, _, deep = who.cloth
    jumper(canvas, who, 1.10)
    neck(canvas, who, 16)
    canvas.drawPath(
        curve(*mirrored((600, 716), (640, 690), (672, 700), (668, 740), (640, 770), (600, 784))), paint("#e9ecef")
    )
    canvas.drawPath(
        curve((556, 690, 1), (600, 700), (644, 690, 1), (622, 722), (600, 738, 1), (578, 722)), paint(who.shade)
    )
    canvas.drawLine(600, 738, 600, 784, paint("#9aa6b2", 0.7, stroke=1.8))
    edge = curve((488, 664), (516, 730), (562, 772), (600, 782), (638, 772), (684, 730), (712, 664), closed=False)
    canvas.drawPath(edge, paint(deep, 0.45, stroke=26, blur=8))
    canvas.drawPath(edge, paint(cloth, 1.0, stroke=20))
    canvas.drawPath(edge, paint(light, 0.6, stroke=3, blur=0.9))

    def wing(c: skia.Canvas) -> None:
        shape = curve(
            (700, 628, 1), (714, 650), (716, 690), (690, 748, 1), (650, 738), (612, 714, 1), (646, 690), (680, 656)
        )
        c.drawPath(shape, paint(deep, 0.40, blur=7))
        c.drawPath(shape, linear((620, 640), (710, 750), ("#ffffff", 1), ("#dfe5ea", 1), ("#b9c3cd", 1)))
        c.drawPath(
            curve((706, 656), (706, 690), (686, 740), (650, 731), (622, 714), closed=False),
            paint("#9aa6b2", 0.6, stroke=1.6),
        )

    both(canvas, wing)


def lights_in_eyes(canvas: skia.Canvas) -> None:
    """Draw the highlights of the eyes: not mirrored, because the lamp is on the left of both."""
    for x in (535, 665):
        oval(canvas, x - 6.5, 371, 5.2, 5.2, paint("#ffffff", 0.95, blur=0.5))
        oval(canvas, x + 7, 388, 2.6, 2.6, paint("#ffffff", 0.55, blur=0.6))


PEOPLE: dict[str, tuple[Sitter, list[Draw], list[Draw]]] = {  # person, parts behind the face, parts in front
    "pip": (PIP, [bob_behind, roll_neck], [bob_before]),
    "pip-evening": (
        PIP_EVENING,
        [lambda c, w, r: top_knot(c, w, r, front=False), round_neck],
        [lambda c, w, r: top_knot(c, w, r, front=True)],
    ),
    "iris-illustrated": (IRIS, [bob_behind, roll_neck], [bob_before]),
    "amara": (
        AMARA,
        [lambda c, w, r: afro(c, w, r, front=False), round_neck],
        [lambda c, w, r: afro(c, w, r, front=True)],
    ),
    "tomas": (TOMAS, [jumper_and_shirt], [beard, combed_back]),
}


def draw(name: str) -> Image.Image:
    who, behind, before = PEOPLE[name]
    rng = np.random.default_rng(5)
    surface = skia.Surface(WIDTH_PX * OVERSAMPLING, HEIGHT_PX * OVERSAMPLING)
    with surface as canvas:
        canvas.scale(OVERSAMPLING, OVERSAMPLING)
        background(canvas, who, rng)
        for part in behind:
            part(canvas, who, rng)
        both(canvas, lambda c: ear(c, who))
        face(canvas, who, rng)
        both(canvas, lambda c: eye(c, who))
        lights_in_eyes(canvas)
        both(canvas, lambda c: brow(c, who, np.random.default_rng(8)))
        if name == "tomas":  # the mouth is drawn over the beard
            before[0](canvas, who, rng)
        mouth(canvas, who)
        for part in before[1:] if name == "tomas" else before:
            part(canvas, who, rng)
    pixels = surface.makeImageSnapshot().toarray(colorType=skia.kRGBA_8888_ColorType)[..., :3]
    image = Image.fromarray(pixels).resize((WIDTH_PX, HEIGHT_PX), Image.Resampling.LANCZOS)
    grained = np.asarray(image, np.float64) + rng.normal(0, 2.2, (HEIGHT_PX, WIDTH_PX, 1))  # the grain of paper
    return Image.fromarray(np.clip(grained + 0.5, 0, 255).astype(np.uint8))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("names", nargs="*", default=list(PEOPLE), help="people to draw (default: all)")
    arguments.add_argument("--output", type=Path, default=OUTPUT)
    options = arguments.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    for name in options.names:
        draw(name).save(options.output / f"{name}.jpg", quality=88, optimize=True, subsampling=0)


if __name__ == "__main__":
    main()
