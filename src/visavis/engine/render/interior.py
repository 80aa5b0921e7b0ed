"""The inside of a mouth: cavity, tongue and teeth, drawn once for a face and a size, in the light of that face.

Where no source is named, shapes and colours were set by eye on rendered faces. Lengths are eye distances.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.colour import to_yuv
from visavis.engine.landmarks import (
    CHEEK_LEFT,
    CHEEK_RIGHT,
    EYE_LEFT,
    EYE_RIGHT,
    INNER_UPPER,
    OUTER_LOWER,
    OUTER_UPPER,
    FaceGeometry,
    smoothstep,
)
from visavis.engine.pack.avatar_pack import AvatarPack
from visavis.engine.pixels import square_around

Array = NDArray[np.float32]

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # BT.601
# Teeth from the middle outwards, as seen from the front, in eye distances (about 90 mm): from Wheeler's Dental Anatomy,
# foreshortened along the arch.
UPPER_WIDTHS = (0.092, 0.070, 0.064, 0.050, 0.040)
UPPER_HEIGHTS = (0.115, 0.102, 0.108, 0.090, 0.080)
LOWER_WIDTHS = (0.058, 0.062, 0.062, 0.052, 0.042)
LOWER_HEIGHTS = (0.095, 0.095, 0.098, 0.085, 0.080)
# How far the biting edge of each tooth stands back from that of its neighbour.
UPPER_STEPS = (0.0, 0.007, -0.001, 0.011, 0.012)
LOWER_STEPS = (0.0, 0.0, 0.002, 0.008, 0.008)
TOOTH_LIGHT = (1.0, 0.97, 0.91, 0.76, 0.58)  # of each tooth: the further back, the darker
CANINE = 2  # the pointed tooth
# How far the biting edges of closed jaws lie beyond the seam: the upper one below it, the lower one above it.
UPPER_EDGE, LOWER_EDGE = 0.038, 0.010
# The photo's own teeth: the drawn row ends a little above them, within these bounds.
OWN_EDGE_INSET, OWN_EDGE_LEAST, OWN_EDGE_MOST = 0.012, 0.03, 0.06
OWN_OPAQUE, OWN_BRIGHT_PERCENTILE = 200, 55  # which of their px tell their colour

# Colours, RGB 0 to 255, or factors for the colour of a lip.
ENAMEL = (246, 240, 228)
ENAMEL_LUMA, ENAMEL_LEAST, ENAMEL_MOST = 225.0, 0.35, 1.05  # the luma of ENAMEL; bounds of the light on it
ENAMEL_OVER_SKIN = 1.05  # teeth are at least this much lighter than the cheeks
SKIN_TINT = 0.36  # exponent: how strongly the colour of the skin tells the colour of the light
LOWER_TEETH_LIGHT = 0.86
GUM = (0.86, 0.72, 0.74)
LIP_INNER_UPPER, LIP_INNER_LOWER = (0.62, 0.49, 0.51), (0.86, 0.72, 0.73)
CHEEK_REACH = 0.06  # half the side of the squares that tell the colour of the cheeks
CHEEK_USUAL, WARM_LEAST, WARM_MOST = 170.0, 0.5, 1.1  # the mean of bright cheeks; bounds of the light in the cavity
WHITE_PERCENTILE, WHITE_GAIN, WHITE_USUAL = 88, 1.04, 190.0  # how bright white is, read from the whites of the eyes
WHITE_LEAST, WHITE_MOST = 110.0, 235.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """A small picture with its own opacity.

    `yuva`: float32 (h, w, 4), premultiplied, opacity 0 to 1; the rim of every patch but the cavity is transparent.
    `anchor`: the px of the patch that is put at its place in the mouth.
    """

    yuva: Array
    anchor: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interior:
    """The parts of a mouth. `cavity` and the `upper` teeth stay with the skull; the `lower` teeth and the `tongue` move
    with the jaw. All are anchored at the middle of the seam.

    `tip`: the tip of the tongue between the teeth; its anchor lies at the edge of the upper teeth. `lip_upper`,
    `lip_lower`: the colours of the inner sides of the lips, Y, U, V.
    """

    cavity: Patch
    upper: Patch
    lower: Patch
    tongue: Patch
    tip: Patch
    lip_upper: Array
    lip_lower: Array


def lip_colours(picture: NDArray[np.uint8], face: FaceGeometry) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the mean colours of the upper and of the lower lip of a neutral picture, RGB, float32 (3,) each."""
    p = face.landmarks[:, :2]
    means = []
    for outer in (OUTER_UPPER, OUTER_LOWER):
        ring = np.vstack([p[list(outer)], p[list(INNER_UPPER)][::-1]])
        mask = np.zeros(picture.shape[:2], np.uint8)
        cv2.fillPoly(mask, [np.round(ring).astype(np.int32)], 255)
        means.append(np.array(cv2.mean(picture, mask)[:3], np.float32))
    return means[0], means[1]


def draw_interior(face: FaceGeometry, pack: AvatarPack, lip_upper: Array, lip_lower: Array, unit_px: float) -> Interior:
    """Draw the inside of the mouth of `face` for an output with an eye distance of `unit_px`.

    `lip_upper`, `lip_lower`: the mean colours of the lips, RGB, float32 (3,).
    """
    picture = pack.picture
    reach_px = max(2, int(CHEEK_REACH * face.unit))
    left, right = (
        picture[square_around(picture, face.landmarks[cheek], reach_px)].reshape(-1, 3).mean(axis=0)
        for cheek in (CHEEK_LEFT, CHEEK_RIGHT)
    )
    cheeks = (left + right) / 2
    warm = float(np.clip(cheeks.mean() / CHEEK_USUAL, WARM_LEAST, WARM_MOST))
    edge = UPPER_EDGE
    if pack.teeth.size:
        enamel, lowest = _own_teeth(pack)
        edge = float(np.clip(lowest / face.unit - OWN_EDGE_INSET, OWN_EDGE_LEAST, OWN_EDGE_MOST))
    else:
        tint = (cheeks / max(float(cheeks.max()), 1.0)) ** SKIN_TINT
        white = max(_white(face, picture), ENAMEL_OVER_SKIN * float(cheeks @ _LUMA))
        brightness = min(max(white / ENAMEL_LUMA, ENAMEL_LEAST), ENAMEL_MOST)
        enamel = np.array(ENAMEL, np.float32) * brightness * tint
    enamel = enamel.astype(np.float32)
    gum = lip_upper * np.array(GUM, np.float32)
    upper = _teeth(unit_px, enamel, gum, UPPER_WIDTHS, UPPER_HEIGHTS, edge=edge, down=True)
    if pack.teeth.size:
        upper = _with_own_teeth(upper, pack, unit_px / face.unit, edge * unit_px)
    return Interior(
        cavity=_cavity(unit_px, lip_lower, warm),
        upper=upper,
        lower=_teeth(
            unit_px, enamel * LOWER_TEETH_LIGHT, gum, LOWER_WIDTHS, LOWER_HEIGHTS, edge=LOWER_EDGE, down=False
        ),
        tongue=_tongue(unit_px, lip_lower),
        tip=_tip(unit_px, lip_lower, edge),
        lip_upper=to_yuv(lip_upper * np.array(LIP_INNER_UPPER, np.float32)),
        lip_lower=to_yuv(lip_lower * np.array(LIP_INNER_LOWER, np.float32)),
    )


def _own_teeth(pack: AvatarPack) -> tuple[Array, float]:
    """Return the colour of the teeth in the photo, RGB, and how far below the seam they end, px of the pack's
    picture.
    """
    opaque = pack.teeth[..., 3] > OWN_OPAQUE
    colours = pack.teeth[opaque][:, :3].astype(np.float32)
    bright = colours[colours.mean(axis=1) >= np.percentile(colours.mean(axis=1), OWN_BRIGHT_PERCENTILE)]
    middle = opaque[:, opaque.shape[1] // 3 : -(opaque.shape[1] // 3)].any(axis=1)
    return bright.mean(axis=0), float(np.flatnonzero(middle)[-1] + 1 + pack.teeth_at[1]) if middle.any() else 0.0


def _with_own_teeth(upper: Patch, pack: AvatarPack, scale: float, edge_px: float) -> Patch:
    """Return the drawn teeth with the teeth of the photo over them; both end at the same height."""
    h, w = upper.yuva.shape[:2]
    alpha = pack.teeth[..., 3:].astype(np.float32) / 255.0
    own = np.dstack([to_yuv(pack.teeth[..., :3]) * alpha, alpha])
    _, lowest = _own_teeth(pack)
    x = upper.anchor[0] + pack.teeth_at[0] * scale
    y = upper.anchor[1] + pack.teeth_at[1] * scale + (edge_px - lowest * scale)
    matrix = np.array([[scale, 0, x + 0.5 * scale - 0.5], [0, scale, y + 0.5 * scale - 0.5]], np.float64)
    if scale < 0.75:  # against aliasing
        own = cv2.GaussianBlur(own, (0, 0), 0.45 / scale)
    laid = cv2.warpAffine(own, matrix, (w, h), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return Patch(yuva=(upper.yuva * (1.0 - laid[..., 3:]) + laid).astype(np.float32), anchor=upper.anchor)


def _white(face: FaceGeometry, picture: NDArray[np.uint8]) -> float:
    """Return the luma of white in the light of this face, from the brightest parts of its eyes."""
    found = []
    for eye in (EYE_LEFT, EYE_RIGHT):
        ring = np.vstack([face.landmarks[list(eye.upper), :2], face.landmarks[list(eye.lower)[::-1], :2]])
        mask = np.zeros(picture.shape[:2], np.uint8)
        cv2.fillPoly(mask, [np.round(ring).astype(np.int32)], 255)
        values = picture[mask > 0].astype(np.float32) @ _LUMA
        if len(values):
            found.append(float(np.percentile(values, WHITE_PERCENTILE)))
    return float(np.clip(max(found, default=WHITE_USUAL) * WHITE_GAIN, WHITE_LEAST, WHITE_MOST))


def _finish(rgb: Array, alpha: Array, anchor: tuple[float, float], unit_px: float, work: float, rim: int = 1) -> Patch:
    """Premultiply a patch and scale it from `work` px per eye distance down to `unit_px`. `rim`: transparent px around
    it.
    """
    yuva = np.dstack([to_yuv(rgb) * alpha[..., None], alpha]).astype(np.float32)
    s = unit_px / work
    size = (max(2, round(rgb.shape[1] * s)), max(2, round(rgb.shape[0] * s)))
    yuva = cv2.resize(yuva, size, interpolation=cv2.INTER_AREA)
    yuva = cv2.copyMakeBorder(yuva, rim, rim, rim, rim, cv2.BORDER_CONSTANT)
    return Patch(yuva=yuva, anchor=(anchor[0] * s + rim, anchor[1] * s + rim))


def _cavity(unit_px: float, lip: Array, warm: float) -> Patch:
    work = 64.0
    w, h = int(1.3 * work), int(1.1 * work)
    x, y = np.meshgrid((np.arange(w) - w / 2) / work, np.arange(h) / work - 0.25)
    deep = np.exp(-0.5 * ((x / 0.24) ** 2 + ((y - 0.12) / 0.17) ** 2))[..., None].astype(np.float32)
    wall = lip * np.array([0.46, 0.27, 0.28], np.float32) * warm
    dark = lip * np.array([0.24, 0.11, 0.115], np.float32) * warm + np.array([4, 1, 1], np.float32)
    rgb = wall + (dark - wall) * np.clip(deep * 1.15, 0, 1)
    return _finish(rgb.astype(np.float32), np.ones((h, w), np.float32), (w / 2, 0.25 * work), unit_px, work, rim=0)


def _tongue(unit_px: float, lip: Array) -> Patch:
    work = 160.0
    w, h = int(0.66 * work), int(0.5 * work)
    x, y = np.meshgrid((np.arange(w) + 0.5 - w / 2) / work, (np.arange(h) + 0.5) / work)
    top = 0.01 + 0.10 * (np.abs(x) / 0.29) ** 2.6
    deep = (y - top).astype(np.float32)  # below the upper edge. The back is dark and has no edge; the front is lit
    alpha = smoothstep(deep / 0.075) * smoothstep(((0.31 - np.abs(x)) / 0.06).astype(np.float32))
    shade = 0.36 + 0.60 * smoothstep((deep - 0.01) / 0.13) - 0.16 * (np.abs(x) / 0.29) ** 2
    # Two low ridges, and a soft furrow between them.
    shade += 0.07 * np.exp(-0.5 * (((np.abs(x) - 0.075) / 0.05) ** 2 + ((deep - 0.12) / 0.045) ** 2))
    shade -= 0.07 * np.exp(-0.5 * (x / 0.022) ** 2) * smoothstep(deep / 0.1)
    base = lip * np.array([0.88, 0.74, 0.78], np.float32)
    rgb = base * np.clip(shade, 0.25, 1.1)[..., None]
    return _finish(rgb.astype(np.float32), alpha.astype(np.float32), (w / 2, 0.0), unit_px, work)


def _tip(unit_px: float, lip: Array, edge: float) -> Patch:
    """Draw the tip of the tongue between the teeth: broad, round, lit from above. `edge`: how far the upper teeth end
    below the seam.
    """
    work = 200.0
    w, h = int(0.44 * work), int(0.22 * work)
    x, y = np.meshgrid((np.arange(w) + 0.5 - w / 2) / work, (np.arange(h) + 0.5) / work)
    across = np.abs(x) / 0.19
    deep = (y - 0.02 - 0.035 * across**2.4).astype(np.float32)  # below the upper edge, which curves down to the sides
    alpha = smoothstep(deep / 0.016) * smoothstep(((1.06 - across) / 0.22).astype(np.float32))
    # From the shadow of the teeth into the light, then darker towards the under side; and a wet highlight.
    shade = 0.70 + 0.40 * smoothstep(deep / 0.03) - 0.22 * smoothstep((deep - 0.05) / 0.08) - 0.2 * across**2
    shade += 0.05 * np.exp(-0.5 * (((x + 0.03) / 0.05) ** 2 + ((deep - 0.035) / 0.012) ** 2))
    rgb = lip * np.array([0.95, 0.78, 0.80], np.float32) * np.clip(shade, 0.3, 1.15)[..., None]
    return _finish(
        rgb.astype(np.float32), alpha.astype(np.float32), (w / 2, (0.02 - edge + 0.008) * work), unit_px, work
    )


def _teeth(
    unit_px: float,
    enamel: Array,
    gum: Array,
    widths: tuple[float, ...],
    heights: tuple[float, ...],
    *,
    edge: float,
    down: bool,
) -> Patch:
    """Draw a row of teeth: the upper row if `down`, else the lower row. `edge`: how far its biting edge lies beyond the
    seam.
    """
    work = 240.0
    half = sum(widths) + 0.02
    w, h = int(2 * half * work), int(0.24 * work)
    x, y = np.meshgrid((np.arange(w) + 0.5 - w / 2) / work, (np.arange(h) + 0.5) / work)
    bite = 0.20  # distance of the biting edge of the front teeth from the far side of the patch
    v = (y if down else (h / work - y)).astype(np.float32)  # from the gum towards the biting edge
    alpha = np.zeros_like(v)
    rgb = np.zeros((*v.shape, 3), np.float32)
    at = 0.0
    rise = 0.0
    for index, (width, height) in enumerate(zip(widths, heights, strict=True)):
        rise += UPPER_STEPS[index] if down else LOWER_STEPS[index]
        for side in (-1.0, 1.0):
            middle = side * (at + width / 2)
            u = ((x - middle) / (width / 2)).astype(np.float32)  # -1 to 1 across this tooth
            tip = (
                bite
                - rise
                - ((0.006 if down else 0.004) + (0.006 if index == CANINE and down else 0.0))
                * np.abs(u) ** (4.0 if index < 2 else 2.4)
            )
            neck = bite - rise - height
            narrow = 1.0 - 0.10 * smoothstep((tip - v - 0.3 * height) / (0.7 * height))
            inside = smoothstep((narrow - np.abs(u)) / 0.10 + 0.35) * smoothstep((tip - v) / 0.008 + 0.5)
            crown = smoothstep((v - neck - 0.014 * (1 - u * u) * -1.0) / 0.014)
            # Lit from the front and from above: a round crown, bluish and thin at the biting edge, warm at the neck.
            form = 1.0 - 0.10 * np.abs(u) ** 3.2 - 0.05 * (side * u > 0) * np.abs(u) ** 2
            length = np.clip((tip - v) / height, 0, 1)
            tone = (1.0 - 0.10 * smoothstep((length - 0.55) / 0.45))[..., None] * np.array([1.0, 1.0, 1.0], np.float32)
            tone = tone - length[..., None] * np.array([0.0, 0.02, 0.06], np.float32)
            tone = tone * (1 - 0.10 * smoothstep((0.10 - length) / 0.10))[..., None]
            depth = np.array([1.0, 1.0, 1.0], np.float32) * TOOTH_LIGHT[index]
            depth = depth ** np.array([1.0, 1.25, 1.5], np.float32)  # red skin colours the light further back
            tooth = enamel * tone * form[..., None] * depth
            colour = gum * depth * 0.8 + (tooth - gum * depth * 0.8) * crown[..., None]
            rgb = rgb * (1 - inside[..., None]) + colour * inside[..., None]
            alpha = np.maximum(alpha, inside)
        at += width
    # The gaps between teeth are shaded enamel, not holes.
    span = smoothstep(((at - np.abs(x)) / 0.02).astype(np.float32)) * smoothstep(
        (bite - 0.02 - v - rise * (np.abs(x) / at) ** 2) / 0.006
    )
    shade = (
        enamel
        * np.array([0.80, 0.70, 0.64], np.float32)
        * np.clip(1.0 - (np.abs(x) / at) ** 2 * 0.6, 0.2, 1)[..., None].astype(np.float32)
    )
    both = np.maximum(alpha, span)
    rgb = np.where(
        both[..., None] > 1e-4,
        (rgb * alpha[..., None] + shade * (both - alpha)[..., None]) / np.maximum(both, 1e-4)[..., None],
        0,
    )
    anchor_y = (bite - edge) * work if down else (h / work - bite + edge) * work
    return _finish(rgb.astype(np.float32), both.astype(np.float32), (w / 2, anchor_y), unit_px, work)
