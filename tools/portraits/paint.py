"""Colours and masks of the skin, computed per vertex. Positions are in the *reference* shape, so that the paint fits
every other shape too.

All functions take float arrays of one length (decimetres, axes of `figure`) and return values of that length in 0..1,
or linear RGB (n, 3).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Half of the lips' outline in the reference shape, from the middle to the corner: x, y in dm.
UPPER_LIP = np.array(
    [
        (0, 6.043),
        (0.022, 6.050),
        (0.045, 6.056),
        (0.07, 6.053),
        (0.1, 6.044),
        (0.13, 6.031),
        (0.16, 6.014),
        (0.19, 5.992),
        (0.213, 5.977),
        (0.232, 5.966),
    ]
)
LOWER_LIP = np.array(
    [
        (0, 5.893),
        (0.04, 5.894),
        (0.08, 5.901),
        (0.12, 5.915),
        (0.16, 5.934),
        (0.19, 5.950),
        (0.213, 5.960),
        (0.232, 5.966),
    ]
)
BROW = np.array(
    [(0.115, 6.752), (0.16, 6.772), (0.22, 6.793), (0.29, 6.812), (0.36, 6.816), (0.42, 6.800), (0.49, 6.762)]
)


def step(value: Array, start: float, end: float) -> Array:
    """Rise smoothly from 0 at `start` to 1 at `end`; `start` may be the larger one."""
    t = np.clip((value - start) / (end - start), 0, 1)
    return t * t * (3 - 2 * t)


def blob(x: Array, y: Array, centre: tuple[float, float], radius: tuple[float, float]) -> Array:
    return np.exp(-(((x - centre[0]) / radius[0]) ** 2) - ((y - centre[1]) / radius[1]) ** 2)


def noise(points: Array, scale_dm: float, seed: int, octaves: int = 3) -> Array:
    """Return smooth value noise in about -1..1."""
    rng = np.random.default_rng(seed)
    total, weight = np.zeros(len(points)), 1.0
    for _ in range(octaves):
        grid = rng.uniform(-1, 1, (32, 32, 32))
        p = points / scale_dm + rng.uniform(0, 32, 3)
        base = np.floor(p).astype(int)
        t = p - base
        t = t * t * (3 - 2 * t)
        value = np.zeros(len(points))
        for corner in np.ndindex(2, 2, 2):
            w = np.prod([t[:, a] if corner[a] else 1 - t[:, a] for a in range(3)], axis=0)
            i = (base + corner) % 32
            value += w * grid[i[:, 0], i[:, 1], i[:, 2]]
        total += weight * value
        weight, scale_dm = weight * 0.55, scale_dm / 2.03
    return total


def lip_mask(ref: Array, edge_dm: float = 0.011) -> Array:
    x, y = np.abs(ref[:, 0]), ref[:, 1]
    top = np.interp(x, *UPPER_LIP.T)
    bottom = np.interp(x, *LOWER_LIP.T)
    inside = np.minimum(top - y, y - bottom)
    inside = np.where(x > 0.232, -1.0, inside)
    return step(inside, -edge_dm * 0.5, edge_dm) * step(ref[:, 2], 0.9, 1.05)


def brow_mask(ref: Array) -> Array:
    x, y = np.abs(ref[:, 0]), ref[:, 1]
    middle = np.interp(x, *BROW.T)
    half = np.interp(x, [0.10, 0.15, 0.3, 0.42, 0.50], [0.012, 0.03, 0.026, 0.016, 0.004])
    return (
        step(np.abs(y - middle), half * 1.0 + 0.016, half * 0.2)
        * step(x, 0.09, 0.19)
        * step(x, 0.51, 0.47)
        * step(ref[:, 2], 0.7, 0.9)
    )


def skin(ref: Array, person: dict) -> Array:
    """Return the linear RGB of the skin, with lips, cheeks, lids, the shade of the brows and fine mottling."""
    x, y, z = np.abs(ref[:, 0]), ref[:, 1], ref[:, 2]
    base = np.array(person["skin"])
    colour = np.tile(base, (len(ref), 1))
    red = np.array(person["flush"])  # factor per channel where blood shows

    def tint(mask: Array, factor: NDArray[np.float64] | tuple[float, float, float]) -> None:
        colour[:] *= 1 + mask[:, None] * (np.array(factor) - 1)

    face = step(z, 0.5, 0.9)
    tint(0.7 * face * blob(x, y, (0.45, 6.26), (0.30, 0.20)), red)  # cheeks
    tint(0.65 * face * blob(x, y, (0.0, 6.29), (0.13, 0.12)), red)  # nose
    tint(0.30 * face * blob(x, y, (0.0, 5.68), (0.15, 0.10)), red)  # chin
    tint(0.45 * step(x, 0.66, 0.8) * step(y, 6.0, 6.2), red)  # ears
    tint(0.35 * blob(x, y, (0.12, 6.17), (0.06, 0.04)) * face, red)  # wings of the nose
    tint(0.5 * blob(x, y, (0.29, 6.50), (0.17, 0.035)) * face, (0.93, 0.86, 0.88))  # under the eyes
    lid = blob(x, y, (0.30, 6.665), (0.16, 0.04)) * face
    tint(person["lid"] * lid, (0.78, 0.62, 0.60))
    rim = np.maximum(blob(x, y, (0.285, 6.632), (0.13, 0.014)), 0)
    tint(person["liner"] * rim * face, (0.35, 0.28, 0.26))
    tint(0.55 * blob(x, y, (0.285, 6.54), (0.12, 0.012)) * face, (0.95, 0.72, 0.70))  # lower lid margin
    tint(0.7 * (noise(ref, 0.12, 3) * 0.5), (1.10, 0.90, 0.88))  # mottling, both ways
    tint(0.55 * (noise(ref, 0.03, 5, 2) * 0.5), (1.07, 0.88, 0.84))
    spots = np.clip(noise(ref, 0.022, 9, 1) - 0.62, 0, 1) * 3 * face * (blob(x, y, (0.3, 6.33), (0.3, 0.18)) + 0.15)
    tint(person["freckles"] * np.clip(spots, 0, 1), (0.75, 0.6, 0.5))
    if person["stubble"] > 0:
        beard = step(y, 6.16, 6.05) * step(y, 5.35, 5.55) * face * (1 - 0.6 * blob(x, y, (0.33, 6.12), (0.12, 0.12)))
        tint(person["stubble"] * beard * (0.75 + 0.35 * noise(ref, 0.012, 11, 2)), (0.55, 0.58, 0.62))
    tint(person["brow_shade"] * brow_mask(ref), person["brow_tint"])
    # The lips end in a soft shade, not in a line.
    tint(0.6 * blob(x, y, (0.243, 5.967), (0.022, 0.014)) * face, (0.72, 0.56, 0.53))
    tint(np.clip(crease_depth(ref, person) / 0.012, 0, 1) * 0.45, (0.72, 0.58, 0.55))
    age = person.get("age_spots", 0.0)
    if age > 0:
        marks = np.clip(noise(ref, 0.055, 91, 2) - 0.55, 0, 1) * 3 * step(z, 0.4, 0.7)
        tint(age * np.clip(marks, 0, 1), (0.82, 0.66, 0.55))
        tint(age * 0.8 * noise(ref, 0.2, 92), (1.06, 0.92, 0.90))
    lips = lip_mask(ref) * person.get("lip_strength", 1.0)
    stripe = 0.16 * noise(ref * [1, 0.22, 0.22], 0.012, 7, 2) + 0.06 * noise(ref, 0.05, 8)
    lip = np.array(person["lips"]) * (1 + stripe[:, None])
    seam = np.abs(y - 5.981)
    lip *= (1 - 0.25 * step(seam, 0.03, 0.0))[:, None]
    colour = colour * (1 - lips[:, None]) + lip * lips[:, None]
    # The scalp shows through the roots of the hair.
    grown = 0.85 * step(y - scalp_line(np.arctan2(ref[:, 0], z - 0.35)), 0.0, 0.10)[:, None] * (y > 5.9)[:, None]
    return np.clip(colour * (1 - grown) + np.array(person["scalp"]) * grown, 0.002, 0.95)


CREASES = {  # by name: width (dm), depth (dm), and lines of the left side in the reference shape
    "smile": (0.040, 0.020, [[(0.165, 6.20), (0.21, 6.13), (0.265, 6.04), (0.295, 5.95)]]),
    "feet": (
        0.013,
        0.0065,
        [
            [(0.47, 6.60), (0.53, 6.63), (0.58, 6.67)],
            [(0.475, 6.58), (0.55, 6.58), (0.60, 6.57)],
            [(0.47, 6.56), (0.53, 6.53), (0.57, 6.49)],
        ],
    ),
    "forehead": (
        0.020,
        0.0075,
        [
            [(0, 6.955), (0.15, 6.965), (0.30, 6.975), (0.40, 6.95)],
            [(0, 7.045), (0.18, 7.06), (0.33, 7.06)],
            [(0.05, 7.13), (0.2, 7.14), (0.3, 7.13)],
        ],
    ),
    "frown": (0.016, 0.007, [[(0.052, 6.74), (0.060, 6.80), (0.055, 6.87)]]),
    "bags": (0.022, 0.012, [[(0.17, 6.50), (0.24, 6.455), (0.32, 6.445), (0.40, 6.475)]]),
    "corners": (0.025, 0.012, [[(0.262, 5.93), (0.285, 5.88), (0.29, 5.82)]]),
    "lips": (0.007, 0.0022, [[(x, 6.065), (x * 1.05, 6.10)] for x in (0.05, 0.085, 0.12, 0.155)]),
    "neck": (0.022, 0.010, [[(0, 5.30), (0.2, 5.32), (0.4, 5.38)], [(0, 5.18), (0.2, 5.20), (0.4, 5.27)]]),
    "cheeks": (0.016, 0.004, [[(0.36, 6.30), (0.42, 6.20), (0.44, 6.08)], [(0.47, 6.32), (0.50, 6.22), (0.50, 6.12)]]),
}


def _distance(x: Array, y: Array, line: list[tuple[float, float]]) -> Array:
    best = np.full(len(x), 9.0)
    for (ax, ay), (bx, by) in pairwise(line):
        t = np.clip(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / ((bx - ax) ** 2 + (by - ay) ** 2), 0, 1)
        best = np.minimum(best, np.hypot(x - ax - t * (bx - ax), y - ay - t * (by - ay)))
    return best


def crease_depth(ref: Array, person: dict) -> Array:
    """Return the depth of the lines of the face, in dm. `person["creases"]`: weight of each line, by name."""
    x, y, z = (
        np.abs(ref[:, 0]) + 0.012 * noise(ref, 0.10, 71, 2),
        ref[:, 1] + 0.010 * noise(ref, 0.12, 72, 2),
        ref[:, 2],
    )
    total = np.zeros(len(ref))
    for name, weight in person.get("creases", {}).items():
        width, depth, lines = CREASES[name]
        for line in lines:
            ends = [line[0], line[-1]]
            fade = np.minimum(*(step(np.hypot(x - ex, y - ey), 0.0, 0.05 if ex > 0.03 else -1e-6) for ex, ey in ends))
            total += (
                weight
                * depth
                * np.exp(-((_distance(x, y, line) / width) ** 2))
                * (0.25 + 0.75 * fade)
                * step(z, 0.3, 0.5)
            )
    return total


def creases(ref: Array, person: dict) -> Array:
    """Return how far the skin moves along its normal, in dm: inwards at the lines of the face, outwards beside them."""
    lumps = person.get("sag", 0.0) * 0.006 * noise(ref, 0.09, 73, 2) * step(ref[:, 2], 0.4, 0.7) * (1 - lip_mask(ref))
    return -crease_depth(ref, person) + lumps


def scalp_line(azimuth: Array) -> Array:
    """Return the height (dm) above which hair grows, by azimuth around the head's axis (radians; 0 is in front)."""
    degrees = np.degrees(np.abs(azimuth))
    return np.interp(
        degrees, [0, 20, 35, 50, 62, 75, 90, 105, 130, 180], [7.24, 7.23, 7.17, 7.03, 6.84, 6.62, 6.72, 6.55, 6.15, 6.0]
    )
