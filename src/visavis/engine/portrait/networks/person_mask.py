"""MediaPipe's segmentation of persons: how much of each pixel belongs to one."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.portrait.networks.files import read_file
from visavis.engine.portrait.networks.network import Network
from visavis.engine.portrait.networks.regions import Region, sampled

SIDE_PX = 256


class PersonMask:
    def __init__(self) -> None:
        self._network = Network(read_file("person.tflite"))

    def find(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the mask of `picture`, uint8 (H, W, 3): float32 (H, W), 0 to 1."""
        seen = sampled(picture, Region.whole(picture), SIDE_PX).astype(np.float32) / np.float32(255)
        (mask,) = self._network.of_picture(seen)
        height, width = picture.shape[:2]
        full: NDArray[np.float32] = cv2.resize(mask[0, :, :, 0], (width, height), interpolation=cv2.INTER_LINEAR)
        return np.clip(full, 0.0, 1.0)
