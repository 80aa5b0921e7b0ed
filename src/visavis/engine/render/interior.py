"""What is inside a mouth: cavity, tongue, teeth; drawn once for a face and a size, in the light of that face."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.render.colour import to_yuv
from visavis.engine.render.landmarks import EYE_LEFT, EYE_RIGHT, FaceGeometry, smooth
from visavis.engine.render.pack import AvatarPack

Array = NDArray[np.float32]

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# Widths of teeth seen from the front, in eye distances (about 90 mm): from Wheeler's Dental Anatomy, foreshortened
# along the arch.
UPPER_WIDTHS = (0.092, 0.070, 0.064, 0.050, 0.040)
UPPER_HEIGHTS = (0.115, 0.102, 0.108, 0.090, 0.080)
LOWER_WIDTHS = (0.058, 0.062, 0.062, 0.052, 0.042)
LOWER_HEIGHTS = (0.095, 0.095, 0.098, 0.085, 0.080)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """A picture with its own transparency: `yuva` float32 (h, w, 4), premultiplied, alpha 0 to 1, its rim clear but for
    the cavity's; `anchor`: the px of it that lies at its place.
    """

    yuva: Array
    anchor: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interior:
    """`cavity` and `upper` stay with the skull, anchored at the middle of the seam; `lower` and `tongue` go with the
    jaw. Lip colours are Y, U, V.

    `tip`: of the tongue, as it is seen between the teeth; its place is the edge of the upper ones.
    """

    cavity: Patch
    upper: Patch
    lower: Patch
    tongue: Patch
    tip: Patch
    lip_upper: Array
    lip_lower: Array


def draw(face: FaceGeometry, pack: AvatarPack, lip_upper: Array, lip_lower: Array, unit_px: float) -> Interior:
    """Draw the inside of the mouth of `face` for an output in which the outer eye corners are `unit_px` apart."""
    picture = pack.picture
    cheeks = (
        picture[_disc(face, 50)].reshape(-1, 3).mean(axis=0) + picture[_disc(face, 280)].reshape(-1, 3).mean(axis=0)
    ) / 2
    warm = float(np.clip(cheeks.mean() / 170.0, 0.5, 1.1))
    edge = 0.038
    if pack.teeth.size:
        enamel, lowest = _seen(pack)
        edge = float(np.clip(lowest / face.unit - 0.012, 0.03, 0.06))
    else:
        tint = (cheeks / max(float(cheeks.max()), 1.0)) ** 0.36  # the colour of the light, as far as skin tells it
        enamel = (
            np.array([246, 240, 228], np.float32)
            * np.clip(max(_white(face, picture), 1.05 * float(cheeks @ _LUMA)) / 225.0, 0.35, 1.05)
            * tint
        )
    enamel = enamel.astype(np.float32)
    gum = lip_upper * np.array([0.86, 0.72, 0.74], np.float32)
    upper = _teeth(unit_px, enamel, gum, UPPER_WIDTHS, UPPER_HEIGHTS, edge=edge, down=True)
    if pack.teeth.size:
        upper = _with_own(upper, pack, unit_px / face.unit, edge * unit_px)
    return Interior(
        cavity=_cavity(unit_px, lip_lower, warm),
        upper=upper,
        lower=_teeth(unit_px, enamel * 0.86, gum, LOWER_WIDTHS, LOWER_HEIGHTS, edge=0.010, down=False),
        tongue=_tongue(unit_px, lip_lower),
        tip=_tip(unit_px, lip_lower, edge),
        lip_upper=to_yuv(lip_upper * np.array([0.62, 0.49, 0.51], np.float32)),
        lip_lower=to_yuv(lip_lower * np.array([0.86, 0.72, 0.73], np.float32)),
    )


def _seen(pack: AvatarPack) -> tuple[Array, float]:
    """Return the colour of the person's own teeth, RGB, and how far below the seam they end, px of the
    pack's picture.
    """
    opaque = pack.teeth[..., 3] > 200
    colours = pack.teeth[opaque][:, :3].astype(np.float32)
    bright = colours[colours.mean(axis=1) >= np.percentile(colours.mean(axis=1), 55)]
    middle = opaque[:, opaque.shape[1] // 3 : -(opaque.shape[1] // 3)].any(axis=1)
    return bright.mean(axis=0), float(np.flatnonzero(middle)[-1] + 1 + pack.teeth_at[1]) if middle.any() else 0.0


def _with_own(upper: Patch, pack: AvatarPack, scale: float, edge_px: float) -> Patch:
    """Lay the person's own teeth over the drawn ones, their lower edges on the drawn ones' line."""
    h, w = upper.yuva.shape[:2]
    alpha = pack.teeth[..., 3:].astype(np.float32) / 255.0
    own = np.dstack([to_yuv(pack.teeth[..., :3]) * alpha, alpha])
    _, lowest = _seen(pack)
    x = upper.anchor[0] + pack.teeth_at[0] * scale
    y = upper.anchor[1] + pack.teeth_at[1] * scale + (edge_px - lowest * scale)
    matrix = np.array([[scale, 0, x + 0.5 * scale - 0.5], [0, scale, y + 0.5 * scale - 0.5]], np.float64)
    if scale < 0.75:
        own = cv2.GaussianBlur(own, (0, 0), 0.45 / scale)
    laid = cv2.warpAffine(own, matrix, (w, h), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    return Patch(yuva=(upper.yuva * (1.0 - laid[..., 3:]) + laid).astype(np.float32), anchor=upper.anchor)


def _disc(face: FaceGeometry, index: int) -> tuple[slice, slice]:
    x, y = face.landmarks[index, :2].astype(int)
    r = max(2, int(0.06 * face.unit))
    return slice(max(0, y - r), y + r), slice(max(0, x - r), x + r)


def _white(face: FaceGeometry, picture: NDArray[np.uint8]) -> float:
    """How bright white is in this face's light: the bright end of the whites of its eyes."""
    found = []
    for eye in (EYE_LEFT, EYE_RIGHT):
        ring = np.vstack([face.landmarks[list(eye.upper), :2], face.landmarks[list(eye.lower)[::-1], :2]])
        mask = np.zeros(picture.shape[:2], np.uint8)
        cv2.fillPoly(mask, [np.round(ring).astype(np.int32)], 255)
        values = picture[mask > 0].astype(np.float32) @ _LUMA
        if len(values):
            found.append(float(np.percentile(values, 88)))
    return float(np.clip(max(found, default=190.0) * 1.04, 110.0, 235.0))


def _finish(rgb: Array, alpha: Array, anchor: tuple[float, float], unit_px: float, work: float, rim: int = 1) -> Patch:
    """Scale a patch drawn at `work` px a unit down to the output's scale and premultiply it; `rim`: clear
    px about it.
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
    deep = (y - top).astype(np.float32)  # its back, far in the dark, has no edge; its front is lit
    alpha = smooth(deep / 0.075) * smooth(((0.31 - np.abs(x)) / 0.06).astype(np.float32))
    shade = 0.36 + 0.60 * smooth((deep - 0.01) / 0.13) - 0.16 * (np.abs(x) / 0.29) ** 2
    # two low ridges, and between them
    shade += 0.07 * np.exp(-0.5 * (((np.abs(x) - 0.075) / 0.05) ** 2 + ((deep - 0.12) / 0.045) ** 2))
    shade -= 0.07 * np.exp(-0.5 * (x / 0.022) ** 2) * smooth(deep / 0.1)  # a soft furrow
    base = lip * np.array([0.88, 0.74, 0.78], np.float32)
    rgb = base * np.clip(shade, 0.25, 1.1)[..., None]
    return _finish(rgb.astype(np.float32), alpha.astype(np.float32), (w / 2, 0.0), unit_px, work)


def _tip(unit_px: float, lip: Array, edge: float) -> Patch:
    """The tip of the tongue between the teeth: broad, round, lit from above; `edge`: of the upper teeth below the seam,
    in eye distances.
    """
    work = 200.0
    w, h = int(0.44 * work), int(0.22 * work)
    x, y = np.meshgrid((np.arange(w) + 0.5 - w / 2) / work, (np.arange(h) + 0.5) / work)
    across = np.abs(x) / 0.19
    deep = (y - 0.02 - 0.035 * across**2.4).astype(np.float32)  # below its upper edge, which falls off to the sides
    alpha = smooth(deep / 0.016) * smooth(((1.06 - across) / 0.22).astype(np.float32))
    # in the shadow of the teeth, lit, and under
    shade = 0.70 + 0.40 * smooth(deep / 0.03) - 0.22 * smooth((deep - 0.05) / 0.08) - 0.2 * across**2
    shade += 0.05 * np.exp(-0.5 * (((x + 0.03) / 0.05) ** 2 + ((deep - 0.035) / 0.012) ** 2))  # wet
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
    """A row of teeth; `edge`: how far its biting edge lies below the seam (upper row, `down`) or above which it stands
    (lower row).
    """
    work = 240.0
    half = sum(widths) + 0.02
    w, h = int(2 * half * work), int(0.24 * work)
    x, y = np.meshgrid((np.arange(w) + 0.5 - w / 2) / work, (np.arange(h) + 0.5) / work)
    bite = 0.20  # the biting edge of the front teeth, from the patch's top
    v = (y if down else (h / work - y)).astype(np.float32)  # towards the biting edge
    alpha = np.zeros_like(v)
    rgb = np.zeros((*v.shape, 3), np.float32)
    at = 0.0
    rise = 0.0
    for index, (width, height) in enumerate(zip(widths, heights, strict=True)):
        rise += (0.0, 0.007, -0.001, 0.011, 0.012)[index] if down else (0.0, 0.0, 0.002, 0.008, 0.008)[index]
        for side in (-1.0, 1.0):
            middle = side * (at + width / 2)
            u = ((x - middle) / (width / 2)).astype(np.float32)  # -1 to 1 across this tooth
            tip = (
                bite
                - rise
                - ((0.006 if down else 0.004) + (0.006 if index == 2 and down else 0.0))
                * np.abs(u) ** (4.0 if index < 2 else 2.4)
            )
            neck = bite - rise - height
            narrow = 1.0 - 0.10 * smooth((tip - v - 0.3 * height) / (0.7 * height))
            inside = smooth((narrow - np.abs(u)) / 0.10 + 0.35) * smooth((tip - v) / 0.008 + 0.5)
            crown = smooth((v - neck - 0.014 * (1 - u * u) * -1.0) / 0.014)
            # Lit from the front and above: a round crown, bluish and thin at the biting edge, warm at the neck.
            form = 1.0 - 0.10 * np.abs(u) ** 3.2 - 0.05 * (side * u > 0) * np.abs(u) ** 2
            length = np.clip((tip - v) / height, 0, 1)
            tone = (1.0 - 0.10 * smooth((length - 0.55) / 0.45))[..., None] * np.array([1.0, 1.0, 1.0], np.float32)
            tone = tone - length[..., None] * np.array([0.0, 0.02, 0.06], np.float32)
            tone = tone * (1 - 0.10 * smooth((0.10 - length) / 0.10))[..., None]
            depth = np.array([1.0, 1.0, 1.0], np.float32) * (1.0, 0.97, 0.91, 0.76, 0.58)[index]
            depth = depth ** np.array([1.0, 1.25, 1.5], np.float32)  # what lies deeper is lit by red skin
            tooth = enamel * tone * form[..., None] * depth
            colour = gum * depth * 0.8 + (tooth - gum * depth * 0.8) * crown[..., None]
            rgb = rgb * (1 - inside[..., None]) + colour * inside[..., None]
            alpha = np.maximum(alpha, inside)
        at += width
    # Gaps between teeth are dark, not open: the row behind is a shade.
    span = smooth(((at - np.abs(x)) / 0.02).astype(np.float32)) * smooth(
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
