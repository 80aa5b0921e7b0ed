"""The avatar pack: everything that a renderer needs for a face, and its files. `bake` makes it from a study."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from visavis.engine.errors import PackUnreadable
from visavis.engine.pack.version import FORMAT_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadBox:
    """The head, hair included, in px of the picture."""

    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AvatarPack:
    """One avatar. Arrays have the height H and width W of `picture` unless another size is given.

    `picture`: uint8 (H, W, 3) RGB, the neutral face, lips closed. `background`: uint8 (H, W, 3) RGB. `matte`: uint8 (H,
    W). `landmarks`: float32 (478, 3), px of `picture`, of the neutral face. `head`: the head with its hair, px of
    `picture`. `teeth`: uint8 (h, w, 4) RGBA, the person's own teeth where the photo shows them, its left upper corner
    `teeth_at` px of `picture` from the middle of the seam; (0, 0, 4) where it shows none. `parted`: how far the lips
    were apart in the photo, in distances of the outer eye corners. `lids`: how far each eye, the viewer's left one
    first, may blink and look: 1 freely, 0 (closed in the photo, behind dark glasses) not at all. `plans`: what
    renderers of this process have prepared for a size, shared between them; not saved.
    """

    picture: NDArray[np.uint8]
    background: NDArray[np.uint8]
    matte: NDArray[np.uint8]
    landmarks: NDArray[np.float32]
    head: HeadBox
    teeth: NDArray[np.uint8]
    teeth_at: tuple[float, float]
    parted: float
    lids: tuple[float, float] = (1.0, 1.0)
    plans: dict[tuple[Any, ...], Any] = field(default_factory=dict, compare=False, repr=False)

    def save(self, folder: Path) -> None:
        """Write the pack into `folder`, which is made if it is missing. The npz is written last: without it, the pack
        is not complete.
        """
        folder.mkdir(parents=True, exist_ok=True)
        checks = np.zeros(4, np.uint32)
        finest = [cv2.IMWRITE_JPEG_QUALITY, 97, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111]
        checks[0] = _write(folder / "picture.jpg", self.picture[..., ::-1], finest)
        checks[1] = _write(folder / "background.jpg", self.background[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        checks[2] = _write(folder / "matte.png", self.matte, [cv2.IMWRITE_PNG_COMPRESSION, 3])
        if self.teeth.size:
            checks[3] = _write(
                folder / "teeth.png", cv2.cvtColor(self.teeth, cv2.COLOR_RGBA2BGRA), [cv2.IMWRITE_PNG_COMPRESSION, 3]
            )
        head = np.array([self.head.left, self.head.top, self.head.right, self.head.bottom], np.float32)
        with (folder / "pack.npz").open("wb") as file:
            np.savez_compressed(
                file,
                format_version=np.int64(FORMAT_VERSION),
                landmarks=self.landmarks,
                head=head,
                teeth_at=np.array(self.teeth_at, np.float32),
                has_teeth=np.bool_(self.teeth.size > 0),
                parted=np.float32(self.parted),
                lids=np.array(self.lids, np.float32),
                checks=checks,
            )

    @classmethod
    def load(cls, folder: Path) -> AvatarPack:
        """Read a pack that `save` wrote. Raises PackUnreadable if it is missing, damaged or of another version."""
        try:
            with np.load(folder / "pack.npz", allow_pickle=False) as data:
                version = int(data["format_version"])
                if version != FORMAT_VERSION:
                    raise PackUnreadable(
                        f"The avatar pack has format {version}; this version reads {FORMAT_VERSION}",
                        suggestion="Prepare the avatar again",
                    )
                landmarks = data["landmarks"].astype(np.float32)
                head = [float(v) for v in data["head"]]
                teeth_at = (float(data["teeth_at"][0]), float(data["teeth_at"][1]))
                has_teeth = bool(data["has_teeth"])
                parted = float(data["parted"])
                lids = (float(data["lids"][0]), float(data["lids"][1]))
                checks = [int(check) for check in data["checks"]]
        except (OSError, KeyError, IndexError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise PackUnreadable(
                f"The avatar pack in {folder.name} cannot be read", suggestion="Prepare the avatar again"
            ) from error
        picture = _read(folder / "picture.jpg", cv2.IMREAD_COLOR, checks[0])[..., ::-1]
        background = _read(folder / "background.jpg", cv2.IMREAD_COLOR, checks[1])[..., ::-1]
        matte = _read(folder / "matte.png", cv2.IMREAD_GRAYSCALE, checks[2])
        teeth = np.zeros((0, 0, 4), np.uint8)
        if has_teeth:
            teeth = cv2.cvtColor(_read(folder / "teeth.png", cv2.IMREAD_UNCHANGED, checks[3]), cv2.COLOR_BGRA2RGBA)
        if landmarks.shape != (478, 3) or not (picture.shape == background.shape and picture.shape[:2] == matte.shape):
            raise PackUnreadable(
                f"The parts of the avatar pack in {folder.name} do not fit together",
                suggestion="Prepare the avatar again",
            )
        return cls(
            picture=np.ascontiguousarray(picture),
            background=np.ascontiguousarray(background),
            matte=matte,
            landmarks=landmarks,
            head=HeadBox(left=head[0], top=head[1], right=head[2], bottom=head[3]),
            teeth=teeth,
            teeth_at=teeth_at,
            parted=parted,
            lids=lids,
        )


def _write(path: Path, image: NDArray[np.uint8], parameters: list[int]) -> int:
    """Write an image file, and return the checksum of its bytes."""
    _, encoded = cv2.imencode(path.suffix, image, parameters)  # writing by OpenCV does not say why it fails
    data = encoded.tobytes()
    path.write_bytes(data)
    return zlib.crc32(data)


def _read(path: Path, flag: int, check: int) -> NDArray[np.uint8]:
    """Read an image file, and compare its checksum: a decoder reads half a JPEG without an error."""
    data = path.read_bytes() if path.exists() else b""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flag) if data and zlib.crc32(data) == check else None
    if image is None:
        raise PackUnreadable(f"The avatar pack lacks a readable {path.name}", suggestion="Prepare the avatar again")
    return np.asarray(image, np.uint8)
