"""Conversions between numpy arrays and Blender's data."""

from __future__ import annotations

import bpy
import numpy as np

DM = 0.1  # metres


def to_blender(points: np.ndarray) -> np.ndarray:
    """Convert decimetres (y up, z towards the viewer) to metres (z up, -y towards the viewer)."""
    return np.stack([points[..., 0], -points[..., 2], points[..., 1]], -1) * DM


def from_blender(points: np.ndarray) -> np.ndarray:
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], -1) / DM


def add(name: str, data: object) -> bpy.types.Object:
    thing = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(thing)
    return thing


def make_mesh(name: str, points_m: np.ndarray, faces: np.ndarray) -> bpy.types.Mesh:
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(points_m.tolist(), [], faces.tolist())
    mesh.polygons.foreach_set("use_smooth", np.ones(len(faces), bool))
    mesh.update()
    return mesh


def set_vector(mesh: bpy.types.Mesh, name: str, values: np.ndarray) -> None:
    attribute = mesh.attributes.new(name, "FLOAT_VECTOR", "POINT")
    attribute.data.foreach_set("vector", values.astype(np.float32).ravel())


def set_colour(mesh: bpy.types.Mesh, name: str, values: np.ndarray) -> None:
    attribute = mesh.attributes.new(name, "FLOAT_COLOR", "POINT")
    attribute.data.foreach_set(
        "color", np.concatenate([values, np.ones((len(values), 1))], 1).astype(np.float32).ravel()
    )


def get_points(mesh: bpy.types.Mesh, attribute: str | None = None) -> np.ndarray:
    out = np.empty(len(mesh.vertices) * 3, np.float32)
    if attribute is None:
        mesh.vertices.foreach_get("co", out)
    else:
        mesh.attributes[attribute].data.foreach_get("vector", out)
    return out.reshape(-1, 3).astype(np.float64)


def subdivided(mesh: bpy.types.Mesh, levels: int) -> bpy.types.Mesh:
    thing = add("temporary", mesh)
    modifier = thing.modifiers.new("subdivide", "SUBSURF")
    modifier.levels = levels
    fine = bpy.data.meshes.new_from_object(thing.evaluated_get(bpy.context.evaluated_depsgraph_get()))
    bpy.data.objects.remove(thing)
    return fine
