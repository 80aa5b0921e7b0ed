"""The files of looks in an object store that all servers share, under the names that they have in a folder
(look_files.py):

    avatars/<look id>/current.json, portraits/<name>/…, packs/<digest>/…

current.json is written last and names the others, so a reader finds the old look or the new one. The look's files
before these stay, because another server may be reading them; those before them are deleted.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from anyio.to_thread import run_sync

from visavis.engine.pack_ref import PackRef, digest_of
from visavis.errors import PackUnreadable
from visavis.store.blobs import Blobs
from visavis.store.failures import translated_disk_errors

FOLDER = "avatars"
CURRENT, PACKS, PORTRAITS = "current.json", "packs", "portraits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Current:
    """What current.json says. `portrait`: a folder of portraits."""

    pack: PackRef
    portrait: str

    def plain(self) -> bytes:
        named = {"version": self.pack.version, "digest": self.pack.digest, "portrait": self.portrait}
        return json.dumps(named).encode()

    @classmethod
    def read(cls, look_id: str, content: bytes) -> Current:
        """Raises ValueError, KeyError, TypeError."""
        stored = json.loads(content)
        pack = PackRef(avatar_id=look_id, version=int(stored["version"]), digest=stored["digest"])
        return cls(pack=pack, portrait=Path(stored["portrait"]).name)


class LookArchive:
    """All calls raise `StorageUnusable` if the object store fails."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def current(self, look_id: str) -> Current | None:
        """Return the look's current files; None if it has none here."""
        content = await self._blobs.get(f"{FOLDER}/{look_id}/{CURRENT}")
        try:
            return None if content is None else Current.read(look_id, content)
        except (ValueError, KeyError, TypeError):
            return None

    async def save(self, look_id: str, current: Current, *, pack: dict[str, bytes], portrait: dict[str, bytes]) -> None:
        """Make these files the look's current ones."""
        look, before = f"{FOLDER}/{look_id}", await self.current(look_id)
        for kind, name, files in ((PACKS, current.pack.digest, pack), (PORTRAITS, current.portrait, portrait)):
            for file, content in files.items():
                await self._blobs.put(f"{look}/{kind}/{name}/{file}", content)
        await self._blobs.put(f"{look}/{CURRENT}", current.plain())
        kept = {one.pack.digest for one in (current, before) if one} | {
            one.portrait for one in (current, before) if one
        }
        for kind in (PACKS, PORTRAITS):
            for name in await self._blobs.names(f"{look}/{kind}"):
                if name not in kept:
                    await self._blobs.delete_all(f"{look}/{kind}/{name}")

    async def fetch(self, look_id: str, current: Current, *, pack_into: Path | None, portrait_into: Path) -> None:
        """Write the files of a look into empty folders. Raises `PackUnreadable` if the pack is not the one that its
        name says: it is made of its content.
        """
        for kind, name, into in (
            (PACKS, current.pack.digest, pack_into),
            (PORTRAITS, current.portrait, portrait_into),
        ):
            if into is None:
                continue
            folder = f"{FOLDER}/{look_id}/{kind}/{name}"
            for file in await self._blobs.names(folder):
                content = await self._blobs.get(f"{folder}/{file}")
                if content is not None:
                    with translated_disk_errors("The avatar"):
                        await run_sync((into / Path(file).name).write_bytes, content)
        if pack_into is not None and await run_sync(digest_of, pack_into) != current.pack.digest:
            raise PackUnreadable("The avatar's pack in the object store is damaged")

    async def delete_from_portraits(self, look_id: str, names: Collection[str]) -> None:
        """Delete these files of all portraits of a look."""
        folder = f"{FOLDER}/{look_id}/{PORTRAITS}"
        for portrait in await self._blobs.names(folder):
            for name in names:
                await self._blobs.delete(f"{folder}/{portrait}/{name}")

    async def delete(self, look_id: str) -> None:
        await self._blobs.delete_all(f"{FOLDER}/{look_id}")
