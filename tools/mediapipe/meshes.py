"""The face meshes that MediaPipe finds in pictures: run by `tools.faces.evaluate`, in the environment of mediapipe.

    python meshes.py PICTURES.npy MESHES.npy [--follow]

PICTURES: uint8 (N, H, W, 3). MESHES: float64 (N, 478, 2) in px, NaN where no face was found. `--follow`: the pictures
are those of a film; otherwise each is looked at by itself.
"""

from __future__ import annotations

import sys

import numpy as np

import mediapipe as mp


def main(pictures_path: str, meshes_path: str, *options: str) -> None:
    """Find the mesh in every picture."""
    pictures = np.load(pictures_path)
    size = np.array([pictures.shape[2], pictures.shape[1]], np.float64)
    meshes = np.full((len(pictures), 478, 2), np.nan)
    still = "--follow" not in options
    with mp.solutions.face_mesh.FaceMesh(static_image_mode=still, refine_landmarks=True) as network:
        for mesh, picture in zip(meshes, pictures, strict=True):
            found = network.process(picture).multi_face_landmarks
            if found:
                mesh[:] = np.array([[point.x, point.y] for point in found[0].landmark]) * size
    np.save(meshes_path, meshes)


if __name__ == "__main__":
    main(*sys.argv[1:])
