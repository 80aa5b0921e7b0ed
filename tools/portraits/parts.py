"""The parts of the person, built from the figure: body and strands."""

from __future__ import annotations

import bpy
import numpy as np
import paint
from blender import DM, add, get_points, make_mesh, set_colour, set_vector, subdivided, to_blender
from figure import Figure
from materials import skin_material

SHOULDER = np.array([1.53, 4.38, 0.21])  # joints of the left arm in the reference shape
ELBOW = np.array([3.09, 2.68, 0.25])


def close_lips(points: np.ndarray, ref: np.ndarray, amount: float) -> np.ndarray:
    """Bring the inner rims of the lips together: the base mesh has a slit between them."""
    seam = 5.981
    x, y, z = np.abs(ref[:, 0]), ref[:, 1], ref[:, 2]
    near = paint.step(x, 0.245, 0.20) * paint.step(z, 1.1, 1.2)
    upper = near * paint.step(y, seam + 0.055, seam + 0.008) * (y > seam - 0.002)
    lower = near * paint.step(y, seam - 0.055, seam - 0.008) * (y <= seam - 0.002)
    out = points.copy()
    out[:, 1] += amount * (0.55 * lower - upper)
    return out


def settle(points: np.ndarray, ref: np.ndarray, person: dict) -> np.ndarray:
    """Let the arms hang, which the base mesh holds out. Flatten ears that hair covers (`ears` below 1)."""
    x = np.abs(ref[:, 0])
    side = np.sign(ref[:, 0])[:, None]
    out = points.copy()
    arm = (ELBOW - SHOULDER) / np.linalg.norm(ELBOW - SHOULDER)
    along = (np.abs(ref) * [1, 0, 0] + ref * [0, 1, 1] - SHOULDER) @ arm
    weight = paint.step(along, -0.55, 0.45) * paint.step(x, 0.75, 1.25) * (ref[:, 1] < 5.3)
    turn = -np.radians(person.get("arms_down_degrees", 33)) * weight
    joint = SHOULDER * [1, 1, 1] + (0, 0.05, 0)
    px, py = out[:, 0] * side[:, 0] - joint[0], out[:, 1] - joint[1]
    out[:, 0] = (joint[0] + px * np.cos(turn) - py * np.sin(turn)) * side[:, 0]
    out[:, 1] = joint[1] + px * np.sin(turn) + py * np.cos(turn)
    below = paint.step(ref[:, 1], 5.5, 5.0)
    out[:, 1] -= below * person.get("slope", 0.10) * paint.step(x, 0.5, 1.6)
    out[:, 0] *= 1 - below * (1 - person.get("shoulders", 0.95)) * paint.step(x, 0.5, 1.6)
    ears = paint.step(x, 0.70, 0.78) * paint.step(ref[:, 1], 5.9, 6.1)
    out[:, 0] -= np.sign(ref[:, 0]) * ears * 0.72 * np.maximum(x - 0.70, 0) * (person.get("ears", 0.0) < 1)
    return out


def build_body(figure: Figure, reference: Figure, person: dict) -> tuple[bpy.types.Object, bpy.types.Mesh]:
    quads = figure.quads["body"]
    middle = reference.vertices[quads]
    quads = quads[(middle[:, :, 1].min(1) > 3.0) & (np.abs(middle[:, :, 0]).max(1) < 3.2)]
    used, faces = np.unique(quads, return_inverse=True)
    ref = reference.vertices[used]
    points = close_lips(settle(figure.vertices[used], ref, person), ref, person.get("lip_closing", 0.012))
    mesh = make_mesh("body", to_blender(points), faces.reshape(-1, 4))
    set_vector(mesh, "ref", ref)
    fine = subdivided(mesh, 3)
    ref = get_points(fine, "ref")
    set_colour(fine, "paint", paint.skin(ref, person))
    lips = paint.lip_mask(ref)
    oily = paint.blob(np.abs(ref[:, 0]), ref[:, 1], (0.0, 6.6), (0.2, 0.6)) * paint.step(ref[:, 2], 0.8, 1.2)
    rough = person.get("roughness", 0.47) - 0.07 * oily - 0.14 * lips + 0.05 * paint.noise(ref, 0.1, 40)
    rough = rough + 0.3 * paint.step(ref[:, 1], 7.2, 7.3)  # a scalp that does not shine in the part of the hair
    rough = rough + 0.2 * paint.blob(np.abs(ref[:, 0]), ref[:, 1], (0.235, 5.976), (0.03, 0.02))
    rough = rough + 0.15 * paint.step(ref[:, 1], 5.9, 5.5)  # a neck that does not shine
    set_colour(fine, "gloss", np.stack([rough, 0.5 + 0.1 * lips, 0 * rough], 1))
    places = get_points(fine)
    normals = np.empty(len(places) * 3, np.float32)
    fine.vertices.foreach_get("normal", normals)
    moved = places + normals.reshape(-1, 3) * DM * paint.creases(ref, person)[:, None]
    fine.vertices.foreach_set("co", moved.astype(np.float32).ravel())
    fine.update()
    fine.materials.append(skin_material(person.get("pores", 1.0), person.get("coat", 0.0)))
    return add("body", fine), fine


def build_strands(name: str, points: np.ndarray, radius_mm: np.ndarray, material: bpy.types.Material) -> None:
    count, steps = radius_mm.shape
    curves = bpy.data.hair_curves.new(name)
    curves.add_curves([steps] * count)
    curves.position_data.foreach_set("vector", to_blender(points).astype(np.float32).ravel())
    attribute = curves.attributes.get("radius") or curves.attributes.new("radius", "FLOAT", "POINT")
    attribute.data.foreach_set("value", (radius_mm * 1e-3).astype(np.float32).ravel())
    curves.materials.append(material)
    add(name, curves)
