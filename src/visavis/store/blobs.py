"""The store of blobs: a small port with an implementation that uses a folder; s3.py uses an object store. Stages read
packs and pictures from a folder of their own machine (cached_blobs.py, avatars/look_archive.py).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Protocol

import anyio.to_thread

from visavis.store.failures import translated_disk_errors


class Blobs(Protocol):
    """Names are relative paths (`avatars/avat_…/image.jpg`) without `.` and `..`. Calls may wait for a disk or a
    network, but not for each other. They raise `StorageUnusable` if the disk fails.
    """

    async def put(self, name: str, data: bytes) -> None:
        """Write or replace a blob. A reader gets the complete old or the complete new one."""
        ...

    async def get(self, name: str) -> bytes | None: ...

    async def names(self, prefix: str) -> list[str]:
        """Return the sorted names directly in a folder; an empty list if there is no such folder."""
        ...

    async def delete(self, name: str) -> None:
        """Delete a blob. No error if it does not exist."""
        ...

    async def delete_all(self, prefix: str) -> None:
        """Delete everything in a folder. No error if it does not exist."""
        ...


def check_name(name: str) -> str:
    """Return a name, which is a relative path without `.` and `..`. Names are ours: another one is a fault."""
    parts = name.split("/")
    assert all(part and part not in (".", "..") and "\\" not in part and "\0" not in part for part in parts), name
    return name


class FolderBlobs:
    """Blobs as files under one folder."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def _path(self, name: str) -> Path:
        return self._root.joinpath(*check_name(name).split("/"))

    async def put(self, name: str, data: bytes) -> None:
        path = self._path(name)

        def write() -> None:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(path.name + ".part")
            try:
                partial.write_bytes(data)
                partial.replace(path)
            except OSError:
                partial.unlink(missing_ok=True)
                raise

        with translated_disk_errors("The image"):
            await anyio.to_thread.run_sync(write)

    async def get(self, name: str) -> bytes | None:
        path = self._path(name)

        def read() -> bytes | None:
            try:
                return path.read_bytes()
            except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
                return None

        with translated_disk_errors("The image"):
            return await anyio.to_thread.run_sync(read)

    async def names(self, prefix: str) -> list[str]:
        path = self._path(prefix)
        with translated_disk_errors("The images"):
            return await anyio.to_thread.run_sync(
                lambda: sorted(found.name for found in path.iterdir()) if path.is_dir() else []
            )

    async def delete(self, name: str) -> None:
        with translated_disk_errors("The image"):
            await anyio.to_thread.run_sync(lambda: self._path(name).unlink(missing_ok=True))

    async def delete_all(self, prefix: str) -> None:
        await anyio.to_thread.run_sync(lambda: shutil.rmtree(self._path(prefix), ignore_errors=True))
