"""Lamps, wall and camera, and the last touches on the rendered picture."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
from blender import add, make_mesh
from materials import Nodes
from mathutils import Vector
from PIL import Image, ImageFilter

WIDTH_PX, HEIGHT_PX = 1200, 900


def light(name: str, place: tuple, target: tuple, size_m: float, power_w: float, colour: tuple = (1, 1, 1)) -> None:
    lamp = bpy.data.lights.new(name, "AREA")
    lamp.size, lamp.energy, lamp.color = size_m, power_w, colour
    thing = add(name, lamp)
    thing.location = place
    thing.rotation_euler = (Vector(target) - Vector(place)).to_track_quat("-Z", "Y").to_euler()


def build_wall(colours: tuple, height_m: float) -> None:
    """The studio wall, far out of focus: a glow that falls off, seen by the camera only."""
    inner, outer = colours
    n = Nodes("wall")
    window = n.node("TexCoord").outputs["Window"]
    offset = n.node("VectorMath")
    offset.operation = "SUBTRACT"
    n.link(window, offset.inputs[0])
    offset.inputs[1].default_value = (0.47, 0.58, 0)
    size = n.node("VectorMath")
    size.operation = "LENGTH"
    n.link(offset.outputs[0], size.inputs[0])
    cloud = n.node("TexNoise", Vector=window, Scale=2.2, Detail=1.0)
    uneven = n.node("Math")
    uneven.operation = "MULTIPLY_ADD"
    n.link(cloud.outputs[0], uneven.inputs[0])
    uneven.inputs[1].default_value = 0.16
    n.link(size.outputs["Value"], uneven.inputs[2])
    ramp = n.node("ValToRGB", Fac=uneven.outputs[0])
    ramp.color_ramp.interpolation = "EASE"
    ramp.color_ramp.elements[0].position, ramp.color_ramp.elements[0].color = 0.02, (*inner, 1)
    ramp.color_ramp.elements[1].position, ramp.color_ramp.elements[1].color = 0.85, (*outer, 1)
    n.link(n.node("Emission", Color=ramp.outputs["Color"]).outputs[0], n.output.inputs[0])
    square = np.array([(-4, 2, -4), (4, 2, -4), (4, 2, 4), (-4, 2, 4)]) + np.array([0, 0, height_m])
    mesh = make_mesh("wall", square, np.array([(0, 1, 2, 3)]))
    mesh.materials.append(n.material)
    wall = add("wall", mesh)
    wall.visible_diffuse = wall.visible_glossy = wall.visible_transmission = wall.visible_shadow = False


def build_studio(eye_height_m: float, scale: float, samples: int, threads: int) -> None:
    scene = bpy.context.scene
    head = (0, -0.05, eye_height_m - 0.02)
    light("key", (-0.75, -1.15, eye_height_m + 0.62), head, 0.75, 24, (1.0, 0.95, 0.89))
    light("fill", (1.1, -1.2, eye_height_m - 0.05), head, 1.2, 7, (0.86, 0.94, 1.0))
    light("rim", (0.85, 0.75, eye_height_m + 0.55), head, 0.5, 5, (0.92, 0.97, 1.0))
    light("hair", (-0.5, 0.7, eye_height_m + 0.8), head, 0.6, 4, (0.97, 0.97, 1.0))
    world = bpy.data.worlds.new("world")
    scene.world = world
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs[0].default_value = (0.20, 0.225, 0.235, 1)
    camera = bpy.data.cameras.new("camera")
    camera.lens, camera.sensor_fit, camera.sensor_height = 106, "VERTICAL", 36
    thing = add("camera", camera)
    thing.location = (0, -1.28, eye_height_m - 0.050)
    thing.rotation_euler = (np.pi / 2, 0, 0)
    scene.camera = thing
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.seed = samples, True, 1
    scene.cycles.use_adaptive_sampling, scene.cycles.adaptive_threshold = True, 0.03
    scene.cycles.max_bounces, scene.cycles.diffuse_bounces, scene.cycles.glossy_bounces, scene.cycles.transmission_bounces = 9, 3, 3, 9
    scene.cycles.transparent_max_bounces = 16
    scene.render.resolution_x, scene.render.resolution_y = int(WIDTH_PX * scale), int(HEIGHT_PX * scale)
    scene.render.threads_mode, scene.render.threads = "FIXED", threads
    scene.view_settings.view_transform = "AgX"
    scene.view_settings.look = "AgX - Medium High Contrast"
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGB"


def finish(rendered: Path, person: dict, output: Path, final: bool) -> None:
    """Lift the colours a little, add the faintest grain, sharpen, and write the JPEG (a PNG for a draft)."""
    picture = np.asarray(Image.open(rendered).convert("RGB"), np.float64) / 255
    height, width = picture.shape[:2]
    rng = np.random.default_rng(person["seed"])
    grey = picture @ [0.3, 0.59, 0.11]
    picture = grey[..., None] + 1.10 * (picture - grey[..., None])
    picture += rng.normal(0, 0.004, (height, width, 1))
    image = Image.fromarray((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8))
    image = image.filter(ImageFilter.UnsharpMask(radius=1.2, percent=45, threshold=2))
    image.save(output, **({"quality": 92, "optimize": True, "subsampling": 0} if final else {}))
