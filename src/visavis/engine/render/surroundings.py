"""What stands about the person beyond the edges of the photo: the background goes on, and so do shoulders that an edge cuts off.

A portrait rarely has the shape of the output. The continuation is made once for a size and joined to the picture, the matte and the background, so
that whoever renders them knows of no edge.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.render.framing import Frame
from visavis.engine.render.pack import AvatarPack

Array = NDArray[np.float32]
Picture = NDArray[np.uint8]

SPARE_PX = 4  # continued beyond what is seen, of the picture
BAND_SHARE = 0.16  # of the picture's side: from this much beside an edge the continuation takes its colours, their slope and their grain
SHOULDERS = 2.6  # eye distances from the middle of the face to where an arm hangs down (shoulders are 450 mm wide, outer eye corners 90 mm apart)
SLOPE_LEAST, SLOPE_MOST = 0.15, 2.0  # of a shoulder's outline where the edge cuts it
SEEK_PX = 16  # how far from the matte's edge the outline may lie
RIM_PX = 2.5  # within this of its outline a person's colour still holds some of the background's


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A picture that covers the output, with its matte and its background, arrays as in an AvatarPack; `frame` places them."""

    picture: Picture
    matte: Picture
    background: Picture
    frame: Frame


def surroundings(pack: AvatarPack, frame: Frame, width: int, height: int) -> Scene:
    """Return what of the pack's picture is seen in width x height px, continued wherever it does not reach."""
    rows, columns = pack.matte.shape
    s = frame.scale
    left, top = _missing(frame.shift_x, s), _missing(frame.shift_y, s)
    right = _missing(width - frame.shift_x - s * columns, s)
    if not (left or top or right):
        return Scene(picture=pack.picture, matte=pack.matte, background=pack.background, frame=frame)
    p = pack.landmarks
    unit, middle = float(np.linalg.norm(p[33, :2] - p[263, :2])), float(p[1, 0])
    seen = min(rows, int(np.ceil((height - frame.shift_y) / s + 0.3 * unit)) + SPARE_PX)
    scene = _Sides(picture=pack.picture[:seen], matte=pack.matte[:seen], background=pack.background[:seen], unit=unit)
    if top:
        scene = scene.turned().continued(top, None).turned()
    if left:
        scene = scene.mirrored().continued(left, middle).mirrored()
    if right:
        scene = scene.continued(right, columns - 1 - middle)
    moved = Frame(scale=s, shift_x=frame.shift_x - s * left, shift_y=frame.shift_y - s * top)
    return Scene(picture=scene.picture, matte=scene.matte, background=scene.background, frame=moved)


def _missing(gap: float, scale: float) -> int:
    """Return how many px of the picture a gap of the output takes."""
    return int(np.ceil(gap / scale)) + SPARE_PX if gap > 0.25 else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sides:
    """A scene that is continued at its right side; turn or mirror it for the others."""

    picture: Picture
    matte: Picture
    background: Picture
    unit: float

    def mirrored(self) -> _Sides:
        return _Sides(picture=self.picture[:, ::-1], matte=self.matte[:, ::-1], background=self.background[:, ::-1], unit=self.unit)

    def turned(self) -> _Sides:
        """Top to the right and back again."""
        picture, matte, background = (np.ascontiguousarray(np.swapaxes(a[::-1, ::-1], 0, 1)) for a in (self.picture, self.matte, self.background))
        return _Sides(picture=picture, matte=matte, background=background, unit=self.unit)

    def continued(self, count: int, reach: float | None) -> _Sides:
        """Return the scene with `count` more columns; `reach`: px from the middle of the face to the edge, None where no shoulder can be."""
        picture, matte, background = self.picture, self.matte, self.background
        # The light and shade of a person fall on what is near.
        near = cv2.dilate(matte, np.ones((3, 3), np.uint8), iterations=max(1, int(0.05 * self.unit)))
        ground = _extend(background, count, detail_share=0.7, own=1.0 - np.minimum(near, 32).astype(np.float32) / 32.0)
        outline = _outline(picture, matte, int(0.8 * self.unit)) if reach is not None else None
        opacity = np.zeros(ground.shape[:2], np.float32)
        whole = ground
        if outline is not None and reach is not None:
            room = max(SHOULDERS * self.unit - reach, 0.5 * self.unit)
            cloth, opacity = _shoulder(picture, outline, count, room)
            whole = ground + (cloth - ground) * opacity[..., None]
        elif (matte[:, -1] > 127).any():
            picture, matte = self._faded()
        return _Sides(
            picture=np.hstack([picture, _rounded(whole)]),
            matte=np.hstack([matte, _rounded(opacity * 255.0)]),
            background=np.hstack([background, _rounded(ground)]),
            unit=self.unit,
        )

    def _faded(self) -> tuple[Picture, Picture]:
        """Return picture and matte with a person who can't be continued (a hand, hair) giving way to the background before the edge."""
        count = min(self.matte.shape[1], max(4, int(0.25 * self.unit)))
        keep = np.linspace(1.0, 0.0, count, dtype=np.float32)
        picture, matte = self.picture.copy(), self.matte.copy()
        ground = self.background[:, -count:].astype(np.float32)
        picture[:, -count:] = _rounded(ground + (picture[:, -count:] - ground) * keep[None, :, None])
        matte[:, -count:] = _rounded(matte[:, -count:] * keep)
        return picture, matte


def _rounded(values: Array) -> Picture:
    return np.clip(values + 0.5, 0, 255).astype(np.uint8)


def _extend(image: Picture, count: int, detail_share: float, own: Array | None = None) -> Array:
    """Return `count` columns, float32 (H, count, 3), that go on where `image` (H, W, 3) ends at its right: same colours, same slope, same grain.

    Smooth colours run out level; what is finer is mirrored and dies away over `detail_share` bands, and grain takes its place. `own` (H, W): 0 where
    the image's detail is not its own and shall not go on.
    """
    height, width = image.shape[:2]
    band = min(width, max(8, int(BAND_SHARE * max(width, height))))
    strip = np.ascontiguousarray(image[:, -band:], np.float32)
    at = np.arange(1 - band, 1, dtype=np.float32)
    weight = 1.0 + at / band
    weight /= weight.sum()
    mean_at = float((weight * at).sum())
    mean = np.einsum("c,rck->rk", weight, strip)
    slope = np.einsum("c,rck->rk", weight * (at - mean_at), strip) / float((weight * (at - mean_at) ** 2).sum())
    slope = _along(slope, 0.06 * height)
    colour = _along(mean - slope * mean_at, 0.015 * height)
    detail = strip - (colour[:, None] + slope[:, None] * at[None, :, None])
    if own is not None:
        detail *= own[:, -band:, None]
    beyond = np.arange(1, count + 1, dtype=np.float32)
    run = 0.8 * band
    most = 26.0  # levels: no wall grows darker or lighter than this beyond its edge
    rise = most * np.tanh(slope * run / most)
    wide = _along(colour, 0.25 * height)
    settled = np.clip(beyond / (2.0 * band), 0, 1)[None, :, None] ** 1.5
    out = colour[:, None] + (wide - colour)[:, None] * settled + rise[:, None] * (1.0 - np.exp(-beyond / run))[None, :, None]
    mirrored = np.abs(beyond.astype(np.intp) % (2 * band - 2) - (band - 1))
    fade = np.exp(-((beyond / (detail_share * band)) ** 2)).astype(np.float32)
    out += detail[:, mirrored] * fade[None, :, None]
    out += _grain(strip, (height, count)) * np.sqrt(1.0 - fade * fade)[None, :, None]
    return out.astype(np.float32)


def _along(values: Array, sigma: float) -> Array:
    """Blur (H, 3) along the edge."""
    return cv2.GaussianBlur(values[:, None, :].astype(np.float32), (1, 0), sigmaX=0.1, sigmaY=max(sigma, 0.5), borderType=cv2.BORDER_REPLICATE)[:, 0]


def _grain(strip: Array, shape: tuple[int, int]) -> Array:
    """Return noise, float32 (*shape, 1), as strong as the grain of `strip`; always the same."""
    luma = strip.mean(axis=2)
    fine = luma - cv2.GaussianBlur(luma, (0, 0), 1.2)
    strength = min(1.48 * float(np.median(np.abs(fine))), 6.0)
    noise = cv2.GaussianBlur(np.random.default_rng(3).standard_normal(shape, np.float32), (0, 0), 0.7)
    return (noise * (strength / max(float(noise.std()), 1e-6)))[..., None]


def _outline(picture: Picture, matte: Picture, most: int) -> Array | None:
    """Return the height at which the person begins in each of the last `most` columns or fewer, a smooth curve; None if no shoulder is cut there."""
    count = min(most, matte.shape[1])
    whole = cv2.morphologyEx(matte[:, -count:], cv2.MORPH_CLOSE, np.ones((most // 3 + 1, 1), np.uint8))  # a hole in the matte is no shoulder
    clear = whole[::-1] <= 127
    if clear[0, -1] or not clear[:, -1].any():
        return None
    first = np.where(clear.any(axis=0), clear.argmax(axis=0), len(matte))
    top = cv2.medianBlur((len(matte) - first).astype(np.float32).reshape(1, -1), 5)[0]
    jumps = np.flatnonzero(np.abs(np.diff(top)) > 8)
    begin = int(jumps[-1]) + 1 if len(jumps) else 0
    if count < 8:
        return None
    begin = min(begin, count - 8)
    near = np.arange(begin, count, dtype=np.float32) - (count - 1)
    fit = np.polynomial.Polynomial.fit(near, top[begin:], 2 if len(near) > 24 else 1, w=np.exp(near / max(8.0, 0.4 * len(near))))
    outline = fit(near).astype(np.float32)
    # A matte is soft; where exactly cloth ends, the picture shows best.
    depth = np.arange(-SEEK_PX, SEEK_PX + 1, dtype=np.float32)
    profile = _laid_flat(picture, outline[-16:], depth).astype(np.float32).mean(axis=1)
    profile = cv2.GaussianBlur(profile[:, None], (1, 0), sigmaX=0.1, sigmaY=1.5, borderType=cv2.BORDER_REPLICATE)[:, 0]
    step = np.abs(np.diff(profile, axis=0)).sum(axis=1)
    return outline + (depth[int(step.argmax())] + 0.5)


def _laid_flat(picture: Picture, outline: Array, depth: Array) -> Picture:
    """Return the cloth of the last len(outline) columns, rows being depths under the outline: uint8 (len(depth), len(outline), 3)."""
    x = np.arange(picture.shape[1] - len(outline), picture.shape[1], dtype=np.float32)
    map_x = np.broadcast_to(x[None, :], (len(depth), len(x))).copy()
    map_y = (outline[None, :] + depth[:, None]).astype(np.float32)
    return np.asarray(cv2.remap(picture, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _shoulder(picture: Picture, outline: Array, count: int, room: float) -> tuple[Array, Array]:
    """Continue a shoulder by `count` columns; `room`: px to where its arm hangs straight down. Return cloth (H, count, 3) and opacity (H, count)."""
    height = len(picture)
    slope = float(np.clip((outline[-1] - outline[-5]) / 4.0, SLOPE_LEAST, SLOPE_MOST))
    # The cloth is laid flat: rows are depths under the outline. So it is continued, then hung on the outline's own continuation.
    depth = np.arange(0, height - int(outline[-1]) + 2, dtype=np.float32)
    flat = _laid_flat(picture, outline, np.maximum(depth, RIM_PX))
    cloth = _extend(flat, count, detail_share=1.6)
    d = np.arange(1, count + 1, dtype=np.float32)
    share = np.clip(d / room, 0, 0.98)
    fall = slope * d / np.sqrt(1.0 - share * share) + np.where(d >= room, 4.0 * height, 0)
    steep = slope / (1.0 - share * share) ** 1.5
    under = np.arange(height, dtype=np.float32)[:, None] - (outline[-1] + fall)[None, :]
    across = under / np.sqrt(1.0 + steep * steep)[None, :]  # px from the outline, straight across
    opacity = np.clip(0.5 + across / 2.0, 0, 1).astype(np.float32)
    map_x = np.broadcast_to((d - 1)[None, :], under.shape).astype(np.float32)
    map_y = np.clip(across * np.float32(np.sqrt(1.0 + slope * slope)), 0, len(depth) - 1).astype(np.float32)
    return cv2.remap(cloth, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), opacity
