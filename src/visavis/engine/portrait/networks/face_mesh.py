"""MediaPipe's face mesh with attention: 468 points, refined at lips and eyes, and 5 of each iris.

Its network has three operators of MediaPipe's own, in eleven places. It is cut there into three that LiteRT runs, and
the operators are done here in numpy (`mesh_operators.py`).
"""

from __future__ import annotations

import json
import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.portrait.networks.face_detector import Detections
from visavis.engine.portrait.networks.files import read_file
from visavis.engine.portrait.networks.mesh_operators import OPERATORS
from visavis.engine.portrait.networks.network import Network, Tensor
from visavis.engine.portrait.networks.regions import Region, sampled

SIDE_PX = 192
MESH_POINTS, IRIS_POINTS = 468, 5
AROUND_FACE = 1.5  # the region of the mesh, in sides of the face's box
EYE_RIM_POINTS = 16  # the first points of an eye are on its rim


def region_of(found: Detections, number: int = 0) -> Region:
    """Return where the mesh of a detected face is looked for: a square around its box, turned so that the eyes are
    level.
    """
    left, top, width, height = (float(value) for value in found.boxes[number])
    (first_x, first_y), (second_x, second_y) = found.points[number, :2].tolist()
    side = max(width, height) * AROUND_FACE
    return Region(
        x=left + width / 2,
        y=top + height / 2,
        width=side,
        height=side,
        angle=math.atan2(second_y - first_y, second_x - first_x),
    )


class FaceMesh:
    """The network and its operators."""

    def __init__(self) -> None:
        plan: dict[str, Any] = json.loads(read_file("mesh.json"))
        self._input, self._outputs, self._steps = int(plan["input"]), plan["outputs"], plan["steps"]
        names = [step["network"] for step in self._steps if "network" in step]
        self._networks = {name: Network(read_file(name)) for name in names}
        # The network's lists of the points of lips and eyes are also the places of the refined points in the mesh.
        lists = [step["options"].get("subset_idxs") for step in self._steps if "operator" in step]
        self._refined = [np.array(one) for one in lists if one is not None]

    def find(self, picture: NDArray[np.uint8], region: Region) -> tuple[NDArray[np.float32], float]:
        """Return the mesh of the face in a region of `picture`, uint8 (H, W, 3): float32 (478, 3) in px of it, z on the
        scale of x; and how surely it is a face, 0 to 1.
        """
        seen = sampled(picture, region, SIDE_PX, border=cv2.BORDER_REPLICATE).astype(np.float32) / np.float32(255)
        mesh, *refined, flag = self._run(seen)
        points = np.zeros((MESH_POINTS + 2 * IRIS_POINTS, 3))
        points[:MESH_POINTS] = mesh.reshape(-1, 3)
        irises = [np.arange(IRIS_POINTS) + MESH_POINTS + eye * IRIS_POINTS for eye in (0, 1)]
        for places, flat in zip((*self._refined, *irises), refined, strict=True):
            points[places, :2] = flat.reshape(-1, 2)
        for iris, eye in zip(irises, self._refined[1:], strict=True):
            points[iris, 2] = points[eye[:EYE_RIM_POINTS], 2].mean()
        points = (points / SIDE_PX - [0.5, 0.5, 0]) * region.width
        cosine, sine = math.cos(region.angle), math.sin(region.angle)
        points[:, :2] = points[:, :2] @ np.array([[cosine, sine], [-sine, cosine]]) + [region.x, region.y]
        return points.astype(np.float32), 1 / (1 + math.exp(-float(flag.item())))

    def _run(self, seen: Tensor) -> list[Tensor]:
        tensors: dict[int, Tensor] = {self._input: seen[None]}
        for step in self._steps:
            reads, gives = step["reads"], step["gives"]
            if "network" in step:
                tensors |= self._networks[step["network"]].run(tensors, gives)
            else:
                operator = OPERATORS[step["operator"]]
                tensors[gives[0]] = operator(step["options"], *(tensors[number] for number in reads))
        return [tensors[number] for number in self._outputs]
