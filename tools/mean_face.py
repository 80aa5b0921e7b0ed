"""`python tools/mean_face.py`: writes the mean face, which engine/portrait/placed.py fits to seven points placed by
hand.

It is the mean of the meshes of the library's drawn portraits and of their mirror images, so it resembles nobody and is
symmetric.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from visavis.engine.portrait.face import describe_face, find_face, refine_mesh
from visavis.engine.portrait.models import Models
from visavis.engine.portrait.placed import MEAN_FACE
from visavis.errors import PortraitRefused
from visavis.library import PORTRAITS


def level(picture: np.ndarray, models: Models) -> np.ndarray:
    """Return the mesh of the face in `picture` with the eyes 1 apart on a level line and (0, 0) between them."""
    picture, found = find_face(picture, models)
    face = describe_face(refine_mesh(picture, found, models)[0])
    turn = np.deg2rad(face.roll_deg)
    points = face.landmarks.astype(np.float64)
    points[:, :2] -= face.eye_centre
    points[:, :2] = points[:, :2] @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]).T
    left, right = points[[33, 133]].mean(axis=0), points[[362, 263]].mean(axis=0)
    return points / (right - left)[0]


def partners(own: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
    """Return for each landmark the one that is its mirror image. The nearest pairs are matched first."""
    apart = ((own[:, None] - mirrored[None]) ** 2).sum(axis=2)
    apart = apart + apart.T
    partner = np.full(len(own), -1)
    for i, j in zip(*np.unravel_index(np.argsort(apart, axis=None), apart.shape), strict=True):
        if partner[i] < 0 and partner[j] < 0:
            partner[i], partner[j] = j, i
    return partner


def main() -> None:
    models = Models()
    meshes = []
    partner: np.ndarray | None = None
    for portrait in PORTRAITS:
        picture = np.array(Image.open(portrait.path).convert("RGB"))
        try:
            own, mirrored = level(picture, models), level(np.ascontiguousarray(picture[:, ::-1]), models) * (-1, 1, 1)
        except PortraitRefused:
            continue  # a drawing in which the finder sees no face does not show how faces are built
        if partner is None:
            partner = partners(own, mirrored)
        meshes.append((own + mirrored[partner]) / 2)
    assert meshes, "no portrait shows a face"
    mean = np.mean(meshes, axis=0)
    mean[:, 0] -= (mean[[33, 133], 0].mean() + mean[[362, 263], 0].mean()) / 2
    np.save(MEAN_FACE, mean.astype(np.float32))
    print(f"{MEAN_FACE.name}: the mean of {len(meshes)} drawn portraits and their mirror images")


if __name__ == "__main__":
    main()
