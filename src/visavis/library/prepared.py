"""The looks of the library, prepared: their packs, pictures and reports come with Visavis. scripts/prepare_library.py
makes them from the portraits.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

FOLDER = Path(__file__).parent / "prepared"
_SOURCE = "source.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedLook:
    """One look. `folder`: its files. `digest`: the digest of their names and contents."""

    folder: Path
    digest: str

    @classmethod
    def find(cls, slug: str, photo: bytes, *, pack_version: int) -> Self | None:
        """Return the prepared look of the portrait `slug`, None if there is none of this photo and this version."""
        folder = FOLDER / slug
        try:
            source = json.loads((folder / _SOURCE).read_bytes())
        except FileNotFoundError:
            return None
        if (source["photo"], source["pack_version"]) != (_sha256(photo), pack_version):
            return None
        return cls(folder=folder, digest=source["digest"])

    def read(self) -> dict[str, bytes]:
        """Return the content of each file, by name. Raises OSError and, for damaged files, ValueError."""
        files = {path.name: path.read_bytes() for path in self.folder.iterdir() if path.name != _SOURCE}
        if digest_of(files) != self.digest:
            raise ValueError(f"The files in {self.folder} are damaged")
        return files


def save_prepared(slug: str, photo: bytes, files: Mapping[str, bytes], *, pack_version: int) -> None:
    """Make `files` the prepared look of the portrait `slug`."""
    folder = FOLDER / slug
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    source = {"photo": _sha256(photo), "pack_version": pack_version, "digest": digest_of(files)}
    (folder / _SOURCE).write_text(json.dumps(source, indent=2) + "\n", encoding="utf-8")


def digest_of(files: Mapping[str, bytes]) -> str:
    """Return the SHA-256 of the files' names, sizes and contents, in the order of the names."""
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
