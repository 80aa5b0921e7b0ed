"""The background pictures of sessions: fetched and decoded when a client sends one, kept while the session lives, then
removed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from anyio.to_thread import run_sync

from visavis.avatars.places import Places
from visavis.engine.output import DEFAULT_OUTPUT, Output
from visavis.engine.pack_ref import is_picture_id, picture_id_of
from visavis.errors import BackgroundRefused, ImageTooLarge, InvalidOutput, PortraitRefused
from visavis.ids import is_id
from visavis.output_json import OutputChange, PictureSource
from visavis.refusals import translated_engine_errors
from visavis.sessions.lifecycle import Status
from visavis.store.blobs import Blobs
from visavis.store.records import SessionRecord
from visavis.store.sessions import SessionStore

MAX_READING, MAX_WAITING = 2, 8  # pictures that are read at once, and that wait for it
FOLDER = "sessions"

ReadSource = Callable[[str], Awaitable[bytes]]
"""Returns the image at an address, or in base64. Raises the `PortraitRefused` family."""
ReadPicture = Callable[[bytes], Awaitable[bytes]]
"""Decodes an untrusted image in the sandbox and returns it as a JPEG. Raises the `PortraitRefused` family."""


async def read_with_engine(image: bytes) -> bytes:
    """Decode with the engine. It is imported here because the service itself does not need it."""
    from visavis.engine.images.picture import read_picture

    with translated_engine_errors():
        return await read_picture(image)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A decoded background picture. `picture_id`: its name, made from its content."""

    picture_id: str
    jpeg: bytes


class Backgrounds:
    """The background pictures of sessions, stored as sessions/<session id>/<picture id>.jpg."""

    def __init__(self, *, blobs: Blobs, read_source: ReadSource, read_picture: ReadPicture = read_with_engine) -> None:
        self._blobs = blobs
        self._read_source, self._read_picture = read_source, read_picture
        self._places = Places(at_once=MAX_READING, waiting=MAX_WAITING, things="background images")

    async def read(self, change: OutputChange, *, holder: str) -> Picture | None:
        """Fetch and decode the picture of a change; return None if the change has no picture. `holder`: the API key
        that sent it.

        Raises `BackgroundRefused`, `ImageTooLarge`, and `NoCapacity` if too many pictures are waiting.
        """
        if not isinstance(change.background, PictureSource):
            return None
        try:
            async with self._places.place(holder):
                jpeg = await self._read_picture(await self._read_source(change.background.text))
        except ImageTooLarge:
            raise
        except PortraitRefused as error:
            raise BackgroundRefused(error.message, suggestion=error.suggestion) from None
        return Picture(picture_id=await run_sync(picture_id_of, jpeg), jpeg=jpeg)

    async def save(self, session_id: str, picture: Picture) -> None:
        await self._blobs.put(_blob_name(session_id, picture.picture_id), picture.jpeg)

    async def get(self, session_id: str, picture_id: str) -> bytes | None:
        """Return a picture for a stage on another machine, None if there is no such picture."""
        if not is_id("sess", session_id) or not is_picture_id(picture_id):
            return None
        return await self._blobs.get(_blob_name(session_id, picture_id))

    async def bring(self, session_id: str, output: Output) -> None:
        """Bring the picture of an output to this machine, where its stages read it. Another server may have taken it
        from the client.
        """
        if output.backdrop.picture_id is not None:
            await self._blobs.get(_blob_name(session_id, output.backdrop.picture_id))

    def output_of(self, record: SessionRecord) -> Output:
        """Return the output of a session. Raises `InvalidOutput` if this version cannot read it."""
        try:
            return DEFAULT_OUTPUT if record.output is None else Output.from_plain(record.output)
        except (ValueError, KeyError):
            raise InvalidOutput("The session's output was written by another version") from None

    async def delete_unused(self, session_id: str, output: Output) -> None:
        """Delete the pictures of the session, except the one in `output`."""
        for name in await self._blobs.names(f"{FOLDER}/{session_id}"):
            if name != f"{output.backdrop.picture_id}.jpg":
                await self._blobs.delete(f"{FOLDER}/{session_id}/{name}")

    async def delete(self, session_id: str) -> None:
        """Delete all pictures of the session."""
        await self._blobs.delete_all(f"{FOLDER}/{session_id}")

    async def delete_orphans(self, store: SessionStore) -> None:
        """Delete the pictures of ended sessions that were not deleted at their end, for example after a crash."""
        for session_id in await self._blobs.names(FOLDER):
            record = await store.get(session_id)
            if record is None or record.status == Status.ENDED:
                await self.delete(session_id)


def _blob_name(session_id: str, picture_id: str) -> str:
    return f"{FOLDER}/{session_id}/{picture_id}.jpg"
