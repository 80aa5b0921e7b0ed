"""Buns, curls, fringes and beards, as strands in the format of `hair`."""

from __future__ import annotations

import numpy as np
from hair import HEAD_CENTRE, Array, Skull, scalp_roots, unit
from paint import blob, noise, step


def slerp(start: Array, end: Array, t: Array) -> Array:
    """Return directions between `start` and `end`, (n, 3), at `t`, (n or 1, steps), along the great circle."""
    angle = np.arccos(np.clip((start * end).sum(-1), -1, 1))[:, None] + 1e-6
    return unit(
        (np.sin((1 - t) * angle)[..., None] * start[:, None] + np.sin(t * angle)[..., None] * end[:, None])
        / np.sin(angle)[..., None]
    )


def leads(way: Array, skull: Skull, clumps: int, seed: int) -> tuple[Array, Array]:
    """Return the number and the middle of the clump of each root."""
    centres = scalp_roots(clumps, skull, np.random.default_rng(seed))
    nearest = np.concatenate([np.argmax(chunk @ centres.T, axis=1) for chunk in np.array_split(way, 40)])
    return nearest, centres[nearest]


def swept(skull: Skull, style: dict, seed: int) -> tuple[Array, Array]:
    """Hair combed back into a bun, with a few loose strands in front of the ears."""
    rng = np.random.default_rng(seed)
    steps = 26
    way = scalp_roots(style["count"], skull, rng)
    count = len(way)
    nearest, lead = leads(way, skull, style["clumps"], seed + 1)
    bun = unit(np.array(style["bun"], float))
    t = np.linspace(0, 1, steps)[None]
    goal = unit(bun + 0.10 * rng.normal(size=(count, 3)))
    own = slerp(way, goal, t)
    # Hair at the front goes up before it goes back, which gives it volume.
    clump = (style["clumping"] * step(t, 0.02, 0.35))[..., None]
    direction = unit(own * (1 - clump) + slerp(lead, np.tile(bun, (count, 1)), t) * clump)
    layer = rng.uniform(0.2, 1, (count, 1)) ** 0.7
    crown = step(direction[..., 1], 0.1, 0.75)
    lift = (
        0.012 + style["volume"] * layer * (0.25 + 0.75 * crown) * np.sin(np.pi * np.clip(t * 1.15 + 0.04, 0, 1)) ** 0.6
    )
    ridge = np.random.default_rng(seed + 5).normal(0, 1, (style["clumps"], 2))[nearest]
    lift = lift + style["locks"] * ridge[:, :1] * step(t, 0.05, 0.4) * step(t, 1.0, 0.8)
    points = HEAD_CENTRE + direction * (skull.radius(direction) + lift)[..., None]
    sideways = unit(np.cross(direction, np.tile(bun, (count, steps, 1))))
    wave = style["wave"] * np.sin(2 * np.pi * 1.4 * t + 4 * noise(lead, 0.3, seed + 6, 1)[:, None]) * step(t, 0.05, 0.3)
    points += sideways * (wave + 0.5 * style["locks"] * ridge[:, 1:] * step(t, 0.05, 0.4))[..., None]
    points += np.cumsum(rng.normal(size=(count, steps, 3)), axis=1) * style["frizz"] * step(t, 0.0, 0.3)[..., None]
    radius = np.full((count, steps), style["radius_mm"]) * (0.6 + 0.4 * step(t, 0, 0.1))
    knot, knot_radius = bun_of(skull, bun, style, seed + 7, steps)
    loose, loose_radius = tendrils(skull, style, seed + 8, steps)
    return np.concatenate([points, knot, loose]), np.concatenate([radius, knot_radius, loose_radius])


def bun_of(skull: Skull, bun: Array, style: dict, seed: int, steps: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    count = int(style["count"] * 0.3)
    size = style["bun_size"]
    middle = HEAD_CENTRE + bun * (skull.radius(bun[None])[0] + 0.55 * size)
    clump = rng.integers(0, 90, count)
    base = np.random.default_rng(seed + 1)
    axis = unit(bun + 0.75 * base.normal(size=(90, 3)))[clump]
    axis = unit(axis + 0.10 * rng.normal(size=(count, 3)))
    across = unit(np.cross(axis, base.normal(size=(90, 3))[clump]))
    beside = np.cross(axis, across)
    t = np.linspace(0, 1, steps)[None]
    turn = 2 * np.pi * (base.uniform(0, 1, (90, 1))[clump] + rng.normal(0, 0.03, (count, 1)) + 0.62 * t)
    high = base.uniform(-0.55, 0.55, (90, 1))[clump] + 0.10 * rng.normal(size=(count, 1))
    ring = np.sqrt(np.clip(1 - high**2, 0.1, 1))
    way = (
        across[:, None] * (np.cos(turn) * ring)[..., None]
        + beside[:, None] * (np.sin(turn) * ring)[..., None]
        + (axis * high)[:, None]
    )
    shell = size * (0.80 + 0.20 * rng.uniform(size=(count, 1)) ** 0.5 + 0.05 * base.normal(size=(90, 1))[clump])
    points = middle + way * (shell * (0.86 + 0.14 * np.sin(np.pi * t)))[..., None] * [1.05, 0.88, 1]
    return points, np.full((count, steps), style["radius_mm"])


def tendrils(skull: Skull, style: dict, seed: int, steps: int) -> tuple[Array, Array]:
    """Loose strands at the temples, and short new hair along the hairline."""
    rng = np.random.default_rng(seed)
    count = style.get("tendrils", 0)
    t = np.linspace(0, 1, steps)[None]
    every, radii = [], []
    for side in (1, -1):
        for k in range(3 if count else 0):
            n = count // 3
            root = unit(
                np.array([side * (0.74 + 0.02 * k), 0.16 + 0.10 * k, 0.52 + 0.03 * k]) + 0.02 * rng.normal(size=(n, 3))
            )
            start = HEAD_CENTRE + root * (skull.radius(root) + 0.01)[:, None]
            length = rng.uniform(0.55, 1.0, (n, 1)) * (1.0 - 0.22 * k)
            phase = rng.uniform(0, 6.3)
            out = 0.11 * np.sin(np.pi * np.clip(t * 1.1, 0, 1)) + 0.045 * np.sin(7.5 * t + phase) * t
            points = start[:, None] + np.stack(
                [side * (out + 0 * length), -length * t, (0.05 * np.sin(5 * t + phase) + 0 * length)], -1
            )
            points += np.cumsum(rng.normal(size=(n, steps, 3)), axis=1) * 0.0035
            every.append(points)
            radii.append(np.full((n, steps), style["radius_mm"]) * (1 - 0.8 * step(t, 0.6, 1.0)))
    new = scalp_roots(int(style["count"] * 0.25), skull, rng)
    new = new[(new[:, 2] > 0.15)]
    length = rng.uniform(0.05, 0.16, (len(new), 1))
    along = unit(
        np.stack([1.2 * new[:, 0], 0.9 + 0 * new[:, 0], -0.4 + 0 * new[:, 0]], 1) + 0.3 * rng.normal(size=(len(new), 3))
    )
    root = HEAD_CENTRE + new * skull.radius(new)[:, None]
    every.append(
        root[:, None]
        + along[:, None] * (length * t)[..., None]
        + new[:, None] * (0.010 + 0.35 * length * t * (1 - 0.7 * t))[..., None]
    )
    radii.append(np.full((len(new), steps), style["radius_mm"] * 0.7) * (1 - 0.8 * t))
    return np.concatenate(every), np.concatenate(radii)


def curls(skull: Skull, style: dict, seed: int) -> tuple[Array, Array]:
    """Winding locks: `clumps` of them, `lock_length` long, `curl` wide. Small values make coils, large ones curls."""
    rng = np.random.default_rng(seed)
    steps = style.get("steps", 30)
    clumps = scalp_roots(style["clumps"], skull, np.random.default_rng(seed + 1))
    number = np.repeat(np.arange(len(clumps)), style["count"] // len(clumps))
    count = len(number)
    base = np.random.default_rng(seed + 2)
    way = clumps[number]
    root = HEAD_CENTRE + clumps * skull.radius(clumps)[:, None]
    top = step(root[:, 1], *style.get("top_from", (6.75, 7.3)))
    length = (style["side_length"] + (style["lock_length"] - style["side_length"]) * top) * base.uniform(
        0.7, 1.15, len(clumps)
    )
    front = step(clumps[:, 2], 0.45, 0.85)
    fall = np.stack([0.9 * clumps[:, 0], np.full(len(clumps), -1.0), 0.25 * clumps[:, 2]], 1)
    lean = unit(np.array(style.get("lean", (0.3, 0.0, 0.2)), float))
    t = np.linspace(0, 1, steps)[None]
    drop = style["fall"] * (1 - style.get("front_up", 0.3) * front)
    heading = unit(clumps + style["mess"] * base.normal(size=clumps.shape) * 0.35 + 0.25 * top[:, None] * lean)
    spine = root[:, None] + heading[:, None] * (length[:, None] * t * (1 - 0.42 * drop[:, None] * t))[..., None]
    spine = spine + fall[:, None] * (length * drop)[:, None, None] * (0.62 * t**2)[..., None]
    from_centre = spine - HEAD_CENTRE
    distance = np.linalg.norm(from_centre, axis=-1, keepdims=True)
    spine = HEAD_CENTRE + from_centre / distance * np.maximum(
        distance,
        (skull.radius(from_centre / distance) + style["curl"] * 0.8)[..., None] * np.minimum(1, 0.97 + t)[..., None],
    )
    tangent = unit(np.gradient(spine, axis=1))
    side = unit(np.cross(tangent, unit(clumps[:, None] + [0.1, 0.3, 0.2])))
    other = np.cross(tangent, side)
    hand = base.choice([-1.0, 1.0], (len(clumps), 1))
    turns = style["turns"] * (length / style["lock_length"])[:, None] * base.uniform(0.8, 1.2, (len(clumps), 1))
    bend = 2 * np.pi * (base.uniform(0, 1, (len(clumps), 1)) + hand * turns * t)
    wide = style["curl"] * base.uniform(0.7, 1.25, (len(clumps), 1)) * step(t, 0.0, 0.30) * (1 - 0.35 * t)
    own_turn = rng.normal(0, style.get("loose", 0.45), (count, 1))
    own_wide = np.clip(rng.normal(1, 0.22, (count, 1)), 0.3, 1.6)
    b, w = bend[number] + own_turn, wide[number] * own_wide
    points = spine[number] + side[number] * (w * np.cos(b))[..., None] + other[number] * (w * np.sin(b))[..., None]
    spread = (
        style.get("spread", 0.03)
        * unit(rng.normal(size=(count, 3)))[:, None]
        * (1 - 0.45 * step(t, 0, 0.5) + 0.3 * t)[..., None]
    )
    points += spread - way[:, None] * 0.02 * (t < 0.02)[..., None]
    points += np.cumsum(rng.normal(size=(count, steps, 3)), axis=1) * style["frizz"] * t[..., None]
    radius = np.full((count, steps), style["radius_mm"]) * (1 - 0.75 * step(t, 0.7, 1.0))
    keep = rng.uniform(size=count) < 0.25 + 0.75 * step(length[number], 0.0, 0.06)
    return points[keep], radius[keep]


def fringe(skull: Skull, style: dict, seed: int) -> tuple[Array, Array]:
    """Hair combed from the crown over the forehead and cut above the brows."""
    rng = np.random.default_rng(seed)
    steps = 26
    count = style["fringe_count"]
    azimuth = rng.uniform(-1, 1, count) * 0.80
    back = rng.uniform(0.20, 1.0, count)
    high = 0.72 + 0.72 * back
    root = unit(np.stack([np.sin(azimuth) * np.cos(high), np.sin(high), np.cos(azimuth) * np.cos(high)], 1))
    group = np.round(azimuth * 34 + 0.6 * rng.normal(size=count)) / 34
    pull = azimuth + 0.55 * (group - azimuth)
    low = style["fringe_end"] + 0.018 * rng.normal(size=count) + 0.03 * np.abs(azimuth) + 0.012 * np.sin(group * 91)
    elevation = np.arcsin(np.clip((low - HEAD_CENTRE[1]) / 0.95, -0.3, 0.9))
    end_azimuth = pull * 0.93
    goal = np.stack(
        [np.sin(end_azimuth) * np.cos(elevation), np.sin(elevation), np.cos(end_azimuth) * np.cos(elevation)], 1
    )
    t = np.linspace(0, 1, steps)[None]
    direction = slerp(root, unit(goal), t)
    layer = rng.uniform(0.2, 1, (count, 1))
    lift = (
        0.03
        + style["fringe_volume"] * layer * np.sin(np.pi * (0.12 + 0.80 * t))
        + 0.010 * np.sin(group * 57)[:, None] * step(t, 0.3, 1)
    )
    points = HEAD_CENTRE + direction * (skull.radius(direction) + lift)[..., None]
    points += np.cumsum(rng.normal(size=(count, steps, 3)), axis=1) * style["frizz"]
    return points, np.full((count, steps), style["radius_mm"]) * (1 - 0.6 * step(t, 0.8, 1.0))


def beard_mask(ref: Array, shape: dict) -> Array:
    """Return how much beard grows at each point of the reference shape, 0 to 1."""
    x, y, z = np.abs(ref[:, 0]), ref[:, 1], ref[:, 2]
    cheek = np.interp(
        x, [0.0, 0.22, 0.30, 0.45, 0.60, 0.70], shape.get("cheek_line", (6.13, 6.12, 6.03, 6.05, 6.22, 6.45))
    )
    beard = step(y, cheek + 0.03, cheek - 0.05) * step(y, 5.30, 5.50) * step(z, 0.25, 0.5) * step(x, 0.74, 0.68)
    lips = np.maximum(blob(x, y, (0.0, 5.968), (0.27, 0.088)), blob(x, y, (0.14, 5.975), (0.14, 0.075)))
    philtrum = blob(x, y, (0.0, 6.12), (0.026, 0.06))
    soul = blob(x, y, (0.12, 5.86), (0.06, 0.04))
    return np.clip(beard * (1 - np.clip(1.9 * lips, 0, 1)) * (1 - 0.7 * philtrum) * (1 - 0.55 * soul), 0, 1)


def beard(ref: Array, points: Array, normals: Array, shape: dict, seed: int) -> tuple[Array, Array]:
    """Short hair on the jaw and the upper lip. `ref`, `points`, `normals`: the fine mesh of the face."""
    rng = np.random.default_rng(seed)
    weight = beard_mask(ref, shape)
    index = rng.choice(len(ref), shape["count"], p=weight / weight.sum())
    root = points[index] + 0.008 * rng.normal(size=(len(index), 3)) * [1, 1, 0.2]
    normal = normals[index]
    down = unit(
        np.stack([0.5 * ref[index, 0], np.full(len(index), -1.0), 0.1 + 0 * index], 1)
        + 0.28 * rng.normal(size=(len(index), 3))
    )
    down = unit(down - (down * normal).sum(1, keepdims=True) * normal)
    length = shape["length"] * rng.uniform(0.5, 1.2, (len(index), 1)) * (0.45 + 0.55 * weight[index])[:, None]
    t = np.linspace(0, 1, 6)[None]
    turn = rng.uniform(0, 6.3, (len(index), 1)) + 4.0 * t
    side = np.cross(normal, down)
    strands = (
        root[:, None]
        + down[:, None] * (length * t)[..., None]
        + normal[:, None] * (length * shape.get("rise", 0.5) * t * (1 - 0.35 * t) - 0.004)[..., None]
    )
    strands += side[:, None] * (length * shape.get("curl", 0.15) * t * np.sin(turn))[..., None]
    return strands, np.full((len(index), 6), shape.get("radius_mm", 0.055)) * (1 - 0.7 * t)
