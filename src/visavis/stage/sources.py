"""The sources of a stage's avatar packs and background pictures: a folder on this machine, or the service over HTTP."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Protocol
from weakref import WeakValueDictionary

import httpx
import structlog

from visavis.engine.pack.version import FORMAT_VERSION
from visavis.engine.pack_ref import PackRef, digest_of, is_picture_id, picture_id_of
from visavis.errors import BackgroundRefused, PackUnreadable
from visavis.stage.port.archive import MAX_ARCHIVE_BYTES, unpack_archive
from visavis.tls.trust import trust_in

FETCH_WITHIN_S = 20.0
MAX_PICTURE_BYTES = 16 * 1024 * 1024
KEPT_ENTRIES = 256  # how many packs, and how many pictures, a cache keeps; a pack takes about 1 MB

log = structlog.get_logger("visavis.stage")


class PackSource(Protocol):
    """Returns files whose content matches their names. Calls may run at the same time."""

    async def pack(self, ref: PackRef) -> Path:
        """Return a folder that contains the pack. Raises `PackUnreadable`."""
        ...

    async def picture(self, session_id: str, picture_id: str) -> Path:
        """Return the JPEG file of a session's background picture. Raises `BackgroundRefused`."""
        ...


class FolderPackSource:
    """Reads from the data folder of the service, on the same machine."""

    def __init__(self, data_dir: Path) -> None:
        self._avatars, self._sessions = data_dir / "avatars", data_dir / "sessions"

    async def pack(self, ref: PackRef) -> Path:
        _check_version(ref)
        folder = ref.folder_in(self._avatars)
        for _ in range(2):  # two attempts, as over HTTP: reading a disk may fail once
            if await asyncio.to_thread(_matches_digest, folder, ref):
                return folder
        raise _damaged(ref)

    async def picture(self, session_id: str, picture_id: str) -> Path:
        path = self._sessions / session_id / f"{picture_id}.jpg"
        if not is_picture_id(picture_id) or not await asyncio.to_thread(path.is_file):
            raise BackgroundRefused("The background image is missing")
        return path


class HttpPackSource:
    """Fetches packs and pictures from the service, and keeps them in `cache` under their digests.

    `token`: the bearer token that the service expects. `authority_pem`: see `HttpSource`. If the content does not match
    the name, it is fetched once more. The cache keeps the KEPT_ENTRIES packs and pictures that were used last.
    """

    def __init__(self, *, url: str, token: str, cache: Path, authority_pem: str | None = None) -> None:
        self._url, self._token, self._cache = url.rstrip("/"), token, cache
        self._authority_pem = authority_pem
        self._tls: ssl.SSLContext | None = None  # made for the first fetch: reading a machine's authorities takes long
        self._fetching: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def pack(self, ref: PackRef) -> Path:
        _check_version(ref)
        folder = self._cache / "packs" / ref.digest
        address = f"{self._url}/internal/packs/{ref.avatar_id}/{ref.version}/{ref.digest}"

        def save(content: bytes) -> bool:
            with tempfile.TemporaryDirectory(dir=_ensure_folder(folder.parent), prefix=".") as staged:
                unpack_archive(content, Path(staged))
                if not _matches_digest(Path(staged), ref):
                    return False
                if _matches_digest(folder, ref):  # another process of this machine was quicker, and reads it
                    return True
                shutil.rmtree(folder, ignore_errors=True)
                Path(staged).rename(folder)
                Path(staged).mkdir()  # the context removes it
            _delete_oldest(folder.parent)
            return True

        async with self._fetching.setdefault(ref.digest, asyncio.Lock()):
            if await asyncio.to_thread(_matches_digest, folder, ref):
                await asyncio.to_thread(os.utime, folder)
                return folder
            if await self._fetch_and_save(address, MAX_ARCHIVE_BYTES, save):
                return folder
        raise _damaged(ref)

    async def picture(self, session_id: str, picture_id: str) -> Path:
        if not is_picture_id(picture_id):
            raise BackgroundRefused("The id of the background image is invalid")
        path = self._cache / "pictures" / f"{picture_id}.jpg"
        address = f"{self._url}/internal/pictures/{session_id}/{picture_id}"

        def save(content: bytes) -> bool:
            if picture_id_of(content) != picture_id:
                return False
            staged = _ensure_folder(path.parent) / f".{picture_id}"
            staged.write_bytes(content)
            staged.replace(path)
            _delete_oldest(path.parent)
            return True

        async with self._fetching.setdefault(picture_id, asyncio.Lock()):
            if await asyncio.to_thread(path.is_file):
                await asyncio.to_thread(os.utime, path)
                return path
            if await self._fetch_and_save(address, MAX_PICTURE_BYTES, save):
                return path
        raise BackgroundRefused("The background image could not be fetched")

    async def _fetch_and_save(self, address: str, max_bytes: int, save: Callable[[bytes], bool]) -> bool:
        """Fetch a file and save it, in at most two attempts. Returns whether it was saved."""
        for attempt in (1, 2):
            try:
                if await asyncio.to_thread(save, await self._fetch(address, max_bytes)):
                    return True
                problem = "its digest does not match"
            except (httpx.HTTPError, ValueError, OSError) as error:
                problem = repr(error)
            log.warning("fetch_failed", address=address, attempt=attempt, problem=problem)
        return False

    async def _fetch(self, address: str, max_bytes: int) -> bytes:
        headers = {"Authorization": f"Bearer {self._token}", "Accept-Encoding": "identity"}
        if self._tls is None:
            self._tls = await asyncio.to_thread(trust_in, self._authority_pem)
        async with (
            asyncio.timeout(FETCH_WITHIN_S),
            httpx.AsyncClient(timeout=FETCH_WITHIN_S, trust_env=False, verify=self._tls) as client,
            client.stream("GET", address, headers=headers) as answer,
        ):
            answer.raise_for_status()
            content = bytearray()
            async for chunk in answer.aiter_raw():
                content += chunk
                if len(content) > max_bytes:
                    raise ValueError(f"more than {max_bytes} bytes")
            return bytes(content)


def _check_version(ref: PackRef) -> None:
    if ref.version != FORMAT_VERSION:
        raise PackUnreadable(
            f"The avatar pack has format {ref.version}; this stage reads {FORMAT_VERSION}",
            suggestion="Prepare the avatar again",
        )


def _matches_digest(folder: Path, ref: PackRef) -> bool:
    try:
        return digest_of(folder) == ref.digest
    except OSError:
        return False


def _damaged(ref: PackRef) -> PackUnreadable:
    return PackUnreadable(
        f"The avatar pack of {ref.avatar_id} is missing or damaged", suggestion="Prepare the avatar again"
    )


def _ensure_folder(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _delete_oldest(folder: Path) -> None:
    entries = sorted((path for path in folder.iterdir() if not path.name.startswith(".")), key=_last_used)
    for path in entries[:-KEPT_ENTRIES]:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _last_used(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
