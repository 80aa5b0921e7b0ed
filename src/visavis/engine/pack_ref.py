"""Names of avatar packs and background pictures. They are made from the content, so they mean the same on every
machine.

This module uses the standard library only, so that the service can name packs and pictures without loading pixels.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

# sorted by name; teeth.png only where the photo shows teeth
PACK_FILES = ("background.jpg", "matte.png", "pack.npz", "picture.jpg", "teeth.png")
_AVATAR_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_PICTURE_ID = re.compile(r"pict_[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PackRef:
    """The name of an avatar pack. `avatar_id`: the look; `version`: the version of the pack's format (FORMAT_VERSION);
    `digest`: the result of `digest_of`.

    Raises ValueError for an invalid id or digest: names come from other machines, and become paths and URLs.
    """

    avatar_id: str
    version: int
    digest: str

    def __post_init__(self) -> None:
        if not _AVATAR_ID.fullmatch(self.avatar_id):
            raise ValueError(f"{self.avatar_id[:64]!r} is not an avatar's id")
        if not _DIGEST.fullmatch(self.digest):
            raise ValueError(f"{self.digest[:64]!r} is not a digest")

    def folder_in(self, avatars_dir: Path) -> Path:
        """Return the folder of the pack: <avatars_dir>/<avatar_id>/packs/<digest>."""
        return avatars_dir / self.avatar_id / "packs" / self.digest


def digest_of(folder: Path) -> str:
    """Return the digest of the pack in `folder`: the SHA-256, in hex, of its files. Other files do not count.

    The files are those of PACK_FILES that exist, in that order. Each gives its name in ASCII, a zero byte, its size
    in bytes as 8 bytes big-endian, and its content. Raises OSError when a file cannot be read or pack.npz is missing.
    """
    digest = hashlib.sha256()
    for name in PACK_FILES:
        path = folder / name
        if name != "pack.npz" and not path.exists():
            continue
        content = path.read_bytes()
        digest.update(name.encode("ascii") + b"\0" + len(content).to_bytes(8, "big"))
        digest.update(content)
    return digest.hexdigest()


def picture_id_of(jpeg: bytes) -> str:
    """Return the name of a background picture: "pict_" and the SHA-256 of its JPEG, in hex."""
    return f"pict_{hashlib.sha256(jpeg).hexdigest()}"


def is_picture_id(text: str) -> bool:
    """Whether the text has the form of a picture's name. Other text must not become a path."""
    return _PICTURE_ID.fullmatch(text) is not None
