"""What stands about the person beyond the edges of the photo: the background goes on, and so do shoulders that an edge
cuts off.

A portrait rarely has the shape of the output. The continuation is made once for a size and joined to the picture, the
matte and the background, so that whoever renders them knows of no edge.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.render.framing import Frame
from visavis.engine.render.landmarks import CHIN
from visavis.engine.render.pack import AvatarPack

Array = NDArray[np.float32]
Picture = NDArray[np.uint8]

SPARE_PX = 4  # continued beyond what is seen, of the picture
# of the picture's side: from this much beside an edge the continuation takes its colours and their slope
BAND_SHARE = 0.16
# what goes on is the more out of focus the further it is: px a px beyond the edge, and of the edge's length
BLUR_GROWTH, BLUR_MOST = 0.4, 0.09
BLURS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)  # px; of a Gaussian
# eye distances from the middle of the face to where an arm hangs down (shoulders are 450 mm wide, outer eye corners 90
# mm apart)
SHOULDERS = 2.5
SHOULDER_DROP = 1.0  # and from the chin down to the end of the collar bone
SLOPE_LEAST, SLOPE_MOST = 0.18, 2.0  # of a shoulder's outline where the edge cuts it
SEEK_PX = 16  # how far from the matte's edge the outline may lie
RIM_PX = 2.5  # within this of its outline a person's colour still holds some of the background's


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A picture that covers the output, with its matte and its background, arrays as in an AvatarPack; `frame` places
    them.
    """

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
    unit, middle, chin = float(np.linalg.norm(p[33, :2] - p[263, :2])), float(p[1, 0]), float(p[CHIN, 1])
    seen = min(rows, int(np.ceil((height - frame.shift_y) / s + 0.3 * unit)) + SPARE_PX)
    scene = _Sides(
        picture=pack.picture[:seen], matte=pack.matte[:seen], background=pack.background[:seen], unit=unit, chin=chin
    )
    if top:
        turned = scene.turned().continued(top, None).turned()
        scene = replace(turned, chin=chin + top)
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
    """A scene that is continued at its right side; turn or mirror it for the others. `chin`: the row it is in, while
    the scene stands upright.
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
        """Top to the right and back again."""
        picture, matte, background = (
            np.ascontiguousarray(np.swapaxes(a[::-1, ::-1], 0, 1)) for a in (self.picture, self.matte, self.background)
        )
        return replace(self, picture=picture, matte=matte, background=background)

    def continued(self, count: int, reach: float | None) -> _Sides:
        """Return the scene with `count` more columns; `reach`: px from the middle of the face to the edge, None where
        no shoulder can be.
        """
        # At the height of the head an edge cuts hair or a hand, lower down a shoulder. A shoulder goes on.
        outline: Array | None = None
        head_end = len(self.matte)
        if reach is not None:
            head_end = int(np.clip(self.chin + 0.1 * self.unit, 0, len(self.matte)))
            outline = _outline(self.picture, self.matte, int(0.8 * self.unit), head_end)
        scene = self._settled(head_end if outline is not None else len(self.matte))
        ground = self._ground(count)
        if scene is not self:  # near the edge goes on what is cut there, far from it what is behind
            far = np.clip(np.arange(count, dtype=np.float32) / (1.2 * self.unit), 0.0, 1.0)[None, :, None] ** 0.7
            near = scene._ground(count)
            ground = near + (ground - near) * far
        opacity = np.zeros(ground.shape[:2], np.float32)
        whole = ground
        if outline is not None and reach is not None:
            room = max(SHOULDERS * self.unit - reach, 0.5 * self.unit)
            cloth, opacity = _shoulder(scene.picture, outline, count, room, self.chin + SHOULDER_DROP * self.unit)
            whole = ground + (cloth - ground) * opacity[..., None]
        return replace(
            self,
            picture=np.hstack([scene.picture, _rounded(whole)]),
            matte=np.hstack([scene.matte, _rounded(opacity * 255.0)]),
            background=np.hstack([scene.background, _rounded(ground)]),
        )

    def _ground(self, count: int) -> Array:
        """Return the background's continuation, float32 (H, count, 3)."""
        # The light and shade of a person fall on what is near.
        near = cv2.dilate(self.matte, np.ones((3, 3), np.uint8), iterations=max(1, int(0.05 * self.unit)))
        return _extend(
            self.background, count, own=1.0 - np.minimum(near, 32).astype(np.float32) / 32.0, blur_growth=BLUR_GROWTH
        )

    def _settled(self, rows: int) -> _Sides:
        """Return the scene with a person whom the edge cuts in the first `rows` (hair, a hand) coming to rest there:
        part of what stands still.

        So nothing that moves is cut, and what goes on beyond the edge goes on from what is seen.
        """
        cut = cv2.dilate((self.matte[:, -1:] > 127).astype(np.uint8), np.ones((int(0.2 * self.unit) | 1, 1), np.uint8))[
            :, 0
        ].astype(np.float32)
        cut[rows:] = 0.0
        if not cut.any():
            return self
        count = min(self.matte.shape[1], max(4, int(0.4 * self.unit)))
        across = np.clip(np.linspace(0.0, 1.6, count, dtype=np.float32), 0.0, 1.0) ** 2
        still = _along(np.repeat(cut[:, None], 3, axis=1), 0.06 * self.unit)[:, :1] * across[None, :]
        matte, background = self.matte.copy(), self.background.copy()
        opacity = matte[:, -count:].astype(np.float32) / 255.0
        behind = background[:, -count:].astype(np.float32)
        background[:, -count:] = _rounded(behind + (self.picture[:, -count:] - behind) * (still * opacity)[..., None])
        matte[:, -count:] = _rounded(255.0 * opacity * (1.0 - still))
        return replace(self, matte=matte, background=background)


def _rounded(values: Array) -> Picture:
    return np.clip(values + 0.5, 0, 255).astype(np.uint8)


def _extend(image: Picture, count: int, *, blur_growth: float, own: Array | None = None) -> Array:
    """Return `count` columns, float32 (H, count, 3), that go on where `image` (H, W, 3) ends at its right: same
    colours, same slope, same grain.

    Wide colours run on with their slope until it levels out; what is finer is mirrored, and goes out of focus with the
    distance, as things behind a portrait do: nobody sees the same vase twice. `own` (H, W): 0 where the image's detail
    is not its own and shall not go on.
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
    slope = _along(slope, 0.1 * height)
    colour = _along(mean, 0.08 * height) - slope * mean_at
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
    run = 0.8 * band
    most = 26.0  # levels: no wall grows darker or lighter than this beyond its edge
    rise = most * np.tanh(slope * run / most)
    settled = np.clip(beyond / (2.0 * band), 0, 1)[None, :, None] ** 1.5
    out = (
        colour[:, None]
        + (_along(colour, 0.25 * height) - colour)[:, None] * settled
        + rise[:, None] * (1.0 - np.exp(-beyond / run))[None, :, None]
    )
    sigma = np.minimum(blur_growth * beyond, BLUR_MOST * height)
    out += _out_of_focus(np.hstack([detail, detail[:, mirrored]]), reach, sigma)
    out += _grain(strip, (height, count)) * np.sqrt(1.0 - np.exp(-sigma * sigma))[None, :, None]
    beside: Array = out.astype(np.float32)
    return beside


def _out_of_focus(joined: Array, begin: int, sigma: Array) -> Array:
    """Return the columns of `joined`, (H, W, 3), from `begin` on, each blurred by its own `sigma`, px, which only
    grows.
    """
    out = np.empty((joined.shape[0], len(sigma), 3), np.float32)
    for low, high in pairwise(BLURS):
        first, last = (
            int(np.searchsorted(sigma, low, "right" if low else "left")),
            int(np.searchsorted(sigma, high, "right")),
        )
        if first == last:
            continue
        # Between two widths of blur the pictures are mixed.
        share = ((sigma[first:last] - low) / (high - low))[None, :, None]
        out[:, first:last] = _blurred(joined, begin + first, begin + last, low) * (1.0 - share)
        out[:, first:last] += _blurred(joined, begin + first, begin + last, high) * share
    return out


def _blurred(image: Array, first: int, last: int, sigma: float) -> Array:
    """Return columns `first` to `last` of `image` blurred; wide blurs lose nothing at a smaller size."""
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
    wide: Array = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return wide[:, first - left : last - left]


def _along(values: Array, sigma: float) -> Array:
    """Blur (H, 3) along the edge."""
    column = values[:, None, :].astype(np.float32)
    blurred: Array = cv2.GaussianBlur(
        column, (1, 0), sigmaX=0.1, sigmaY=max(sigma, 0.5), borderType=cv2.BORDER_REPLICATE
    )
    return blurred[:, 0]


def _grain(strip: Array, shape: tuple[int, int]) -> Array:
    """Return noise, float32 (*shape, 1), as strong as the grain of `strip`; always the same."""
    luma = strip.mean(axis=2)
    fine = luma - cv2.GaussianBlur(luma, (0, 0), 1.2)
    strength = min(1.48 * float(np.median(np.abs(fine))), 6.0)
    noise = cv2.GaussianBlur(np.random.default_rng(3).standard_normal(shape, np.float32), (0, 0), 0.7)
    grain: Array = noise * (strength / max(float(noise.std()), 1e-6))
    return grain[..., None]


def _outline(picture: Picture, matte: Picture, most: int, head_end: int) -> Array | None:
    """Return the height at which the shoulder begins in each of the last `most` columns or fewer, a smooth curve; None
    if no shoulder is cut there.

    `head_end`: the row from which on it is looked for.
    """
    count = min(most, matte.shape[1])
    # a hole in the matte is no shoulder
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
    # A matte is soft; where exactly cloth ends, the picture shows best.
    depth = np.arange(-SEEK_PX, SEEK_PX + 1, dtype=np.float32)
    profile = _laid_flat(picture, outline[-16:], depth).astype(np.float32).mean(axis=1)
    profile = cv2.GaussianBlur(profile[:, None], (1, 0), sigmaX=0.1, sigmaY=1.5, borderType=cv2.BORDER_REPLICATE)[:, 0]
    step = np.abs(np.diff(profile, axis=0)).sum(axis=1)
    if top[-1] > head_end:
        outline += depth[int(step.argmax())] + 0.5
    return None if outline[-1] > len(matte) - 3 else outline


def _laid_flat(picture: Picture, outline: Array, depth: Array) -> Picture:
    """Return the cloth of the last len(outline) columns, rows being depths under the outline: uint8 (len(depth),
    len(outline), 3).
    """
    x = np.arange(picture.shape[1] - len(outline), picture.shape[1], dtype=np.float32)
    map_x = np.broadcast_to(x[None, :], (len(depth), len(x))).copy()
    map_y = (outline[None, :] + depth[:, None]).astype(np.float32)
    return np.asarray(cv2.remap(picture, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _shoulder(picture: Picture, outline: Array, count: int, room: float, drop: float) -> tuple[Array, Array]:
    """Continue a shoulder by `count` columns. Return cloth (H, count, 3) and opacity (H, count).

    `room`: px to where its arm hangs straight down; `drop`: the row that it has come down to before that.
    """
    height = len(picture)
    first = float(np.clip((outline[-1] - outline[-5]) / 4.0, SLOPE_LEAST, SLOPE_MOST))
    slope = min(SLOPE_MOST, max(first, 0.6 * (drop - float(outline[-1])) / room))
    # The cloth is laid flat: rows are depths under the outline. So it is continued, then hung on the outline's own
    # continuation.
    depth = np.arange(0, height - int(outline[-1]) + 2, dtype=np.float32)
    flat = _laid_flat(picture, outline, np.maximum(depth, RIM_PX))
    cloth = _extend(flat, count, blur_growth=0.08)
    d = np.arange(1, count + 1, dtype=np.float32)
    share = np.clip(d / room, 0, 0.98)
    begun = first + (slope - first) * np.minimum(1.0, d / (0.25 * room))  # an outline bends, it does not break
    fall = begun * d / np.sqrt(1.0 - share * share) + np.where(d >= room, 4.0 * height, 0)
    steep = slope / (1.0 - share * share) ** 1.5
    under = np.arange(height, dtype=np.float32)[:, None] - (outline[-1] + fall)[None, :]
    across = under / np.sqrt(1.0 + steep * steep)[None, :]  # px from the outline, straight across
    opacity = np.clip(0.5 + across / 2.0, 0, 1).astype(np.float32)
    map_x = np.broadcast_to((d - 1)[None, :], under.shape).astype(np.float32)
    map_y = np.clip(across * np.float32(np.sqrt(1.0 + slope * slope)), 0, len(depth) - 1).astype(np.float32)
    return cv2.remap(cloth, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), opacity
