"""The lamps, the sky and the camera, and the finish of the rendered picture."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
from backdrops import draw_backdrop
from blender import add
from mathutils import Vector
from PIL import Image, ImageFilter

WIDTH_PX, HEIGHT_PX = 1200, 900


def light(name: str, place: tuple, target: tuple, size_m: float, power_w: float, colour: tuple = (1, 1, 1)) -> None:
    lamp = bpy.data.lights.new(name, "AREA")
    lamp.shape = "DISK"
    lamp.size, lamp.energy, lamp.color = size_m, power_w, colour
    thing = add(name, lamp)
    thing.location = place
    thing.rotation_euler = (Vector(target) - Vector(place)).to_track_quat("-Z", "Y").to_euler()


LAMPS = {"key": 24.0, "fill": 7.5, "rim": 8.0, "hair": 5.0, "sky": 1.0, "eyes": 1.3}  # watts; the sky as a factor


def build_studio(eye_height_m: float, person: dict, scale: float, samples: int, threads: int) -> None:
    scene = bpy.context.scene
    head = (0, -0.05, eye_height_m - 0.02)
    watts = LAMPS | person.get("lamps", {})
    light("key", (-0.70, -1.15, eye_height_m + 0.60), head, 0.85, watts["key"], (1.0, 0.95, 0.88))
    light("fill", (1.1, -1.2, eye_height_m - 0.05), head, 1.2, watts["fill"], (0.88, 0.94, 1.0))
    light("eyes", (-0.20, -1.20, eye_height_m + 0.24), (0, -0.1, eye_height_m), 0.13, watts["eyes"])  # highlights
    light("rim", (0.80, 0.60, eye_height_m + 0.45), head, 0.5, watts["rim"], (1.0, 0.96, 0.90))
    light("hair", (-0.55, 0.65, eye_height_m + 0.7), head, 0.6, watts["hair"], (0.95, 0.97, 1.0))
    world = bpy.data.worlds.new("world")
    scene.world = world
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs[0].default_value = (
        0.20 * watts["sky"],
        0.222 * watts["sky"],
        0.235 * watts["sky"],
        1,
    )
    camera = bpy.data.cameras.new("camera")
    camera.lens, camera.sensor_fit, camera.sensor_height = 106, "VERTICAL", 36
    thing = add("camera", camera)
    thing.location = (0, -1.28, eye_height_m - 0.050)
    thing.rotation_euler = (np.pi / 2, 0, 0)
    scene.camera = thing
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.seed = samples, True, 1
    scene.cycles.use_adaptive_sampling, scene.cycles.adaptive_threshold = True, 0.03
    (
        scene.cycles.max_bounces,
        scene.cycles.diffuse_bounces,
        scene.cycles.glossy_bounces,
        scene.cycles.transmission_bounces,
    ) = 9, 3, 3, 9
    scene.cycles.transparent_max_bounces = 16
    scene.render.resolution_x, scene.render.resolution_y = int(WIDTH_PX * scale), int(HEIGHT_PX * scale)
    scene.render.threads_mode, scene.render.threads = "FIXED", threads
    scene.view_settings.view_transform = "AgX"
    scene.view_settings.look = "AgX - Medium High Contrast"
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGBA"
    scene.render.film_transparent = True


def blurred(image: np.ndarray, weights: tuple) -> np.ndarray:
    """Blur an image with `weights`, across and down. The edges wrap around."""
    for axis in (0, 1):
        image = sum(w * np.roll(image, k - len(weights) // 2, axis) for k, w in enumerate(weights)) / sum(weights)
    return image


def read_figure(whole: Path, sharp: Path | None, border: tuple[float, float, float, float]) -> np.ndarray:
    """Return the rendered figure: premultiplied RGBA in 0..1. `sharp` replaces the part within `border`."""
    image = Image.open(whole).convert("RGBa")
    if sharp is None:
        return np.asarray(image, np.float64) / 255
    figure = np.asarray(image.resize((WIDTH_PX, HEIGHT_PX), Image.Resampling.LANCZOS), np.float64) / 255
    patch = np.asarray(Image.open(sharp).convert("RGBa"), np.float64) / 255
    height, width = patch.shape[:2]
    left, top = round(border[0] * WIDTH_PX), HEIGHT_PX - round(border[2] * HEIGHT_PX) - height
    y, x = np.mgrid[0:height, 0:width]
    edge = np.minimum(np.minimum(x, width - 1 - x), np.minimum(y, height - 1 - y)) / 40
    weight = np.clip(edge, 0, 1)[..., None]
    part = figure[top : top + height, left : left + width]
    part[:] = part * (1 - weight) + patch * weight
    return figure


def finish(figure: np.ndarray, person: dict, output: Path, final: bool, window: list[float] | None) -> None:
    """Compose the figure with its backdrop, saturate it a little, add faint grain, sharpen, and write a JPEG (a PNG for
    a draft).
    """
    height, width = figure.shape[:2]
    rng = np.random.default_rng(person["seed"])
    name, options = person["backdrop"]
    grey_card = np.full((height, width, 3), 0.55)
    behind = draw_backdrop(name, width, height, person["seed"], **options) if window is None else grey_card
    calm = blurred(figure, (1, 2, 1))
    edge = np.clip(3 * blurred((np.abs(figure[..., 3:] - 0.5) < 0.49).astype(float), (1, 3, 4, 3, 1)), 0, 1)
    # The renderer's denoiser does not smooth the outline of the figure.
    figure = figure * (1 - edge) + calm * edge
    alpha = figure[..., 3:]
    picture = figure[..., :3] + behind * (1 - alpha)
    grey = picture @ [0.3, 0.59, 0.11]
    lively = 1 + (person.get("saturation", 1.12) - 1) * alpha
    picture = grey[..., None] + lively * (picture - grey[..., None])
    picture += rng.normal(0, 0.004, (height, width, 1))
    image = Image.fromarray((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8))
    image = image.filter(ImageFilter.UnsharpMask(radius=1.2, percent=45, threshold=2))
    image.save(output, **({"quality": 91, "optimize": True, "subsampling": 0} if final else {}))
