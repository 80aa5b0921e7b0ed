"""Eyes: balls with painted irises under clear corneas, the moist rim along the lower lid, and the caruncle (the small
pink lump in the inner corner).
"""

from __future__ import annotations

import numpy as np
import paint
from blender import add, make_mesh, set_colour, to_blender
from figure import Figure
from materials import cornea_material, eye_material

# Vertices of the margins of the left lids, from the inner corner outwards.
UPPER_LID = [14766, 14773, 14774, 14775, 14794, 14795, 14791, 14790, 14789, 14788, 14787, 14786]
LOWER_LID = [14776, 14777, 14778, 14779, 14780, 14781, 14782, 14783, 14784]
CARUNCLE_OFFSET = np.array([0.010, -0.014, -0.030])  # from the inner corner of the left eye, decimetres
CARUNCLE_RADII = np.array([0.018, 0.013, 0.010])


def build_eyes(figure: Figure, person: dict) -> np.ndarray:
    """Add both eyes to the scene. Return the centre of the left eye."""
    rng = np.random.default_rng(person["seed"])
    left = figure.vertices[np.unique(figure.quads["helper-l-eye"])]
    low, high = left.min(0), left.max(0)
    radius = (high[0] - low[0]) / 2 * 1.025
    size = radius / 0.148  # relative to the eye of the reference shape
    centre = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2] + radius * 0.955])
    iris = person.get("iris_radius", 0.070) * size
    rings, spokes = 260, 360
    polar = np.concatenate([np.linspace(0, 0.68, 200), np.linspace(0.69, np.pi, 60)])
    turn = np.linspace(0, 2 * np.pi, spokes, endpoint=False)
    p, a = np.meshgrid(polar, turn, indexing="ij")
    ball = np.stack([np.sin(p) * np.cos(a), np.sin(p) * np.sin(a), np.cos(p)], -1) * radius
    r = np.where(p < np.pi / 2, np.sin(p) * radius / iris, 9)  # 1 at the edge of the iris
    dish = np.clip(1 - r, 0, 1)
    ball[..., 2] -= 0.010 * size * np.minimum(dish * 3, 1)
    colour = iris_colour(r, a, person, rng)
    white = np.array(person.get("white", (0.62, 0.565, 0.525))) * (1 - 0.14 * np.clip((r - 1.2) / 1.2, 0, 1))[..., None]
    vein = np.clip(paint.noise((ball * [1, 3, 1] / size).reshape(-1, 3), 0.02, 50).reshape(r.shape), 0, 1) * np.clip(
        (r - 1.4) / 1.2, 0, 1
    )
    white = white * (1 - vein[..., None] * [0.02, 0.16, 0.15])
    edge = paint.step(r, 0.92, 1.10)[..., None]
    colour = colour * (1 - edge) + white * edge
    # The upper lid and its lashes shade the ball.
    shade = paint.step(ball[..., 1] / radius, person.get("lid_shade_from", 0.10), 0.62)
    colour = np.clip(colour * (1 - shade[..., None] * [0.50, 0.54, 0.56]), 0.001, 0.9)
    index = np.arange(rings * spokes).reshape(rings, spokes)
    faces = np.stack([index[:-1], np.roll(index[:-1], -1, 1), np.roll(index[1:], -1, 1), index[1:]], -1).reshape(-1, 4)
    clear = np.stack([np.sin(p) * np.cos(a), np.sin(p) * np.sin(a), np.cos(p)], -1) * (radius + 0.0006)
    clear[..., 2] += 0.022 * size * np.clip(1 - (r / 1.12) ** 2, 0, 1)
    for shape in (ball, clear):  # the white reaches the corners of the lids, like the skin around a real eyeball
        shape[..., 0] *= 1 + 0.42 * paint.step(p, 0.55, 1.05)
        shape[..., 2] -= 2.2 * np.maximum(np.abs(shape[..., 0]) - 0.134 * size, 0)
    corner = figure.vertices[UPPER_LID[0]]
    nose, temple = corner - centre, figure.vertices[UPPER_LID[-1]] - centre
    eye, cornea = eye_material(), cornea_material()
    toe_in = person.get("toe_in", 0.045)  # the eyes turn towards the camera
    rim = figure.vertices[LOWER_LID]
    for side in (1, -1):
        c, s = np.cos(-side * toe_in), np.sin(-side * toe_in)
        turned = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
        for name, shape, material in (("eye", ball, eye), ("cornea", clear, cornea)):
            points = shape.reshape(-1, 3) @ turned.T + centre * [side, 1, 1]
            mesh = make_mesh(name, to_blender(points), faces)
            set_colour(mesh, "paint", blushed(colour, shape * [side, 1, 1], nose, temple, size).reshape(-1, 3))
            mesh.materials.append(material)
            add(name, mesh)
        build_caruncle((corner + CARUNCLE_OFFSET * size) * [side, 1, 1], size, person)
        build_moist_rim(rim * [side, 1, 1], centre * [side, 1, 1], size)
    return centre


def iris_colour(r: np.ndarray, a: np.ndarray, person: dict, rng: np.random.Generator) -> np.ndarray:
    """Return linear RGB by radius `r` (1 at the edge) and angle `a`: fibres, two rings of colour, a dark border, a
    pupil.
    """
    outer, inner = (np.array(c) for c in person["iris"])
    fibre = (
        sum(
            rng.uniform(0.4, 1) * np.sin(a * k + rng.uniform(0, 6.3) + 1.5 * np.sin(r * rng.uniform(2, 6)))
            for k in (17, 29, 43, 61, 83, 107)
        )
        / 3.2
    )
    crypt = sum(np.sin(a * k + rng.uniform(0, 6.3) + r * rng.uniform(-9, 9)) for k in (5, 7, 11)) / 3
    mix = np.clip((r - 0.46 + 0.10 * crypt) / 0.30, 0, 1)[..., None]
    colour = inner * (1 - mix) + outer * mix
    colour = colour * (1 + 0.60 * fibre[..., None] * np.clip((r - 0.36) * 4, 0, 1)[..., None])
    colour *= (1.25 - 0.95 * np.clip((r - 0.72) / 0.26, 0, 1) ** 1.4)[..., None]
    # Light gathers opposite the key light.
    colour *= (1 + 0.9 * np.clip(-np.sin(a), 0, 1) * np.clip(1 - r, 0, 1) * 2)[..., None]
    pupil = paint.step(r, person.get("pupil", 0.46), person.get("pupil", 0.46) - 0.06)[..., None]
    return colour * (1 - pupil) + 0.002 * pupil


def blushed(colour: np.ndarray, ball: np.ndarray, nose: np.ndarray, temple: np.ndarray, size: float) -> np.ndarray:
    """Make the white of the left eye pink and darker towards its corners. `nose`, `temple`: the corners, (3,) from the
    centre of the eye.
    """
    pink = np.array([0.40, 0.20, 0.16])
    inner = paint.step(ball[..., 0] - nose[0], 0.065 * size, 0.010)
    outer = 0.85 * paint.step(temple[0] - ball[..., 0], 0.085 * size, 0.015)
    amount = (np.maximum(inner, outer) * (ball[..., 2] > 0))[..., None]
    return colour * (1 - amount) + pink * amount


def build_caruncle(centre: np.ndarray, size: float, person: dict) -> None:
    p, a = np.meshgrid(np.linspace(0, np.pi, 24), np.linspace(0, 2 * np.pi, 32, endpoint=False), indexing="ij")
    way = np.stack([np.sin(p) * np.cos(a), np.cos(p), np.sin(p) * np.sin(a)], -1)
    lumpy = 1 + 0.05 * paint.noise(way.reshape(-1, 3), 0.5, 60).reshape(p.shape)[..., None]
    index = np.arange(p.size).reshape(p.shape)
    turned = np.roll(index, -1, 1)
    faces = np.stack([index[:-1], turned[:-1], turned[1:], index[1:]], -1).reshape(-1, 4)
    mesh = make_mesh("caruncle", to_blender((way * lumpy * CARUNCLE_RADII * size + centre).reshape(-1, 3)), faces)
    set_colour(
        mesh, "paint", np.tile(0.6 * np.array(person["skin"]) * person["flush"] + [0.06, 0.015, 0.01], (p.size, 1))
    )
    mesh.materials.append(eye_material())
    add("caruncle", mesh)


def build_moist_rim(margin: np.ndarray, eye: np.ndarray, size: float) -> None:
    """Add the film of tears between the lower lid and the ball, as a thin clear thread."""
    run = np.linspace(0, len(margin) - 1, 60)
    path = np.stack([np.interp(run, np.arange(len(margin)), margin[:, axis]) for axis in range(3)], 1)
    for _ in range(8):
        path[1:-1] = (path[:-2] + 2 * path[1:-1] + path[2:]) / 4
    path += (eye - path) * 0.03 + np.array([0, 0.004, 0]) * size
    turn = np.linspace(0, 2 * np.pi, 10, endpoint=False)
    thick = 0.0055 * size * np.sin(np.linspace(0.15, np.pi - 0.15, 60))[:, None, None]
    tube = path[:, None] + thick * np.stack([0 * turn, np.sin(turn), np.cos(turn)], 1)
    index = np.arange(600).reshape(60, 10)
    quads = np.stack([index[:-1], np.roll(index[:-1], -1, 1), np.roll(index[1:], -1, 1), index[1:]], -1).reshape(-1, 4)
    mesh = make_mesh("rim", to_blender(tube.reshape(-1, 3)), quads)
    mesh.materials.append(cornea_material())
    add("rim", mesh)
