"""Strands of hair, brows and lashes: polylines, float64 (strands, points, 3) in decimetres with the axes of `figure`,
and a radius for each point in mm.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from paint import BROW, noise, scalp_line, step

Array = NDArray[np.float64]
HEAD_CENTRE = np.array([0.0, 6.85, 0.35])
# From x, y on the face of the reference shape to the place and the normal on this person's face.
Place = Callable[[Array], tuple[Array, Array]]
# Casts rays: from origins and directions to the hits, their normals, and whether each ray hit.
Cast = Callable[[Array, Array], tuple[Array, Array, NDArray[np.bool_]]]


def unit(vectors: Array) -> Array:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9)


class Skull:
    """The distance from the centre of the head to its surface in every direction, smoothed for hair to lie on."""

    def __init__(self, cast: Cast, bridge: int = 10) -> None:
        """`bridge`: how widely hair spans the hollows around the ears, in smoothing steps; 0 for short hair."""
        azimuth, height = np.meshgrid(
            np.linspace(-np.pi, np.pi, 181), np.linspace(-np.pi / 2, np.pi / 2, 91), indexing="ij"
        )
        way = np.stack(
            [np.sin(azimuth) * np.cos(height), np.sin(height), np.cos(azimuth) * np.cos(height)], -1
        ).reshape(-1, 3)
        hits, _, found = cast(HEAD_CENTRE + 3 * way, -way)
        radius = np.where(found, np.linalg.norm(hits - HEAD_CENTRE, axis=1), 0.8).reshape(181, 91)
        for _ in range(3):  # a light blur; the azimuth wraps around
            wrapped = np.concatenate([radius[-2:-1], radius, radius[1:2]])
            radius = (wrapped[:-2] + 2 * radius + wrapped[2:]) / 4
            radius[:, 1:-1] = (radius[:, :-2] + 2 * radius[:, 1:-1] + radius[:, 2:]) / 4
        broad = radius.copy()
        for _ in range(bridge):  # hair spans the hollows in front of and behind the ears
            wrapped = np.concatenate([broad[-2:-1], broad, broad[1:2]])
            broad = np.maximum(radius, (wrapped[:-2] + 2 * broad + wrapped[2:]) / 4)
            broad[:, 1:-1] = np.maximum(radius[:, 1:-1], (broad[:, :-2] + 2 * broad[:, 1:-1] + broad[:, 2:]) / 4)
        self._radius = broad

    def radius(self, way: Array) -> Array:
        a = (np.arctan2(way[..., 0], way[..., 2]) + np.pi) / (2 * np.pi) * 180
        h = (np.arcsin(np.clip(way[..., 1], -1, 1)) / np.pi + 0.5) * 90
        i, j = np.clip(a.astype(int), 0, 179), np.clip(h.astype(int), 0, 89)
        s, t = a - i, h - j
        r = self._radius
        return (r[i, j] * (1 - s) + r[i + 1, j] * s) * (1 - t) + (r[i, j + 1] * (1 - s) + r[i + 1, j + 1] * s) * t


def scalp_roots(count: int, skull: Skull, rng: np.random.Generator) -> Array:
    """Return unit directions from the centre of the head: even over the scalp, fewer at its edge."""
    way = unit(rng.normal(size=(count * 6, 3)))
    point = HEAD_CENTRE + way * skull.radius(way)[:, None]
    azimuth = np.arctan2(way[:, 0], way[:, 2])
    above = point[:, 1] - scalp_line(azimuth) + 0.04 * noise(point, 0.12, 21)
    keep = rng.uniform(size=len(way)) < step(above, -0.015, 0.07)
    return way[keep][:count]


def long_hair(skull: Skull, style: dict, seed: int) -> tuple[Array, Array]:
    """Long hair with a part: it lies on the skull, falls beside the face and ends above the shoulders."""
    rng = np.random.default_rng(seed)
    count, steps = style["count"], 34
    way = scalp_roots(count, skull, rng)
    count = len(way)
    centres = scalp_roots(style["clumps"], skull, np.random.default_rng(seed + 1))
    nearest = np.concatenate([np.argmax(chunk @ centres.T, axis=1) for chunk in np.array_split(way, 40)])
    lead = centres[nearest]
    # A strand is on the side of the part where its root is. Its clump must be on the same side.
    part = style["part_x"]

    def side_of(direction: Array, jitter: Array | float = 0.0) -> Array:
        x = direction[:, 0] * 0.75
        behind = step(direction[:, 2], -0.1, -0.7)  # the part fades into the crown
        return np.where(x - part * (1 - behind) + jitter * step(direction[:, 2], 0.45, 0.20) >= 0, 1.0, -1.0)

    own_side = side_of(way, rng.normal(0, 0.10, count))  # further back, hair crosses the part and covers the skin
    lead = np.where((side_of(lead) == own_side)[:, None], lead, way)

    def goal(direction: Array) -> Array:
        """Return the direction in which a strand leaves the head and starts to hang."""
        x = np.abs(direction[:, 0] * 0.75 - part) + 0.10
        azimuth = np.arctan2(x, direction[:, 2] * 0.85 + 0.12)
        target = np.radians(np.interp(np.degrees(azimuth), [0, 40, 90, 140, 180], style["goal_degrees"]))
        return unit(np.stack([own_side * np.sin(target), np.full(len(direction), -0.32), np.cos(target)], 1))

    t = np.linspace(0, 1, steps)[None, :]
    lying = np.clip(t / style["lying"], 0, 1)  # a strand lies on the skull first, then hangs
    clump = style["clumping"] * step(t, 0.05, 0.8)
    own_goal, lead_goal = goal(way), goal(lead)
    start = unit(way[:, None] * (1 - clump[..., None]) + lead[:, None] * clump[..., None])
    end = unit(own_goal[:, None] * (1 - clump[..., None]) + lead_goal[:, None] * clump[..., None])
    angle = np.arccos(np.clip((start * end).sum(-1), -1, 1)) + 1e-6
    along = lying
    direction = (np.sin((1 - along) * angle)[..., None] * start + np.sin(along * angle)[..., None] * end) / np.sin(
        angle
    )[..., None]
    direction = unit(direction)
    layer = rng.uniform(0.15, 1, count)[:, None] ** 0.8
    lift = style["volume"] * layer * (0.25 + 0.75 * step(t, 0, 0.22))
    lift = lift + style["root_lift"] * np.exp(-(((lying - 0.12) / 0.16) ** 2)) * layer
    points = HEAD_CENTRE + direction * (skull.radius(direction) + lift)[..., None]

    # The hanging part: straight down from the last point on the head, pulled in below the jaw, with a wave that the
    # strands of a clump share.
    fall = np.clip((t - style["lying"]) / (1 - style["lying"]), 0, 1)
    length = style["length"] * (
        0.70 + 0.18 * rng.uniform(size=count)[:, None] ** 0.6 + 0.12 * rng.uniform(size=len(centres))[nearest][:, None]
    )
    if "cut_y" in style:  # a blunt cut: all strands end at one height
        ends = style["cut_y"] + 0.03 * rng.normal(size=(count, 1)) + 0.04 * noise(lead, 0.3, seed + 3, 1)[:, None]
        length = np.maximum(points[:, -1:, 1] - ends, 0.08)
    points[..., 1] -= fall * length
    inward = style["inward"] * np.sin(np.pi * np.clip(fall, 0, 1) ** 1.2) + style["tip_inward"] * fall**2.5
    outward = unit((points - [0, 0, 0.1]) * [1, 0, 1])
    points -= outward * inward[..., None]
    key = lead.copy()
    phase = 3 * noise(key, 0.5, 31)[:, None] + 0.5 * rng.normal(size=(count, 1))
    wave = style["wave"] * step(t, 0.25, 0.9)
    bend = 2 * np.pi * (t * style["wave_turns"]) + phase
    tangent = np.stack([outward[..., 2], np.zeros_like(t + phase), -outward[..., 0]], -1)
    points += tangent * (wave * np.sin(bend))[..., None] + outward * (0.6 * wave * np.cos(bend))[..., None]
    for _ in range(5):  # smooth the kink where strands leave the skull
        points[:, 1:-1] = (points[:, :-2] + 2 * points[:, 1:-1] + points[:, 2:]) / 4
    from_centre = points - HEAD_CENTRE
    distance = np.linalg.norm(from_centre, axis=-1, keepdims=True)
    way_now = from_centre / distance
    least = (skull.radius(way_now) + 0.02 + 0.6 * lift)[..., None]
    inside = step(way_now[..., 1:2], -0.62, -0.45)
    points += way_now * np.maximum(least - distance, 0) * inside * step(t, 0, 0.1)[..., None]
    for _ in range(2):
        points[:, 1:-1] = (points[:, :-2] + 2 * points[:, 1:-1] + points[:, 2:]) / 4
    lock = np.random.default_rng(seed + 9).normal(0, 1, (len(centres), 2))[nearest]
    points += outward * (style["locks"] * lock[:, :1] * step(t, 0.2, 0.75))[..., None]
    points += tangent * (1.3 * style["locks"] * lock[:, 1:] * step(t, 0.35, 1.0))[..., None]
    wander = np.cumsum(rng.normal(size=(count, steps, 3)), axis=1) * style["frizz"]
    stray = np.where(rng.uniform(size=count) < 0.012, 2.4, 1.0)[:, None, None]
    points += wander * stray * step(t, 0.0, 0.3)[..., None]
    radius_mm = np.full((count, steps), style["radius_mm"]) * (1 - 0.75 * step(t, 0.7, 1.0))
    return points, radius_mm


def short_hair(skull: Skull, style: dict, seed: int) -> tuple[Array, Array]:
    """Short hair: cropped at the sides, longer on top, combed up and to one side."""
    rng = np.random.default_rng(seed)
    steps = 12
    way = scalp_roots(style["count"], skull, rng)
    count = len(way)
    root = HEAD_CENTRE + way * skull.radius(way)[:, None]
    top = step(root[:, 1], 6.95, 7.35)
    sweep = unit(np.array(style["sweep"]))
    combed = unit(sweep + 0.25 * way * [1, 0, 0])
    down = unit(np.stack([0.05 * way[:, 0], np.full(count, -1.0), -0.45 - 0.3 * way[:, 2]], 1))
    along = combed * top[:, None] + down * (1 - top[:, None])
    field = np.stack([noise(root, 0.10, seed + k, 2) for k in (1, 2, 3)], 1)
    along = along + style["mess"] * field + 0.10 * rng.normal(size=(count, 3))
    along = unit(along - (along * way).sum(1, keepdims=True) * way)
    length = (style["side_length"] + (style["top_length"] - style["side_length"]) * top) * rng.uniform(0.7, 1.05, count)
    t = np.linspace(0, 1, steps)[None]
    rise = (style["side_rise"] + (style["top_rise"] - style["side_rise"]) * top)[:, None] * rng.uniform(
        0.5, 1.1, (count, 1)
    )
    curl = style["curl"] * top[:, None]
    turn = (
        2
        * np.pi
        * (style["curl_turns"] * t + rng.uniform(0, 0.25, (count, 1)) + 0.5 * noise(root, 0.06, seed + 4, 1)[:, None])
    )
    sideways = np.cross(way, along)
    points = (
        root[:, None]
        + (length[:, None] * t)[..., None] * along[:, None]
        + (curl * t * np.cos(turn))[..., None] * sideways[:, None]
    )
    direction = unit(points - HEAD_CENTRE)
    lift = (
        length[:, None] * rise * np.sin(np.clip(t * 1.25, 0, 1) * np.pi / 2) + curl * t * (1 + np.sin(turn)) + 0.004 * t
    )
    points = HEAD_CENTRE + direction * (skull.radius(direction) + lift)[..., None]
    radius_mm = np.full((count, steps), style["radius_mm"]) * (1 - 0.75 * step(t, 0.5, 1.0))
    return points, radius_mm


def brows(place: Place, person: dict, seed: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    count, steps = person["brow_count"], 6
    u = rng.uniform(0, 1, count)
    x = 0.105 + 0.385 * u * person.get("brow_length", 0.90)
    half = person.get("brow_height", 1.0) * np.interp(
        x, [0.10, 0.15, 0.3, 0.42, 0.50], [0.016, 0.034, 0.028, 0.017, 0.004]
    )
    v = rng.uniform(-1, 1, count)
    y = 6.79 + person.get("brow_arch", 1.0) * (np.interp(x, *BROW.T) - 6.79) + v * half
    keep = rng.uniform(size=count) < 0.25 + 0.75 * step(x, 0.09, 0.20)
    x, y, v, u = x[keep], y[keep], v[keep], u[keep]
    # Hairs rise at the inner end, lie along the brow further out, and meet in its middle.
    angle = np.radians(np.interp(u, [0, 0.15, 0.4, 1], [66, 44, 20, -18]) - 14 * v) + rng.normal(0, 0.16, len(x))
    length = np.interp(u, [0, 0.2, 0.7, 1], [0.05, 0.075, 0.07, 0.045]) * rng.uniform(0.7, 1.15, len(x))
    t = np.linspace(0, 1, steps)[None]
    bend = angle[:, None] - 0.25 * t
    px = x[:, None] + length[:, None] * t * np.cos(bend)
    py = y[:, None] + length[:, None] * t * np.sin(bend)
    points = np.stack([px, py, np.full_like(px, 3.0)], -1)
    points = np.concatenate([points, points * [-1, 1, 1] + rng.normal(0, 0.004, (len(x), 1, 3)) * [1, 1, 0]])
    points = points + np.array(person["brow_shift"]) * [0, 1, 0]
    flat = points.reshape(-1, 3)
    hits, normals = place(flat[:, :2])
    lift = 0.004 + 0.010 * np.sin(np.pi * np.tile(t, (len(points), 1)).ravel() * 0.8)
    lifted = hits + normals * lift[:, None]
    radius_mm = np.tile(0.052 * (1 - 0.8 * t**1.5), (len(points), 1)) * person.get("brow_thickness", 1.0)
    return lifted.reshape(points.shape), radius_mm


def lashes(upper: Array, lower: Array, eye_centre: Array, seed: int, fullness: float = 1.0) -> tuple[Array, Array]:
    """Return the lashes of both eyes. `upper`, `lower`: margins of the left lids, (n, 3), from the inner corner
    outwards.
    """
    rng = np.random.default_rng(seed)
    every, radii = [], []
    t = np.linspace(0, 1, 7)[None]
    for margin, count, longest, up in (
        (upper, int(120 * fullness), 0.070 * fullness, 1.0),
        (lower, int(46 * fullness), 0.026 * fullness, -1.0),
    ):
        at = np.sort(rng.uniform(0.06, 0.95, count))
        run = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(margin, axis=0), axis=1))])
        root = np.stack([np.interp(at * run[-1], run, margin[:, a]) for a in range(3)], 1)
        out = root - eye_centre
        fan = np.stack(
            [
                (at - 0.40) * 1.1 + rng.normal(0, 0.07, count),
                np.full(count, 0.02 * up) + rng.normal(0, 0.05, count),
                np.full(count, 0.9),
            ],
            1,
        )
        fan = unit(fan + 0.4 * unit(out) * [1, 0, 1])
        length = longest * np.interp(at, [0, 0.3, 0.7, 1], [0.3, 0.8, 1, 0.4]) * rng.uniform(0.75, 1.1, count)
        rise = up * (0.08 * t + 0.65 * t**2)
        points = (
            root[:, None]
            + length[:, None, None] * t[..., None] * fan[:, None]
            + np.stack([0 * rise, rise, 0 * rise], -1) * length[:, None, None]
        )
        radius_mm = np.tile((0.075 if up > 0 else 0.035) * (1 - 0.9 * t**1.3), (count, 1))
        every += [points, points * [-1, 1, 1]]
        radii += [radius_mm, radius_mm]
    return np.concatenate(every), np.concatenate(radii)
