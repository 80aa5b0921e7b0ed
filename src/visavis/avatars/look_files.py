"""The files of looks: the photo that a look was made of, its pictures, its report and its pack. The only module that
knows where they lie.

    <avatars folder>/<look id>/
        current.json        which of the following are the look's now
        portraits/<name>/   photo, points.json, image.jpg, preview.jpg, report.json: what a pack can be made of again
        packs/<digest>/     the pack, named by its content (engine/pack_ref.py): what a stage reads
        .staged-<name>/     a preparation that is not complete yet

A look changes in one step. A preparation is written aside and moved to its names; then current.json is replaced
atomically, and names it. So a reader finds the old look or the new one, never a part, and a server that is killed at
any point leaves one of the two. Files that current.json does not name any more are removed by the second sweep that
finds them: a session that is starting may still need them.
"""

from __future__ import annotations

import os
import secrets
import shutil
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import structlog
from anyio.to_thread import run_sync

from visavis.avatars.look_archive import CURRENT, PACKS, PORTRAITS, Current, LookArchive
from visavis.engine.pack.version import FORMAT_VERSION
from visavis.engine.pack_ref import PACK_FILES, PackRef, digest_of
from visavis.engine.portrait.report import IMAGE_NAME, PREVIEW_NAME, REPORT_NAME
from visavis.errors import AvatarNotFound, PackUnreadable, StorageUnusable
from visavis.store.failures import translated_disk_errors

PHOTO, POINTS, IMAGE, PREVIEW, REPORT = "photo", "points.json", IMAGE_NAME, PREVIEW_NAME, REPORT_NAME
PORTRAIT_FILES = (PHOTO, POINTS, IMAGE, PREVIEW, REPORT)
_CURRENT, _PACKS, _PORTRAITS, _STAGED = CURRENT, PACKS, PORTRAITS, ".staged-"

log = structlog.get_logger()


class LookFiles:
    """The looks in one folder. Works on the disk in threads, never on the event loop.

    `archive`: has the looks of all servers that share it. Then what it has counts; the folder has copies of what this
    server has made or used, and goes on being used while the archive cannot be reached.
    """

    def __init__(self, folder: Path, archive: LookArchive | None = None) -> None:
        self._folder, self._archive = folder, archive
        self._fetching: dict[str, anyio.Lock] = {}  # by look, while it is compared with the archive
        self._changing = threading.Lock()  # held for a few renames: one look changes, or is swept, at a time
        self._staged: set[Path] = set()  # preparations that are being written now
        self._unnamed: set[Path] = set()  # what the last sweep found that no look names
        self._replaced: set[str] | None = None  # looks to sweep; None until the first sweep, which looks at all

    async def pack_ref(self, look_id: str) -> PackRef:
        """Return the name of the look's pack. Raises `AvatarNotFound` where there is no such look, and `PackUnreadable`
        where its pack is gone or of another format version: then it can be made again. Where an archive has another
        look than this folder, it is fetched first.
        """
        await self._compare(look_id)
        return await run_sync(self._pack_ref, look_id)

    def pack_folder(self, ref: PackRef) -> Path:
        """Return where that pack lies on this machine."""
        return ref.folder_in(self._folder)

    async def source(self, look_id: str) -> tuple[bytes, bytes | None] | None:
        """Return the photo from which the look can be made again, and its points; None if there is no photo. Older
        looks have no photo: their framed picture takes its place, which is nearly as good.
        """
        await self._compare(look_id)
        with translated_disk_errors("The avatar"):
            return await run_sync(self._source, look_id)

    async def read(self, look_id: str, name: str) -> bytes | None:
        """Return the content of one of PORTRAIT_FILES, None if the look does not have it."""
        assert name in PORTRAIT_FILES, name
        with translated_disk_errors("The avatar"):
            found = await run_sync(self._read, look_id, name)
        if found is None and self._archive is not None:
            await self._compare(look_id)
            with translated_disk_errors("The avatar"):
                found = await run_sync(self._read, look_id, name)
        return found

    @asynccontextmanager
    async def staging(self, look_id: str) -> AsyncIterator[Path]:
        """Provide an empty folder for a preparation of the look. At the end, everything in it that `publish` did not
        take is removed.
        """
        staged = self._folder / look_id / f"{_STAGED}{secrets.token_hex(8)}"
        self._staged.add(staged)
        try:
            with translated_disk_errors("The avatar"):
                await run_sync(self._stage, staged)
            yield staged
        finally:
            with anyio.CancelScope(shield=True):
                await run_sync(self._unstage, staged)
            self._staged.discard(staged)

    async def publish(self, look_id: str, staged: Path, *, photo: bytes, points: str | None = None) -> PackRef:
        """Make the staged preparation the current one of the look. `photo` and `points`: its source, kept so that it
        can be made again. Raises `StorageUnusable`; then the look has not changed.
        """
        with translated_disk_errors("The avatar"):
            current = await run_sync(self._complete, look_id, staged, photo, points)
            if self._archive is not None:
                pack, portrait = await run_sync(_read_all, staged)
                await self._archive.save(look_id, current, pack=pack, portrait=portrait)
            await run_sync(self._publish, look_id, staged, current)
            return current.pack

    async def remove(self, look_id: str) -> None:
        """Remove all files of a look. A look without files is not an error. Raises `StorageUnusable`."""
        if self._archive is not None:
            await self._archive.delete(look_id)
        await run_sync(self._remove, look_id)

    async def copies(self) -> list[str]:
        """Return the looks in this folder that another server may have removed."""
        return [] if self._archive is None else await run_sync(self._looks)

    async def remove_copy(self, look_id: str) -> None:
        """Remove this server's files of a look that has no others any more."""
        await run_sync(self._remove, look_id)

    async def remove_photo(self, look_id: str) -> None:
        """Remove the photo of a look, and the points that were marked on it; what was made of it stays. Raises
        `StorageUnusable`.
        """
        if self._archive is not None:
            await self._archive.delete_from_portraits(look_id, (PHOTO, POINTS))
        await self.remove_photo_copy(look_id)

    async def remove_photo_copy(self, look_id: str) -> None:
        """Remove this server's copy of a photo that was removed."""
        with translated_disk_errors("The avatar"):
            await run_sync(self._remove_photo, look_id)

    # --- the archive

    async def _compare(self, look_id: str) -> None:
        """Fetch the look from the archive unless this folder has the same; put it there if only this folder has it.
        Raises `StorageUnusable` if the archive cannot be reached and this folder does not have the look.
        """
        if self._archive is None:
            return
        lock = self._fetching.setdefault(look_id, anyio.Lock())
        try:
            async with lock:
                await self._compare_alone(self._archive, look_id)
        finally:
            if not lock.locked():
                self._fetching.pop(look_id, None)

    async def _compare_alone(self, archive: LookArchive, look_id: str) -> None:
        own = await run_sync(self._current, look_id)
        has_pack = own is not None and await run_sync((self.pack_folder(own.pack) / "pack.npz").exists)
        try:
            current = await archive.current(look_id)
        except StorageUnusable:
            if not has_pack:
                raise
            return
        if current is None and own is not None and has_pack:  # made before there was an archive
            portrait_folder = self._folder / look_id / _PORTRAITS / own.portrait
            pack, _ = await run_sync(_read_all, self.pack_folder(own.pack))
            _, portrait = await run_sync(_read_all, portrait_folder)
            await archive.save(look_id, own, pack=pack, portrait=portrait)
        elif current is not None and not (current == own and has_pack):
            await self._fetch(archive, look_id, current)

    async def _fetch(self, archive: LookArchive, look_id: str, current: Current) -> None:
        async with self.staging(look_id) as staged:
            try:
                await archive.fetch(look_id, current, pack_into=staged, portrait_into=staged)
            except PackUnreadable:  # then the look is made again of its portrait, which has come all the same
                log.warning("archived_pack_damaged", avatar_id=look_id)
                await run_sync(_discard_pack, staged)
            except OSError:
                raise PackUnreadable("The avatar's pack is not in the object store") from None
            with translated_disk_errors("The avatar"):
                await run_sync(self._publish, look_id, staged, current)

    async def sweep(self, *, spared: set[str]) -> None:
        """Remove the replaced and unfinished files that the sweep before found, except those of the looks `spared`."""
        with translated_disk_errors("The avatars"):
            await run_sync(self._sweep, spared)

    # --- in threads

    def _pack_ref(self, look_id: str) -> PackRef:
        current = self._current(look_id)
        if current is None and not (self._folder / look_id).is_dir():
            raise AvatarNotFound("Avatar not found")
        if current is None or not (self.pack_folder(current.pack) / "pack.npz").exists():
            raise PackUnreadable("The avatar's pack is missing")
        if current.pack.version != FORMAT_VERSION:
            raise PackUnreadable(
                f"The avatar's pack has format {current.pack.version}; this version reads {FORMAT_VERSION}"
            )
        return current.pack

    def _current(self, look_id: str) -> Current | None:
        try:
            return Current.read(look_id, (self._folder / look_id / _CURRENT).read_bytes())
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _looks(self) -> list[str]:
        return [look.name for look in self._folder.iterdir()] if self._folder.is_dir() else []

    def _read(self, look_id: str, name: str) -> bytes | None:
        return next((found for portrait in self._portraits(look_id) if (found := _content(portrait / name))), None)

    def _source(self, look_id: str) -> tuple[bytes, bytes | None] | None:
        for portrait in self._portraits(look_id):
            if (photo := _content(portrait / PHOTO)) is not None:
                return photo, _content(portrait / POINTS)
            if (picture := _content(portrait / IMAGE)) is not None:
                return picture, None
        return None

    def _portraits(self, look_id: str) -> Iterator[Path]:
        """Yield the folders that may hold the portrait of the look, the likeliest first."""
        look, current = self._folder / look_id, self._current(look_id)
        if current is not None:
            yield look / _PORTRAITS / current.portrait
            current = self._current(look_id)  # a replacement may have come between
        if current is not None:
            yield look / _PORTRAITS / current.portrait
            return
        yield from sorted(look.glob(f"{_PORTRAITS}/*"), key=os.path.getmtime, reverse=True)
        yield look  # older looks have their portrait here

    def _stage(self, staged: Path) -> None:
        with self._changing:
            staged.mkdir(parents=True)

    def _unstage(self, staged: Path) -> None:
        with self._changing:
            shutil.rmtree(staged, ignore_errors=True)
            with suppress(OSError):  # removes the folder of a look that has no other files
                staged.parent.rmdir()

    def _remove(self, look_id: str) -> None:
        with self._changing:
            shutil.rmtree(self._folder / look_id, ignore_errors=True)

    def _remove_photo(self, look_id: str) -> None:
        look = self._folder / look_id
        with self._changing:
            for folder in (look, *look.glob(f"{_PORTRAITS}/*")):
                for name in (PHOTO, POINTS):
                    (folder / name).unlink(missing_ok=True)

    def _complete(self, look_id: str, staged: Path, photo: bytes, points: str | None) -> Current:
        """Add its source to a preparation, and name its parts."""
        (staged / PHOTO).write_bytes(photo)
        if points is not None:
            (staged / POINTS).write_text(points, encoding="utf-8")
        ref = PackRef(avatar_id=look_id, version=FORMAT_VERSION, digest=digest_of(staged))
        return Current(pack=ref, portrait=secrets.token_hex(8))

    def _publish(self, look_id: str, staged: Path, current: Current) -> None:
        for file in staged.iterdir():
            _flush(file)
        look = self._folder / look_id
        pack, portrait = self.pack_folder(current.pack), look / _PORTRAITS / current.portrait
        with self._changing:
            portrait.mkdir(parents=True, exist_ok=True)
            for name in PORTRAIT_FILES:
                if (staged / name).exists():
                    (staged / name).rename(portrait / name)
            if pack.exists():
                _put_right(pack, staged)
            else:
                pack.parent.mkdir(exist_ok=True)
                staged.rename(pack)
            for folder in (portrait, portrait.parent, pack, pack.parent):
                _flush(folder)
            _replace(look / _CURRENT, current.plain())
            self._unnamed -= {pack, portrait}  # this pack may have been replaced before, and have come back
            if self._replaced is not None:
                self._replaced.add(look_id)

    def _sweep(self, spared: set[str]) -> None:
        with self._changing:
            looks = self._replaced
            if looks is None:
                looks = set(self._looks())
            unnamed = {path for look_id in looks for path in self._unnamed_of(look_id)}
            for path in unnamed & self._unnamed:
                if path.relative_to(self._folder).parts[0] not in spared:
                    _discard(path)
                    unnamed.discard(path)
            self._unnamed = unnamed
            self._replaced = {path.relative_to(self._folder).parts[0] for path in unnamed}

    def _unnamed_of(self, look_id: str) -> list[Path]:
        look, current = self._folder / look_id, self._current(look_id)
        if not look.is_dir():
            return []
        unnamed = [path for path in look.glob(f"{_STAGED}*") if path not in self._staged]
        if current is None:  # then any of the files may be needed
            return unnamed
        kept = {self.pack_folder(current.pack), look / _PORTRAITS / current.portrait}
        unnamed += [path for kind in (_PACKS, _PORTRAITS) for path in look.glob(f"{kind}/*") if path not in kept]
        # older looks have their portrait and pack here
        return unnamed + [look / name for name in (*PORTRAIT_FILES, "pack") if (look / name).exists()]


def _put_right(pack: Path, staged: Path) -> None:
    """Repair a pack: replace its files, which may be damaged, by the staged ones, and remove files that do not belong
    to it.
    """
    for file in pack.iterdir():
        if not (staged / file.name).exists():
            file.unlink()
    for name in PACK_FILES:
        if (staged / name).exists():
            (staged / name).replace(pack / name)


def _replace(path: Path, content: bytes) -> None:
    """Replace a file atomically: even if the machine loses power, it has the whole old content or the whole new one."""
    partial = path.with_name(f".{path.name}.part")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    _flush(path.parent)


def _flush(path: Path) -> None:
    """Write a file, or the names in a folder, from the cache of the system to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _content(path: Path) -> bytes | None:
    with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return path.read_bytes()
    return None


def _discard(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _read_all(folder: Path) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Return the files of a pack and those of a portrait that are in a folder."""
    pack, portrait = (
        {name: content for name in names if (content := _content(folder / name)) is not None}
        for names in (PACK_FILES, PORTRAIT_FILES)
    )
    return pack, portrait


def _discard_pack(folder: Path) -> None:
    for name in PACK_FILES:
        (folder / name).unlink(missing_ok=True)
