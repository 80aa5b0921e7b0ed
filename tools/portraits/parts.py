"""The parts of the person, built from the figure: body, eyes, strands, garment."""

from __future__ import annotations

import bpy
import hair
import numpy as np
import paint
from blender import DM, add, from_blender, get_points, make_mesh, set_colour, set_vector, subdivided, to_blender
from figure import Figure
from materials import cloth_material, cornea_material, eye_material, skin_material

CARUNCLE, CARUNCLE_RADII = np.array([0.158, 6.570, 1.219]), np.array([0.019, 0.018, 0.010])  # the left eye's, in the figure's axes


def close_lips(points: np.ndarray, ref: np.ndarray, amount: float) -> np.ndarray:
    """The base mesh leaves a slit between the lips: bring their inner rims together."""
    seam = 5.981
    x, y, z = np.abs(ref[:, 0]), ref[:, 1], ref[:, 2]
    near = paint.step(x, 0.245, 0.20) * paint.step(z, 1.1, 1.2)
    upper = near * paint.step(y, seam + 0.055, seam + 0.008) * (y > seam - 0.002)
    lower = near * paint.step(y, seam - 0.055, seam - 0.008) * (y <= seam - 0.002)
    out = points.copy()
    out[:, 1] += amount * (0.55 * lower - upper)
    return out


def settle(points: np.ndarray, ref: np.ndarray, ears_shown: float) -> np.ndarray:
    """The base mesh stands with its arms out: let the shoulders hang. Ears that hair covers (`ears_shown` below 1) lie flat."""
    x = np.abs(ref[:, 0])
    below = paint.step(ref[:, 1], 5.5, 5.0)
    out = points.copy()
    out[:, 1] -= below * (0.20 * paint.step(x, 0.55, 1.9) + 0.9 * paint.step(x, 1.75, 3.0))
    out[:, 0] *= 1 - below * 0.16 * paint.step(x, 0.7, 2.0)
    ears = paint.step(x, 0.70, 0.78) * paint.step(ref[:, 1], 5.9, 6.1)
    out[:, 0] -= np.sign(ref[:, 0]) * ears * 0.72 * np.maximum(x - 0.70, 0) * (ears_shown < 1)
    return out


def build_body(figure: Figure, reference: Figure, person: dict) -> tuple[bpy.types.Object, bpy.types.Mesh]:
    quads = figure.quads["body"]
    middle = reference.vertices[quads]
    quads = quads[(middle[:, :, 1].min(1) > 3.0) & (np.abs(middle[:, :, 0]).max(1) < 3.2)]
    used, faces = np.unique(quads, return_inverse=True)
    ref = reference.vertices[used]
    points = close_lips(settle(figure.vertices[used], ref, person.get("ears", 0.0)), ref, person.get("lip_closing", 0.012))
    mesh = make_mesh("body", to_blender(points), faces.reshape(-1, 4))
    set_vector(mesh, "ref", ref)
    fine = subdivided(mesh, 3)
    ref = get_points(fine, "ref")
    set_colour(fine, "paint", paint.skin(ref, person))
    lips = paint.lip_mask(ref)
    oily = paint.blob(np.abs(ref[:, 0]), ref[:, 1], (0.0, 6.6), (0.2, 0.6)) * paint.step(ref[:, 2], 0.8, 1.2)
    rough = person.get("roughness", 0.47) - 0.07 * oily - 0.14 * lips + 0.05 * paint.noise(ref, 0.1, 40)
    rough = rough + 0.3 * paint.step(ref[:, 1], 7.2, 7.3)  # the scalp does not shine through the part
    rough = rough + 0.2 * paint.blob(np.abs(ref[:, 0]), ref[:, 1], (0.235, 5.976), (0.03, 0.02))
    set_colour(fine, "gloss", np.stack([rough, 0.5 + 0.1 * lips, 0 * rough], 1))
    fine.materials.append(skin_material())
    return add("body", fine), fine


def build_eyes(figure: Figure, person: dict) -> np.ndarray:
    """Eyeballs with painted irises under clear corneas. Returns the left eye's centre."""
    rng = np.random.default_rng(person["seed"])
    left = figure.vertices[np.unique(figure.quads["helper-l-eye"])]
    low, high = left.min(0), left.max(0)
    radius = (high[0] - low[0]) / 2 * 1.025
    centre = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2] + radius * 0.955])
    iris = person.get("iris_radius", 0.064)
    rings, spokes = 260, 360
    polar = np.concatenate([np.linspace(0, 0.62, 200), np.linspace(0.63, np.pi, 60)])
    turn = np.linspace(0, 2 * np.pi, spokes, endpoint=False)
    p, a = np.meshgrid(polar, turn, indexing="ij")
    ball = np.stack([np.sin(p) * np.cos(a), np.sin(p) * np.sin(a), np.cos(p)], -1) * radius
    r = np.sin(p) * radius / iris  # 1 at the edge of the iris
    front = p < np.pi / 2
    r = np.where(front, r, 9)
    dish = np.clip(1 - r, 0, 1)
    ball[..., 2] -= 0.010 * np.minimum(dish * 3, 1)
    outer, inner = (np.array(c) for c in person["iris"])
    fibre = (
        sum(rng.uniform(0.4, 1) * np.sin(a * k + rng.uniform(0, 6.3) + 1.5 * np.sin(r * rng.uniform(2, 6))) for k in (17, 29, 43, 61, 83, 107)) / 3.2
    )
    crypt = sum(np.sin(a * k + rng.uniform(0, 6.3) + r * rng.uniform(-9, 9)) for k in (5, 7, 11)) / 3
    mix = np.clip((r - 0.42 + 0.10 * crypt) / 0.32, 0, 1)[..., None]
    colour = inner * (1 - mix) + outer * mix
    colour = colour * (1 + 0.55 * fibre[..., None] * np.clip((r - 0.36) * 4, 0, 1)[..., None])
    colour *= (1.25 - 0.85 * np.clip((r - 0.76) / 0.24, 0, 1) ** 1.5)[..., None]
    colour *= (1 + 0.35 * np.clip(-np.sin(a), 0, 1) * np.clip(1 - r, 0, 1) * 2)[..., None]  # light gathers opposite the key
    pupil = paint.step(r, 0.45, 0.40)[..., None]
    colour = colour * (1 - pupil) + 0.002 * pupil
    white = np.array([0.70, 0.655, 0.62]) * (1 - 0.10 * np.clip((r - 1.2) / 1.6, 0, 1))[..., None] * [1, 0.97, 0.95]
    vein = np.clip(paint.noise((ball * [1, 3, 1]).reshape(-1, 3), 0.02, 50).reshape(r.shape), 0, 1) * np.clip((r - 1.5) / 1.2, 0, 1)
    white = white * (1 - vein[..., None] * [0.02, 0.16, 0.15])
    edge = paint.step(r, 0.93, 1.07)[..., None]
    colour = np.clip(colour * (1 - edge) + white * edge, 0.001, 0.9)
    index = np.arange(rings * spokes).reshape(rings, spokes)
    faces = np.stack([index[:-1], np.roll(index[:-1], -1, 1), np.roll(index[1:], -1, 1), index[1:]], -1).reshape(-1, 4)
    clear = np.stack([np.sin(p) * np.cos(a), np.sin(p) * np.sin(a), np.cos(p)], -1) * (radius + 0.0006)
    clear[..., 2] += 0.020 * np.clip(1 - (r / 1.12) ** 2, 0, 1)
    for shape in (ball, clear):  # the white goes on to the lids' corners, as the skin around a real eyeball does
        shape[..., 0] *= 1 + 0.42 * paint.step(p, 0.50, 1.05)
        shape[..., 2] -= 2.2 * np.maximum(np.abs(shape[..., 0]) - 0.134, 0)
    nose = np.array([0.14, 6.575, 0.0]) - centre * [1, 1, 0]
    eye, cornea = eye_material(), cornea_material()
    toe_in = person.get("toe_in", 0.045)  # towards the camera
    for side in (1, -1):
        c, s = np.cos(-side * toe_in), np.sin(-side * toe_in)
        turned = np.array([[c, 0, -s * -1], [0, 1, 0], [-s, 0, c]])
        for name, shape, material in (("eye", ball, eye), ("cornea", clear, cornea)):
            points = shape.reshape(-1, 3) @ turned.T + centre * [side, 1, 1]
            mesh = make_mesh(name, to_blender(points), faces)
            set_colour(mesh, "paint", blushed(colour, shape * [side, 1, 1], nose).reshape(-1, 3))
            mesh.materials.append(material)
            add(name, mesh)
        build_caruncle(CARUNCLE * [side, 1, 1])
    return centre


def blushed(colour: np.ndarray, ball: np.ndarray, nose: np.ndarray) -> np.ndarray:
    """The white of the left eye turns pink in its corners, most in the inner one; `nose` is where that is, (3,) from the eye's centre."""
    pink = np.array([0.52, 0.27, 0.22])
    inner = paint.step(ball[..., 0] - nose[0], 0.055, 0.010)
    outer = 0.7 * paint.step(ball[..., 0], 0.085, 0.14)
    amount = (np.maximum(inner, outer) * (ball[..., 2] > 0))[..., None]
    return colour * (1 - amount) + pink * amount


def build_caruncle(centre: np.ndarray) -> None:
    """The small pink lump in the inner corner of an eye."""
    p, a = np.meshgrid(np.linspace(0, np.pi, 24), np.linspace(0, 2 * np.pi, 32, endpoint=False), indexing="ij")
    way = np.stack([np.sin(p) * np.cos(a), np.cos(p), np.sin(p) * np.sin(a)], -1)
    lumpy = 1 + 0.05 * paint.noise(way.reshape(-1, 3), 0.5, 60).reshape(p.shape)[..., None]
    index = np.arange(p.size).reshape(p.shape)
    turned = np.roll(index, -1, 1)
    faces = np.stack([index[:-1], turned[:-1], turned[1:], index[1:]], -1).reshape(-1, 4)
    mesh = make_mesh("caruncle", to_blender((way * lumpy * CARUNCLE_RADII + centre).reshape(-1, 3)), faces)
    set_colour(mesh, "paint", np.tile([0.56, 0.31, 0.25], (p.size, 1)))
    mesh.materials.append(eye_material())
    add("caruncle", mesh)


def build_strands(name: str, points: np.ndarray, radius_mm: np.ndarray, material: bpy.types.Material) -> None:
    count, steps = radius_mm.shape
    curves = bpy.data.hair_curves.new(name)
    curves.add_curves([steps] * count)
    curves.position_data.foreach_set("vector", to_blender(points).astype(np.float32).ravel())
    attribute = curves.attributes.get("radius") or curves.attributes.new("radius", "FLOAT", "POINT")
    attribute.data.foreach_set("value", (radius_mm * 1e-3).astype(np.float32).ravel())
    curves.materials.append(material)
    add(name, curves)


def build_garment(body: bpy.types.Mesh, person: dict) -> None:
    """A knitted pullover: the body from the neckline down, a little larger, with a collar along its edge."""
    ref = get_points(body, "ref")
    points = from_blender(get_points(body))
    normals = np.empty(len(points) * 3, np.float32)
    body.vertices.foreach_get("normal", normals)
    normals = from_blender(normals.reshape(-1, 3).astype(np.float64)) * DM
    line = neckline(ref)
    faces = np.empty(len(body.polygons) * 4, np.int32)
    body.polygons.foreach_get("vertices", faces)
    faces = faces.reshape(-1, 4)
    covered = (ref[:, 1] - line)[faces].max(1) < 0.02
    used, faces = np.unique(faces[covered], return_inverse=True)
    depth = paint.step(line[used] - ref[used, 1], 0, 0.5)
    across = np.stack([0.55 * np.abs(ref[used, 0]) + 0.8 * ref[used, 1], 0.8 * np.abs(ref[used, 0]) - 0.55 * ref[used, 1], ref[used, 2]], 1)
    folds = paint.noise(across / [0.32, 1.3, 1.0], 1.0, person["seed"] + 5, 1)  # from the shoulders to the chest
    folds *= paint.step(np.abs(ref[used, 0]), 0.05, 0.6)
    shell = points[used] + normals[used] * (0.045 + depth * (0.06 + 0.035 * folds))[:, None]
    mesh = make_mesh("garment", to_blender(shell), faces.reshape(-1, 4))
    material = cloth_material(person["garment"])
    mesh.materials.append(material)
    add("garment", mesh)

    edge = np.abs(ref[:, 1] - line) < 0.012
    angle = np.arctan2(ref[edge, 0], ref[edge, 2] - 0.15)
    ring = []
    for centre in np.linspace(-np.pi, np.pi, 96, endpoint=False):
        gap = np.abs(np.angle(np.exp(1j * (angle - centre))))
        weight = np.exp(-((gap / 0.05) ** 2)) + 1e-9
        ring.append((points[edge] * weight[:, None]).sum(0) / weight.sum() + 0.05 * (normals[edge] * weight[:, None]).sum(0) / weight.sum())
    ring = np.array(ring)
    for _ in range(6):
        ring = (np.roll(ring, 1, 0) + 2 * ring + np.roll(ring, -1, 0)) / 4
    tangent = np.roll(ring, -1, 0) - np.roll(ring, 1, 0)
    outward = hair.unit((ring - ring.mean(0)) * [1, 0, 1])
    up = hair.unit(np.cross(tangent, outward))
    up *= np.sign(up[:, 1:2])
    turn = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    tube = ring[:, None] + 0.035 * np.cos(turn)[None, :, None] * outward[:, None] + 0.075 * np.sin(turn)[None, :, None] * up[:, None]
    index = np.arange(96 * 16).reshape(96, 16)
    next_ring = np.roll(index, -1, 0)
    quads = np.stack([index, np.roll(index, -1, 1), np.roll(next_ring, -1, 1), next_ring], -1).reshape(-1, 4)
    collar = make_mesh("collar", to_blender(tube.reshape(-1, 3)), quads)
    collar.materials.append(material)
    add("collar", collar)


def neckline(ref: np.ndarray) -> np.ndarray:
    """Height of the garment's edge by azimuth about the neck: lower in front."""
    azimuth = np.abs(np.arctan2(ref[:, 0], ref[:, 2] - 0.15))
    return np.interp(azimuth, [0, 0.6, 1.2, 2.0, np.pi], [4.93, 4.98, 5.10, 5.19, 5.22])
