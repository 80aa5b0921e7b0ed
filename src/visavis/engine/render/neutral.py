"""Make the neutral face: a photo with parted lips becomes one with closed lips, and the teeth it showed are kept."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.render.landmarks import INNER_LOWER, INNER_UPPER, NOSE_BASE, OUTER_LOWER, OUTER_UPPER, FaceGeometry, curve, smooth

OPEN_FROM = 0.025  # gap of the inner lips, in eye distances, from which a mouth counts as open
UPPER_SHARE = 0.38  # of the gap that the upper lip closes; the lower lip closes the rest


@dataclass(frozen=True, slots=True, kw_only=True)
class Neutral:
    """A picture (H, W, 3) uint8 RGB with closed lips and its landmarks (478, 3); `parted`: the gap that was closed, in eye distances."""

    picture: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    parted: float


def close_lips(picture: NDArray[np.uint8], landmarks: NDArray[np.float32]) -> Neutral:
    """Return the face with its lips closed along one seam. A mouth that is closed already only has its inner lip lines joined."""
    p = landmarks[:, :2]
    unit = float(np.linalg.norm(p[33] - p[263]))
    parted = float(np.max(p[list(INNER_LOWER), 1] - p[list(INNER_UPPER), 1])) / unit
    moved = landmarks.copy()
    if parted < OPEN_FROM:
        middle = (landmarks[list(INNER_UPPER), 1] + landmarks[list(INNER_LOWER), 1]) / 2
        moved[list(INNER_UPPER), 1] = middle
        moved[list(INNER_LOWER), 1] = middle
        return Neutral(picture=picture, landmarks=moved, parted=parted)
    return _close(picture, landmarks, unit, parted)


def _close(picture: NDArray[np.uint8], landmarks: NDArray[np.float32], unit: float, parted: float) -> Neutral:
    p = landmarks[:, :2]
    margin = 0.014 * unit
    upper_x, upper_y = curve(p[list(INNER_UPPER)])
    lower_x, lower_y = curve(p[list(INNER_LOWER)])
    left, right = int(p[61, 0] - 0.7 * unit), int(p[291, 0] + 0.7 * unit)
    top, bottom = int(p[NOSE_BASE, 1] - 0.3 * unit), int(p[152, 1] + 0.7 * unit)
    h, w = picture.shape[:2]
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, w), min(bottom, h)
    filled = _fill_inside(picture, p, unit)
    x, y = np.meshgrid(np.arange(left, right, dtype=np.float32), np.arange(top, bottom, dtype=np.float32))
    col = x[0]
    inside = smooth(np.minimum(col - p[78, 0], p[308, 0] - col) / (0.06 * unit))
    iu = np.interp(col, upper_x, upper_y) - margin * inside
    il = np.interp(col, lower_x, lower_y) + margin * inside
    gap = np.clip(il - iu, 0, None) * ((col > p[78, 0]) & (col < p[308, 0]))
    gap = cv2.GaussianBlur(gap.reshape(1, -1).astype(np.float32), (0, 0), 0.03 * unit)[0]
    seam = (iu + UPPER_SHARE * gap).astype(np.float32)
    relax = _relaxed_corners(p, unit)

    def upward(yy: NDArray[np.float32]) -> NDArray[np.float32]:
        fade = smooth((yy - p[NOSE_BASE, 1]) / np.maximum(iu - p[NOSE_BASE, 1], 0.1 * unit))
        return (UPPER_SHARE * gap * fade).astype(np.float32)

    def downward(yy: NDArray[np.float32]) -> NDArray[np.float32]:
        fade = 1.0 - smooth((yy - il) / np.maximum(1.0 * (p[152, 1] - il), 0.4 * unit))
        return (-(1 - UPPER_SHARE) * gap * fade).astype(np.float32)

    # First the smile is relaxed (one smooth field), then the lips meet: invert in the opposite order.
    rx, ry = x.copy(), y.copy()
    for _ in range(5):
        dx, dy = relax(rx, ry)
        rx, ry = x - dx, y - dy
    cols = np.clip(np.round(rx - left).astype(np.int32), 0, len(col) - 1)
    gap_at, iu_at, il_at, seam_at = gap[cols], iu[cols], il[cols], seam[cols]
    sources = []
    for share, edge, sign in ((UPPER_SHARE, iu_at, 1.0), (1 - UPPER_SHARE, il_at, -1.0)):
        src = ry.copy()
        for _ in range(8):
            if sign > 0:
                fade = smooth((src - p[NOSE_BASE, 1]) / np.maximum(edge - p[NOSE_BASE, 1], 0.1 * unit))
            else:
                fade = 1.0 - smooth((src - edge) / np.maximum(p[152, 1] - edge, 0.4 * unit))
            src = ry - sign * share * gap_at * fade
        sources.append(src.astype(np.float32))
    rx = rx.astype(np.float32)
    above = cv2.remap(filled, rx, sources[0], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    below = cv2.remap(filled, rx, sources[1], cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    mix = np.clip(seam_at - ry + 0.5, 0, 1)[..., None]
    closed = above * mix + below * (1 - mix)
    # The line in which closed lips meet: a soft shade, gone at the corners.
    line = np.exp(-0.5 * ((ry - seam_at) / (0.011 * unit)) ** 2) * np.clip(gap_at / (0.04 * unit), 0, 1)
    closed *= 1.0 - 0.45 * line[..., None] * np.array([0.85, 1.0, 1.0], np.float32)
    out = picture.copy()
    out[top:bottom, left:right] = np.clip(closed + 0.5, 0, 255).astype(np.uint8)

    moved = landmarks.copy()
    for indices, sign in ((range(468), 0),):
        q = p[list(indices)]
        is_low = q[:, 1] > np.interp(q[:, 0], col, seam)
        within = (q[:, 0] >= left) & (q[:, 0] < right) & (q[:, 1] >= top) & (q[:, 1] < bottom)
        at = np.clip(np.round(q[:, 0] - left).astype(int), 0, len(col) - 1)
        up = UPPER_SHARE * gap[at] * smooth((q[:, 1] - p[NOSE_BASE, 1]) / np.maximum(iu[at] - p[NOSE_BASE, 1], 0.1 * unit))
        lo = -(1 - UPPER_SHARE) * gap[at] * (1 - smooth((q[:, 1] - il[at]) / np.maximum(p[152, 1] - il[at], 0.4 * unit)))
        y2 = q[:, 1] + np.where(within, np.where(is_low, lo, up), 0)
        dx, dy = relax(q[:, 0], y2)
        moved[: len(q), 0] = q[:, 0] + np.where(within, dx, 0)
        moved[: len(q), 1] = y2 + np.where(within, dy, 0)
        assert sign == 0
    on_seam = np.interp(p[list(INNER_UPPER), 0], col, seam)
    dx, dy = relax(p[list(INNER_UPPER), 0], on_seam)
    for ring in (INNER_UPPER, INNER_LOWER):
        moved[list(ring), 0] = p[list(INNER_UPPER), 0] + dx
        moved[list(ring), 1] = on_seam + dy
    return Neutral(picture=out, landmarks=moved, parted=parted)


def _relaxed_corners(p: NDArray[np.float32], unit: float):
    """Return the field that eases a broad smile: corners a little in and down."""
    wide = float(np.linalg.norm(p[61] - p[291])) / unit
    ease = float(np.clip((wide - 0.56) / 0.2, 0, 1))

    def field(x, y):
        dx = np.zeros_like(x)
        dy = np.zeros_like(y)
        for corner, side in ((p[61], 1.0), (p[291], -1.0)):
            near = np.exp(-0.5 * (((x - corner[0]) / (0.2 * unit)) ** 2 + ((y - corner[1]) / (0.17 * unit)) ** 2))
            dx = dx + side * 0.035 * ease * unit * near
            dy = dy + 0.03 * ease * unit * near
        return dx, dy

    return field


def _fill_inside(picture: NDArray[np.uint8], p: NDArray[np.float32], unit: float) -> NDArray[np.uint8]:
    """Return the picture with the inside of the mouth painted over from the lips, so that no tooth is left along the seam."""
    ring = np.vstack([p[list(INNER_UPPER)], p[list(INNER_LOWER)][::-1]])
    mask = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.round(ring).astype(np.int32)], 255)
    grow = max(1, round(0.012 * unit))
    mask = cv2.dilate(mask, np.ones((2 * grow + 1, 2 * grow + 1), np.uint8))
    x0, y0 = np.maximum(ring.min(axis=0).astype(int) - 12, 0)
    x1, y1 = ring.max(axis=0).astype(int) + 13
    out = picture.copy()
    out[y0:y1, x0:x1] = cv2.inpaint(picture[y0:y1, x0:x1], mask[y0:y1, x0:x1], 4, cv2.INPAINT_TELEA)
    return out


def lip_colours(picture: NDArray[np.uint8], face: FaceGeometry) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the mean colours, float32 RGB, of the upper and of the lower lip of a neutral picture."""
    p = face.landmarks[:, :2]
    means = []
    for outer in (OUTER_UPPER, OUTER_LOWER):
        ring = np.vstack([p[list(outer)], p[list(INNER_UPPER)][::-1]])
        mask = np.zeros(picture.shape[:2], np.uint8)
        cv2.fillPoly(mask, [np.round(ring).astype(np.int32)], 255)
        means.append(np.array(cv2.mean(picture, mask)[:3], np.float32))
    return means[0], means[1]
