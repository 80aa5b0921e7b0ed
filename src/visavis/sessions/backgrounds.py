"""The pictures behind sessions: fetched or decoded when a client gives one, kept while the session lives, and gone with
it.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import anyio

from visavis.engine.output import AS_IS, Output, OutputChange
from visavis.errors import BackgroundRefused, ImageTooLarge, NoCapacity, PortraitRefused
from visavis.sessions.lifecycle import Status
from visavis.store.blobs import Blobs
from visavis.store.records import SessionRecord
from visavis.store.sessions import SessionStore

MAX_IMAGE_BYTES = 10_000_000
AT_ONCE, WAITING = 2, 8
FOLDER = "sessions"

ReadSource = Callable[[str], Awaitable[bytes]]
"""Return the bytes behind an address or base64. Raises the `PortraitRefused` family."""
ReadPicture = Callable[[bytes], Awaitable[bytes]]
"""Decode a stranger's picture in a process of its own and return it as a JPEG. Raises `BackgroundRefused`,
`ImageTooLarge`.
"""


async def read_with_engine(image: bytes) -> bytes:
    from visavis.engine.render.picture import read_picture

    return await read_picture(image)


class Backgrounds:
    """`folder`: where `blobs` keeps them as files, which a stage reads."""

    def __init__(
        self, *, blobs: Blobs, folder: Path, read_source: ReadSource, read_picture: ReadPicture = read_with_engine
    ) -> None:
        self._blobs, self._folder = blobs, folder
        self._read_source, self._read_picture = read_source, read_picture
        self._turns = anyio.Semaphore(AT_ONCE)
        self._taking = 0

    async def take(self, change: OutputChange) -> bytes | None:
        """Return the picture that a change brings, decoded and safe; None where it brings none.

        Raises `BackgroundRefused`, `ImageTooLarge`, and `NoCapacity` when too many are waited for.
        """
        source = change.image
        if source is None:
            return None
        if self._taking >= AT_ONCE + WAITING:
            raise NoCapacity("Too many background images are being read", suggestion="Try again in a few seconds")
        self._taking += 1
        try:
            async with self._turns:
                return await self._read_picture(await self._read_source(source))
        except ImageTooLarge:
            raise
        except PortraitRefused as refused:
            raise BackgroundRefused(refused.message, suggestion=refused.suggestion) from None
        finally:
            self._taking -= 1

    def place(self, session_id: str) -> Path:
        """Return the path of a new picture of the session: each has its own, as equal paths are taken to
        look the same.
        """
        return self._folder / FOLDER / session_id / f"background-{secrets.token_hex(8)}.jpg"

    async def keep(self, session_id: str, path: Path, picture: bytes) -> None:
        await self._blobs.put(f"{FOLDER}/{session_id}/{path.name}", picture)

    def output_of(self, record: SessionRecord) -> Output:
        """Return how a session looks; its picture is where this server keeps its data now."""
        if record.output is None:
            return AS_IS
        output = Output.from_plain(record.output)
        if output.backdrop.image is None:
            return output
        here = self._folder / FOLDER / record.id / output.backdrop.image.name
        return replace(output, backdrop=replace(output.backdrop, image=here))

    async def forget_others(self, session_id: str, output: Output) -> None:
        """Remove the session's pictures that it does not show."""
        shown = output.backdrop.image
        for name in await self._blobs.names(f"{FOLDER}/{session_id}"):
            if shown is None or name != shown.name:
                await self._blobs.delete(f"{FOLDER}/{session_id}/{name}")

    async def forget(self, session_id: str) -> None:
        await self._blobs.delete_all(f"{FOLDER}/{session_id}")

    async def purge(self, store: SessionStore) -> None:
        """Remove the pictures of sessions that have ended without our hearing of it."""
        for session_id in await self._blobs.names(FOLDER):
            record = await store.get(session_id)
            if record is None or record.status == Status.ENDED:
                await self.forget(session_id)
