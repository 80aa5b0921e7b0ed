"""Continues a photo beyond its edges until it covers the output: the background, and shoulders that an edge cuts off.

A portrait rarely has the shape of the output. The continuation is made once for a size and joined to the picture, the
matte and the background, so the renderer sees no edge.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.landmarks import CHIN, MOUTH_CORNER_LEFT, MOUTH_CORNER_RIGHT
from visavis.engine.pack.avatar_pack import AvatarPack
from visavis.engine.render.framing import Frame

Array = NDArray[np.float32]
Picture = NDArray[np.uint8]

# Set by eye on photos and on the library's portraits, unless a source is named.
SPARE_PX = 4  # the continuation reaches this far beyond the output, px of the picture
GAP_LEAST_PX = 0.25  # a smaller gap of the output needs no continuation
# The continuation takes its colours, and their slope, from a band along the edge; this share of the picture's side.
BAND_SHARE, BAND_LEAST_PX = 0.16, 8
COLOUR_RUN = 0.8  # of the band: the distance over which the slope of the colours levels out
COLOUR_MOST = 26.0  # levels: a wall gets no darker or lighter than this beyond the edge
# The further the continuation is from the edge, the more it is out of focus: sigma in px per px, and at most this share
# of the length of the edge.
BLUR_GROWTH, BLUR_MOST = 0.4, 0.09
CLOTH_BLUR_GROWTH = 0.08
BLURS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)  # sigmas that are computed, px; others are mixed
GRAIN_MOST = 6.0  # levels of luma
# Eye distances from the middle of the face to the place where an arm hangs straight down: shoulders are 450 mm wide,
# the outer eye corners are 90 mm apart.
SHOULDERS = 2.5
SHOULDERS_LEAST = 0.5  # but at least this far beyond the edge
SHOULDER_DROP = 1.0  # from the chin down to the end of the collar bone
SHOULDER_LENGTH = 0.8  # of the outline, inside the picture, from which the shoulder is continued
SLOPE_LEAST, SLOPE_MOST = 0.18, 2.0  # of the outline of a shoulder where the edge cuts it
HEAD_BELOW_CHIN = 0.1  # an edge above this cuts hair or a hand, below it a shoulder
SEEK_PX = 16  # how far the outline may lie from the edge of the matte
RIM_PX = 2.5  # nearer to its outline, the colour of a person still contains some of the background
SHADOW_REACH = 0.05  # the light and the shadow of a person fall on the background this near to them
MOUTH_REACH = 0.3  # what is drawn with moving lips reaches this far aside of the corners of the mouth
PERSON_FADES = 1.2  # beyond the edge, from a person that is cut there to the background behind them
SETTLED_WIDTH, SETTLED_AROUND, SETTLED_SOFTNESS = 0.4, 0.2, 0.06  # the part of a cut person that becomes background


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A picture that covers the output, its matte and its background, arrays as in an AvatarPack. `frame` places them
    in the output.
    """

    picture: Picture
    matte: Picture
    background: Picture
    frame: Frame


def extend_to_cover(pack: AvatarPack, frame: Frame, width: int, height: int) -> Scene:
    """Return the pack's picture for an output of width x height px, continued where it does not reach the edges."""
    rows, columns = pack.matte.shape
    s = frame.scale
    left, top = _missing(frame.shift_x, s), _missing(frame.shift_y, s)
    right = _missing(width - frame.shift_x - s * columns, s)
    if not (left or top or right):
        return Scene(picture=pack.picture, matte=pack.matte, background=pack.background, frame=frame)
    p = pack.landmarks
    unit, middle, chin = float(np.linalg.norm(p[33, :2] - p[263, :2])), float(p[1, 0]), float(p[CHIN, 1])
    seen = min(rows, int(np.ceil((height - frame.shift_y) / s + 0.3 * unit)) + SPARE_PX)
    scene = _Sides(
        picture=pack.picture[:seen], matte=pack.matte[:seen], background=pack.background[:seen], unit=unit, chin=chin
    )
    if top:
        turned = scene.turned().continued(top, None).turned()
        scene = replace(turned, chin=chin + top)
    mouth = p[[MOUTH_CORNER_LEFT, MOUTH_CORNER_RIGHT], 0]
    if left:
        free = int(float(mouth[0]) - MOUTH_REACH * unit)
        scene = scene.mirrored().continued(left, middle, free=free).mirrored()
    if right:
        free = int(columns - 1 - float(mouth[1]) - MOUTH_REACH * unit)
        scene = scene.continued(right, columns - 1 - middle, free=free)
    moved = Frame(scale=s, shift_x=frame.shift_x - s * left, shift_y=frame.shift_y - s * top)
    return Scene(picture=scene.picture, matte=scene.matte, background=scene.background, frame=moved)


def _missing(gap: float, scale: float) -> int:
    """Return the number of px of the picture that fill a gap of the output, px."""
    return int(np.ceil(gap / scale)) + SPARE_PX if gap > GAP_LEAST_PX else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sides:
    """A scene that can be continued at its right side; mirror or turn it for the other sides. `chin`: the row of the
    chin in the upright scene.
    """

    picture: Picture
    matte: Picture
    background: Picture
    unit: float
    chin: float

    def mirrored(self) -> _Sides:
        return replace(
            self, picture=self.picture[:, ::-1], matte=self.matte[:, ::-1], background=self.background[:, ::-1]
        )

    def turned(self) -> _Sides:
        """Return the scene with its top at the right; a second call turns it back."""
        picture, matte, background = (
            np.ascontiguousarray(np.swapaxes(a[::-1, ::-1], 0, 1)) for a in (self.picture, self.matte, self.background)
        )
        return replace(self, picture=picture, matte=matte, background=background)

    def continued(self, count: int, reach: float | None, *, free: int | None = None) -> _Sides:
        """Return the scene with `count` more columns. `reach`: px from the middle of the face to the edge; None if no
        shoulder can be there. `free`: how many columns at the edge the lips never reach; None for all.
        """
        # At the height of the head an edge cuts hair or a hand; lower down it cuts a shoulder, which is continued.
        outline: Array | None = None
        head_end = len(self.matte)
        if reach is not None:
            head_end = int(np.clip(self.chin + HEAD_BELOW_CHIN * self.unit, 0, len(self.matte)))
            outline = _outline(self.picture, self.matte, int(SHOULDER_LENGTH * self.unit), head_end)
        scene = self._with_cut_settled(head_end if outline is not None else len(self.matte), free)
        background = self._continued_background(count)
        if scene is not self:  # near the edge, continue the person who is cut there; far from it, the background
            beyond = np.arange(count, dtype=np.float32)
            far = np.clip(beyond / (PERSON_FADES * self.unit), 0.0, 1.0)[None, :, None] ** 0.7
            near = scene._continued_background(count)  # noqa: SLF001  # of the same class
            background = near + (background - near) * far
        opacity = np.zeros(background.shape[:2], np.float32)
        whole = background
        if outline is not None and reach is not None:
            room = max(SHOULDERS * self.unit - reach, SHOULDERS_LEAST * self.unit)
            cloth, opacity = _shoulder(scene.picture, outline, count, room, self.chin + SHOULDER_DROP * self.unit)
            whole = background + (cloth - background) * opacity[..., None]
        return replace(
            self,
            picture=np.hstack([scene.picture, _rounded(whole)]),
            matte=np.hstack([scene.matte, _rounded(opacity * 255.0)]),
            background=np.hstack([scene.background, _rounded(background)]),
        )

    def _continued_background(self, count: int) -> Array:
        """Return the continuation of the background, float32 (H, count, 3)."""
        near = cv2.dilate(self.matte, np.ones((3, 3), np.uint8), iterations=max(1, int(SHADOW_REACH * self.unit)))
        return _extend(
            self.background, count, own=1.0 - np.minimum(near, 32).astype(np.float32) / 32.0, blur_growth=BLUR_GROWTH
        )

    def _with_cut_settled(self, rows: int, free: int | None) -> _Sides:
        """Return the scene in which hair or a hand that the edge cuts, in the first `rows`, gradually becomes
        background, in no more than `free` columns: what the lips are drawn over must be opaque.

        So the edge cuts nothing that moves, and the continuation begins with what is visible at the edge.
        """
        around = np.ones((int(SETTLED_AROUND * self.unit) | 1, 1), np.uint8)
        cut = cv2.dilate((self.matte[:, -1:] > 127).astype(np.uint8), around)[:, 0].astype(np.float32)
        cut[rows:] = 0.0
        count = min(self.matte.shape[1], max(4, int(SETTLED_WIDTH * self.unit)))
        count = count if free is None else min(count, free)
        if not cut.any() or count < 4:
            return self
        across = np.clip(np.linspace(0.0, 1.6, count, dtype=np.float32), 0.0, 1.0) ** 2
        still = (
            _blurred_along(np.repeat(cut[:, None], 3, axis=1), SETTLED_SOFTNESS * self.unit)[:, :1] * across[None, :]
        )
        matte, background = self.matte.copy(), self.background.copy()
        opacity = matte[:, -count:].astype(np.float32) / 255.0
        behind = background[:, -count:].astype(np.float32)
        background[:, -count:] = _rounded(behind + (self.picture[:, -count:] - behind) * (still * opacity)[..., None])
        matte[:, -count:] = _rounded(255.0 * opacity * (1.0 - still))
        return replace(self, matte=matte, background=background)


def _rounded(values: Array) -> Picture:
    rounded: Picture = np.clip(values + 0.5, 0, 255).astype(np.uint8)
    return rounded


def _extend(image: Picture, count: int, *, blur_growth: float, own: Array | None = None) -> Array:
    """Return `count` columns, float32 (H, count, 3), that continue `image` (H, W, 3) at its right: the same colours,
    slope and grain.

    Large areas of colour continue with their slope, which levels out. Finer detail is mirrored and goes out of focus
    with the distance, like anything behind a portrait, so nothing is recognisable twice. `own` (H, W): 0 where the
    detail of the image does not belong to it and must not be mirrored.
    """
    height, width = image.shape[:2]
    band = min(width, max(BAND_LEAST_PX, int(BAND_SHARE * max(width, height))))
    strip = np.ascontiguousarray(image[:, -band:], np.float32)
    at = np.arange(1 - band, 1, dtype=np.float32)
    weight = 1.0 + at / band
    weight /= weight.sum()
    mean_at = float((weight * at).sum())
    mean = np.einsum("c,rck->rk", weight, strip)
    slope = np.einsum("c,rck->rk", weight * (at - mean_at), strip) / float((weight * (at - mean_at) ** 2).sum())
    slope = _blurred_along(slope, 0.1 * height)
    colour = _blurred_along(mean, 0.08 * height) - slope * mean_at
    reach = min(width, count + 1)
    inside = np.arange(1 - reach, 1, dtype=np.float32)
    base = colour[:, None] + slope[:, None] * np.maximum(inside, -band)[None, :, None]
    detail = image[:, -reach:].astype(np.float32) - base
    if own is not None:
        detail *= own[:, -reach:, None]
    beyond = np.arange(1, count + 1, dtype=np.float32)
    mirrored = (
        np.abs((beyond.astype(np.intp) - 1) % max(1, 2 * reach - 2) - (reach - 1))
        if reach > 1
        else np.zeros(count, np.intp)
    )
    run = COLOUR_RUN * band
    rise = COLOUR_MOST * np.tanh(slope * run / COLOUR_MOST)
    settled = np.clip(beyond / (2.0 * band), 0, 1)[None, :, None] ** 1.5
    out = (
        colour[:, None]
        + (_blurred_along(colour, 0.25 * height) - colour)[:, None] * settled
        + rise[:, None] * (1.0 - np.exp(-beyond / run))[None, :, None]
    )
    sigma = np.minimum(blur_growth * beyond, BLUR_MOST * height)
    out += _out_of_focus(np.hstack([detail, detail[:, mirrored]]), reach, sigma)
    out += _grain(strip, (height, count)) * np.sqrt(1.0 - np.exp(-sigma * sigma))[None, :, None]
    beyond_edge: Array = out.astype(np.float32)
    return beyond_edge


def _out_of_focus(joined: Array, begin: int, sigma: Array) -> Array:
    """Return the columns of `joined`, (H, W, 3), from `begin` on, each blurred by its own `sigma`, px. `sigma` never
    decreases.
    """
    out = np.empty((joined.shape[0], len(sigma), 3), np.float32)
    for low, high in pairwise(BLURS):
        first, last = (
            int(np.searchsorted(sigma, low, "right" if low else "left")),
            int(np.searchsorted(sigma, high, "right")),
        )
        if first == last:
            continue
        # A sigma between two of BLURS is a mix of both pictures.
        share = ((sigma[first:last] - low) / (high - low))[None, :, None]
        out[:, first:last] = _blurred(joined, begin + first, begin + last, low) * (1.0 - share)
        out[:, first:last] += _blurred(joined, begin + first, begin + last, high) * share
    return out


def _blurred(image: Array, first: int, last: int, sigma: float) -> Array:
    """Return the columns `first` to `last` of `image` blurred; wide blurs are computed on a reduced picture."""
    if not sigma:
        return image[:, first:last]
    reach = int(3 * sigma) + 1
    left, right = max(0, first - reach), min(image.shape[1], last + reach)
    part, shrink = image[:, left:right], max(1.0, sigma / 3.0)
    height, width = part.shape[:2]
    size = max(1, round(width / shrink)), max(1, round(height / shrink))
    small = cv2.GaussianBlur(
        cv2.resize(part, size, interpolation=cv2.INTER_AREA), (0, 0), sigma / shrink, borderType=cv2.BORDER_REFLECT
    )
    wide: Array = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)[:, first - left : last - left]
    return wide


def _blurred_along(values: Array, sigma: float) -> Array:
    """Return `values` (H, 3) blurred along the edge."""
    blurred: Array = cv2.GaussianBlur(
        values[:, None, :].astype(np.float32),
        (1, 0),
        sigmaX=0.1,
        sigmaY=max(sigma, 0.5),
        borderType=cv2.BORDER_REPLICATE,
    )[:, 0]
    return blurred


def _grain(strip: Array, shape: tuple[int, int]) -> Array:
    """Return noise as strong as the grain of `strip`, float32 (*shape, 1). It is always the same."""
    luma = strip.mean(axis=2)
    fine = luma - cv2.GaussianBlur(luma, (0, 0), 1.2)
    # 1.48 times the median absolute deviation estimates the standard deviation of Gaussian noise.
    strength = min(1.48 * float(np.median(np.abs(fine))), GRAIN_MOST)
    noise = cv2.GaussianBlur(np.random.default_rng(3).standard_normal(shape, np.float32), (0, 0), 0.7)
    grain: Array = (noise * (strength / max(float(noise.std()), 1e-6)))[..., None]
    return grain


def _outline(picture: Picture, matte: Picture, most: int, head_end: int) -> Array | None:
    """Return the height of the shoulder in each of the last `most` columns or fewer, a smooth curve; None if the edge
    cuts no shoulder.

    `head_end`: the search begins at this row.
    """
    count = min(most, matte.shape[1])
    # A morphological closing fills holes of the matte.
    whole = cv2.morphologyEx(matte[:, -count:], cv2.MORPH_CLOSE, np.ones((most // 3 + 1, 1), np.uint8))
    clear = whole[::-1] <= 127
    if count < 8 or clear[0, -1]:
        return None
    first = np.where(clear.any(axis=0), clear.argmax(axis=0), len(matte))
    top = np.maximum(cv2.medianBlur((len(matte) - first).astype(np.float32).reshape(1, -1), 5)[0], head_end)
    jumps = np.flatnonzero(np.abs(np.diff(top)) > 8)
    begin = int(jumps[-1]) + 1 if len(jumps) else 0
    begin = min(begin, count - 8)
    near = np.arange(begin, count, dtype=np.float32) - (count - 1)
    fit = np.polynomial.Polynomial.fit(
        near, top[begin:], 2 if len(near) > 24 else 1, w=np.exp(near / max(8.0, 0.4 * len(near)))
    )
    outline = fit(near).astype(np.float32)
    # A matte is soft. The picture shows more exactly where the cloth ends.
    depth = np.arange(-SEEK_PX, SEEK_PX + 1, dtype=np.float32)
    profile = _laid_flat(picture, outline[-16:], depth).astype(np.float32).mean(axis=1)
    profile = cv2.GaussianBlur(profile[:, None], (1, 0), sigmaX=0.1, sigmaY=1.5, borderType=cv2.BORDER_REPLICATE)[:, 0]
    step = np.abs(np.diff(profile, axis=0)).sum(axis=1)
    if top[-1] > head_end:
        outline += depth[int(step.argmax())] + 0.5
    return None if outline[-1] > len(matte) - 3 else outline


def _laid_flat(picture: Picture, outline: Array, depth: Array) -> Picture:
    """Return the cloth under the last columns of the outline, flattened: row k shows what lies `depth[k]` px below the
    outline; uint8 (len(depth), len(outline), 3).
    """
    x = np.arange(picture.shape[1] - len(outline), picture.shape[1], dtype=np.float32)
    map_x = np.broadcast_to(x[None, :], (len(depth), len(x))).copy()
    map_y = (outline[None, :] + depth[:, None]).astype(np.float32)
    return np.asarray(cv2.remap(picture, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _shoulder(picture: Picture, outline: Array, count: int, room: float, drop: float) -> tuple[Array, Array]:
    """Continue a shoulder by `count` columns. Return its cloth (H, count, 3) and its opacity (H, count).

    `room`: px to the place where the arm hangs straight down; `drop`: the row that the outline reaches before that.
    """
    height = len(picture)
    first = float(np.clip((outline[-1] - outline[-5]) / 4.0, SLOPE_LEAST, SLOPE_MOST))
    slope = min(SLOPE_MOST, max(first, 0.6 * (drop - float(outline[-1])) / room))
    # The cloth is flattened, continued, and then put under the continuation of the outline.
    depth = np.arange(0, height - int(outline[-1]) + 2, dtype=np.float32)
    flat = _laid_flat(picture, outline, np.maximum(depth, RIM_PX))
    cloth = _extend(flat, count, blur_growth=CLOTH_BLUR_GROWTH)
    d = np.arange(1, count + 1, dtype=np.float32)
    share = np.clip(d / room, 0, 0.98)
    begun = first + (slope - first) * np.minimum(1.0, d / (0.25 * room))  # the slope changes gradually
    fall = begun * d / np.sqrt(1.0 - share * share) + np.where(d >= room, 4.0 * height, 0)
    steep = slope / (1.0 - share * share) ** 1.5
    under = np.arange(height, dtype=np.float32)[:, None] - (outline[-1] + fall)[None, :]
    across = under / np.sqrt(1.0 + steep * steep)[None, :]  # px from the outline, perpendicular to it
    opacity = np.clip(0.5 + across / 2.0, 0, 1).astype(np.float32)
    map_x = np.broadcast_to((d - 1)[None, :], under.shape).astype(np.float32)
    map_y = np.clip(across * np.float32(np.sqrt(1.0 + slope * slope)), 0, len(depth) - 1).astype(np.float32)
    return cv2.remap(cloth, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), opacity
