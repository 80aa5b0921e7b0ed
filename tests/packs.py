"""Packs for tests with their own renderer: any content, whose digest matches the pack's reference."""

from __future__ import annotations

import tempfile
from pathlib import Path

from visavis.engine.pack.version import FORMAT_VERSION
from visavis.engine.pack_ref import PackRef, digest_of


def place_pack(data_dir: Path, avatar_id: str = "avat_test", content: bytes = b"a pack") -> PackRef:
    """Write a pack into a data folder, where a stage on this machine finds it; return its reference."""
    with tempfile.TemporaryDirectory(dir=data_dir) as folder:
        (Path(folder) / "pack.npz").write_bytes(content)
        ref = PackRef(avatar_id=avatar_id, version=FORMAT_VERSION, digest=digest_of(Path(folder)))
    placed = ref.folder_in(data_dir / "avatars")
    placed.mkdir(parents=True, exist_ok=True)
    (placed / "pack.npz").write_bytes(content)
    return ref
