"""Pictures on which the networks are compared with MediaPipe: the library's portraits and variants of them.

python -m tests.engine.portrait.network_pictures PICTURES.npz
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import visavis.library

PORTRAITS = Path(visavis.library.__file__).parent / "portraits"
VARIANTS = 100


def portraits() -> dict[str, NDArray[np.uint8]]:
    """Return the library's portraits by name, uint8 (H, W, 3)."""
    found = {path.stem: cv2.imread(str(path)) for path in sorted(PORTRAITS.glob("*.jpg"))}
    return {name: cv2.cvtColor(picture, cv2.COLOR_BGR2RGB).astype(np.uint8) for name, picture in found.items()}


def variants(count: int = VARIANTS) -> dict[str, NDArray[np.uint8]]:
    """Return turned, moved, cut, darker, noisy and small pictures of the portraits; always the same ones."""
    chance, found = np.random.default_rng(1), {}
    originals = list(portraits().values())
    for number in range(count):
        picture = originals[number % len(originals)]
        height, width = picture.shape[:2]
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), chance.uniform(-35, 35), chance.uniform(0.35, 1.3))
        turn[:, 2] += chance.uniform(-0.2, 0.2, 2) * [width, height]
        if number % 2:
            size = (int(chance.integers(200, 900)), int(chance.integers(200, 900)))
            changed = cv2.warpAffine(picture, turn, size, borderMode=cv2.BORDER_REFLECT)
        else:
            changed = cv2.warpAffine(picture, turn, (width, height))
        if number % 3 == 0:
            changed = np.clip(changed * chance.uniform(0.4, 1.5) + chance.normal(0, 8, changed.shape), 0, 255)
        found[f"variant {number}"] = np.ascontiguousarray(changed, np.uint8)
    return found


if __name__ == "__main__":
    np.savez(sys.argv[1], allow_pickle=False, **(portraits() | variants()))
