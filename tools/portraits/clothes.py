"""Clothes: shells around the body, with collars, lapels and bands on top. Only what the camera sees from the front is
made.

`person["clothes"]` names a cut of `CUTS`; `garment` is its colour, `under` the colour of what is worn below it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import bpy
import hair
import numpy as np
import paint
from blender import DM, add, from_blender, get_points, make_mesh, to_blender
from materials import cloth_material, shirt_material

Array = np.ndarray
# Necklines: azimuths around the neck, and the height of the neckline at each.
CREW = ([0, 0.6, 1.2, 2.0, np.pi], [4.93, 4.98, 5.10, 5.19, 5.22])
HIGH = ([0, 0.6, 1.2, 2.0, np.pi], [5.10, 5.12, 5.17, 5.24, 5.28])
OPEN = ([0, 0.35, 0.6, 1.2, 2.0, np.pi], [4.55, 4.86, 4.98, 5.12, 5.20, 5.23])


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """The body's fine mesh as arrays, in decimetres. `ref`: its vertices in the reference shape; `points`, `normals`:
    in this person's shape; `faces`: quads; `cast`: casts rays at it.
    """

    ref: Array
    points: Array
    normals: Array
    faces: Array
    cast: Callable

    @classmethod
    def of(cls, body: bpy.types.Mesh, cast: Callable) -> Surface:
        normals = np.empty(len(body.vertices) * 3, np.float32)
        body.vertices.foreach_get("normal", normals)
        faces = np.empty(len(body.polygons) * 4, np.int32)
        body.polygons.foreach_get("vertices", faces)
        return cls(
            ref=get_points(body, "ref"),
            points=from_blender(get_points(body)),
            normals=from_blender(normals.reshape(-1, 3).astype(np.float64)) * DM,
            faces=faces.reshape(-1, 4),
            cast=cast,
        )

    def neckline(self, curve: tuple) -> Array:
        azimuth = np.abs(np.arctan2(self.ref[:, 0], self.ref[:, 2] - 0.15))
        return np.interp(azimuth, *curve)


def shell(
    surface: Surface, name: str, covered: Array, off: float, material: object, seed: int, folds: float = 1.0
) -> None:
    """Add a garment: the part of the body where `covered` is set, moved outwards by `off`, with folds."""
    ref = surface.ref
    used, faces = np.unique(surface.faces[covered[surface.faces].all(1)], return_inverse=True)
    x, y = np.abs(ref[used, 0]), ref[used, 1]
    across = np.stack([0.55 * x + 0.8 * y, 0.8 * x - 0.55 * y, ref[used, 2]], 1)
    depth = paint.step(5.0 - y, 0, 0.5)
    # Large folds run from the shoulders to the chest, small ones around the sleeves.
    crease = paint.noise(across / [0.32, 1.3, 1.0], 1.0, seed, 1) * paint.step(x, 0.05, 0.6)
    small = paint.noise(across / [0.11, 0.5, 0.5], 1.0, seed + 1, 2) * paint.step(x, 0.7, 1.4)
    seam = np.exp(-(((x - 1.40 - 0.12 * (y - 4.5)) / 0.022) ** 2)) * (y > 3.4)
    lift = off + depth * (0.03 + folds * (0.034 * crease + 0.016 * small)) - 0.020 * seam
    mesh = make_mesh(
        name, to_blender(surface.points[used] + surface.normals[used] * lift[:, None]), faces.reshape(-1, 4)
    )
    mesh.materials.append(material)
    add(name, mesh)


def neck_ring(surface: Surface, line: Array, off: float = 0.05) -> Array:
    """Return the neckline as a smooth closed curve, (96, 3)."""
    edge = np.abs(surface.ref[:, 1] - line) < 0.012
    angle = np.arctan2(surface.ref[edge, 0], surface.ref[edge, 2] - 0.15)
    ring = []
    for centre in np.linspace(-np.pi, np.pi, 96, endpoint=False):
        gap = np.abs(np.angle(np.exp(1j * (angle - centre))))
        weight = np.exp(-((gap / 0.05) ** 2)) + 1e-9
        place = (surface.points[edge] + off * surface.normals[edge]) * weight[:, None]
        ring.append(place.sum(0) / weight.sum())
    ring = np.array(ring)
    for _ in range(6):
        ring = (np.roll(ring, 1, 0) + 2 * ring + np.roll(ring, -1, 0)) / 4
    return ring


def collar(
    ring: Array, material: object, *, thick: float, high: float, rise: float = 0.0, flare: float = 0.0, gap: float = 0.0
) -> None:
    """Add a band along `ring`: a tube of `thick` by `high`, `rise` above the ring and `flare` outside it.

    The band is open in front by `gap` radians to each side.
    """
    tangent = np.roll(ring, -1, 0) - np.roll(ring, 1, 0)
    outward = hair.unit((ring - ring.mean(0)) * [1, 0, 1])
    up = hair.unit(np.cross(tangent, outward))
    up *= np.sign(up[:, 1:2])
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    box = np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** 0.7, np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** 0.7
    tube = ring[:, None] + up[:, None] * rise + outward[:, None] * flare
    tube = tube + thick * box[0][None, :, None] * outward[:, None] + high * box[1][None, :, None] * up[:, None]
    index = np.arange(96 * 24).reshape(96, 24)
    following = np.roll(index, -1, 0)
    quads = np.stack([index, np.roll(index, -1, 1), np.roll(following, -1, 1), following], -1).reshape(-1, 4)
    azimuth = np.abs(np.linspace(-np.pi, np.pi, 96, endpoint=False))
    quads = quads.reshape(96, 24, 4)[azimuth >= gap].reshape(-1, 4)
    mesh = make_mesh("collar", to_blender(tube.reshape(-1, 3)), quads)
    mesh.materials.append(material)
    add("collar", mesh)


def panel(
    surface: Surface,
    inner: list,
    outer: list,
    material: object,
    *,
    off: float,
    thick: float = 0.03,
    sides: tuple = (1, -1),
) -> None:
    """Add a flat piece of cloth at the distance `off` from the body. `inner`, `outer`: its edges on the left side, seen
    from the front, as [(x, y), …].
    """
    t, across = np.linspace(0, 1, 90), np.linspace(0, 1, 22)

    def along(curve: list) -> Array:
        points = np.array(curve, float)
        run = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
        return np.stack([np.interp(t * run[-1], run, points[:, axis]) for axis in range(2)], 1)

    a, b = along(inner), along(outer)
    flat = a[:, None] * (1 - across[None, :, None]) + b[:, None] * across[None, :, None]
    for side in sides:
        grid = flat * [side, 1]
        start = np.concatenate([grid, np.full((*grid.shape[:2], 1), 4.0)], -1).reshape(-1, 3)
        hits, _, found = surface.cast(start, np.tile([0.0, 0.0, -1.0], (len(start), 1)))
        z = np.where(found & (hits[:, 2] > -0.1), hits[:, 2], np.nan).reshape(grid.shape[:2])
        for row in range(len(z) - 2, -1, -1):  # above the shoulder the cloth stands up
            z[row] = np.where(np.isnan(z[row]), z[row + 1], z[row])
        z = np.where(np.isnan(z), np.nanmean(z), z)
        for _ in range(25):
            z[1:-1] = (z[:-2] + 2 * z[1:-1] + z[2:]) / 4
            z[:, 1:-1] = (z[:, :-2] + 2 * z[:, 1:-1] + z[:, 2:]) / 4
        rim = np.minimum(np.minimum(across, 1 - across)[None, :] * 10, 1.0) * np.minimum(
            np.minimum(t, 1 - t)[:, None] * 40, 1.0
        )
        z = z + off + thick * (np.sqrt(1 - (1 - rim) ** 2) - 1) * 1.2 + thick * 0.35 * np.sin(np.pi * across)[None, :]
        points = np.concatenate([grid, z[..., None]], -1)
        index = np.arange(z.size).reshape(z.shape)
        quads = np.stack([index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]], -1).reshape(-1, 4)
        mesh = make_mesh("panel", to_blender(points.reshape(-1, 3)), quads[:, ::-side])
        mesh.materials.append(material)
        add("panel", mesh)


def jumper(surface: Surface, person: dict) -> None:
    cloth = cloth_material(person["garment"])
    line = surface.neckline(CREW)
    shell(surface, "garment", surface.ref[:, 1] - line < 0.02, 0.045, cloth, person["seed"] + 5)
    collar(neck_ring(surface, line), cloth, thick=0.035, high=0.075)


def roll_neck(surface: Surface, person: dict) -> None:
    cloth = cloth_material(person["garment"])
    line = surface.neckline(HIGH)
    shell(surface, "garment", surface.ref[:, 1] - line < 0.02, 0.05, cloth, person["seed"] + 5)
    ring = neck_ring(surface, line)
    collar(ring, cloth, thick=0.06, high=0.14, rise=0.02, flare=0.03)
    collar(ring, cloth, thick=0.05, high=0.10, rise=0.10, flare=0.00)


def opening(ref: Array, half: tuple) -> Array:
    """Return which vertices lie outside the front opening. `half`: heights, and half of its width at each."""
    return (np.abs(ref[:, 0]) > np.interp(ref[:, 1], *half)) | (ref[:, 2] < 0.1)


def blazer(surface: Surface, person: dict) -> None:
    """A jacket with lapels over a fine jumper."""
    inner, outer = cloth_material(person["under"], knit=0.5), cloth_material(person["garment"], knit=0.0)
    line = surface.neckline(CREW)
    shell(
        surface,
        "under",
        (surface.ref[:, 1] - line < 0.02) & (np.abs(surface.ref[:, 0]) < 1.0),
        0.03,
        inner,
        person["seed"] + 5,
        0.5,
    )
    collar(neck_ring(surface, line, 0.035), inner, thick=0.028, high=0.06)
    _jacket(surface, person, outer)


def shirt_and_blazer(surface: Surface, person: dict) -> None:
    """A jacket over an open-necked shirt."""
    _shirt(surface, person["under"], person["seed"], 1.0)
    _jacket(surface, person, cloth_material(person["garment"], knit=0.0))


def shirt(surface: Surface, person: dict) -> None:
    _shirt(surface, person["garment"], person["seed"], 9.0)


def _shirt(surface: Surface, colour: tuple, seed: int, half_width: float) -> None:
    cloth = shirt_material(colour)
    line = surface.neckline(OPEN)
    shell(
        surface,
        "shirt",
        (surface.ref[:, 1] - line < 0.02) & (np.abs(surface.ref[:, 0]) < half_width),
        0.035,
        cloth,
        seed + 5,
        0.9,
    )
    wing_inner = [(0.46, 5.16), (0.36, 5.02), (0.20, 4.80), (0.06, 4.56)]
    wing_outer = [(0.58, 5.10), (0.56, 4.92), (0.44, 4.70), (0.32, 4.48)]
    panel(surface, wing_inner, wing_outer, cloth, off=0.10, thick=0.045)
    ring = neck_ring(surface, surface.neckline(([0, 0.5, 0.8, 1.2, 2.0, np.pi], [4.60, 4.95, 5.06, 5.16, 5.24, 5.28])))
    collar(ring, cloth, thick=0.035, high=0.10, rise=0.03, flare=0.0, gap=0.75)
    panel(surface, [(-0.06, 4.46), (-0.06, 3.2)], [(0.06, 4.46), (0.06, 3.2)], cloth, off=0.075, thick=0.02, sides=(1,))


def _jacket(surface: Surface, person: dict, cloth: object) -> None:
    ref = surface.ref
    line = surface.neckline(([0, 0.6, 1.2, 2.0, np.pi], [5.3, 5.1, 5.08, 5.16, 5.20]))
    half = ([3.2, 3.9, 4.4, 4.9, 5.15, 5.4], [0.02, 0.16, 0.36, 0.56, 0.62, 0.62])
    shell(surface, "jacket", (ref[:, 1] < line) & opening(ref, half), 0.085, cloth, person["seed"] + 6, 0.8)
    around = neck_ring(surface, surface.neckline(([0, 0.6, 1.2, 2.0, np.pi], [5.0, 5.02, 5.10, 5.18, 5.22])), 0.10)
    collar(around, cloth, thick=0.045, high=0.14, rise=0.05, flare=0.045, gap=1.0)
    # The collar runs from behind the neck to the notch of the lapel.
    panel(
        surface,
        [(0.56, 5.12), (0.53, 5.02), (0.50, 4.92), (0.45, 4.78), (0.40, 4.66)],
        [(0.74, 5.08), (0.80, 4.98), (0.82, 4.86), (0.80, 4.72), (0.72, 4.64)],
        cloth,
        off=0.19,
        thick=0.045,
    )
    panel(
        surface,
        [(0.43, 4.76), (0.36, 4.52), (0.26, 4.22), (0.14, 3.86), (0.0, 3.4)],
        [(0.76, 4.585), (0.84, 4.56), (0.68, 4.25), (0.42, 3.85), (0.06, 3.4)],
        cloth,
        off=0.17,
        thick=0.045,
    )


def cardigan(surface: Surface, person: dict) -> None:
    """An open cardigan with a broad band, over a blouse."""
    ref = surface.ref
    inner, outer = shirt_material(person["under"]), cloth_material(person["garment"], knit=1.4)
    line = surface.neckline(CREW)
    shell(surface, "under", (ref[:, 1] - line < 0.02) & (np.abs(ref[:, 0]) < 1.0), 0.03, inner, person["seed"] + 5, 0.8)
    collar(neck_ring(surface, line, 0.035), inner, thick=0.022, high=0.05)
    edge = surface.neckline(([0, 0.6, 1.2, 2.0, np.pi], [5.3, 5.1, 5.08, 5.16, 5.20]))
    around = neck_ring(surface, surface.neckline(([0, 0.6, 1.2, 2.0, np.pi], [5.0, 5.02, 5.10, 5.18, 5.22])), 0.10)
    collar(around, outer, thick=0.05, high=0.11, rise=0.03, flare=0.03, gap=1.0)
    half = ([3.2, 3.9, 4.4, 4.9, 5.15, 5.4], [0.20, 0.34, 0.50, 0.62, 0.64, 0.64])
    shell(surface, "cardigan", (ref[:, 1] < edge) & opening(ref, half), 0.09, outer, person["seed"] + 6, 1.2)
    panel(
        surface,
        [(0.54, 5.10), (0.50, 5.0), (0.42, 4.65), (0.30, 4.2), (0.20, 3.8), (0.10, 3.3)],
        [(0.74, 5.06), (0.75, 4.98), (0.66, 4.62), (0.53, 4.2), (0.43, 3.8), (0.33, 3.3)],
        outer,
        off=0.15,
        thick=0.06,
    )


def hoodie(surface: Surface, person: dict) -> None:
    cloth = cloth_material(person["garment"], knit=0.35)
    under = cloth_material(person["under"], knit=0.4)
    line = surface.neckline(CREW)
    near = np.abs(surface.ref[:, 0]) < 0.8
    shell(surface, "under", (surface.ref[:, 1] - line < 0.02) & near, 0.025, under, person["seed"] + 5, 0.3)
    collar(neck_ring(surface, line, 0.03), under, thick=0.025, high=0.055)
    lower = surface.neckline(([0, 0.5, 1.0, 1.5, 2.2, np.pi], [4.62, 4.76, 4.98, 5.10, 5.2, 5.25]))
    shell(surface, "garment", surface.ref[:, 1] - lower < 0.02, 0.075, cloth, person["seed"] + 6, 1.3)
    ring = neck_ring(surface, lower, 0.10)
    back = paint.step(ring[:, 2], 0.9, -0.1)[:, None]
    soft = paint.noise(ring, 0.25, person["seed"], 1)[:, None]
    ring = ring + back * [0, 0.16, 0] + ring * [0.10, 0, 0] * (0.4 + back) + 0.02 * soft
    collar(ring, cloth, thick=0.10, high=0.13, rise=0.02)
    collar(ring * [1.06, 1, 1] + [0, -0.06, -0.02], cloth, thick=0.12, high=0.10, rise=-0.02, flare=0.05)


CUTS = {
    "jumper": jumper,
    "roll neck": roll_neck,
    "blazer": blazer,
    "shirt and blazer": shirt_and_blazer,
    "shirt": shirt,
    "cardigan": cardigan,
    "hoodie": hoodie,
}


def dress(body: bpy.types.Mesh, cast: Callable, person: dict) -> None:
    CUTS[person.get("clothes", "jumper")](Surface.of(body, cast), person)
