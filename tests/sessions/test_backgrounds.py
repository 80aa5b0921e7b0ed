"""Background pictures of sessions: a few are read at once, some wait, and more are refused. A refused picture takes no
place.
"""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from visavis.engine.pack_ref import picture_id_of
from visavis.errors import BackgroundRefused, ImageTooLarge, NoCapacity, PortraitRefused
from visavis.ids import new_id
from visavis.output_json import OutputChange, PictureSource
from visavis.sessions.backgrounds import MAX_READING, MAX_WAITING, Backgrounds, Picture
from visavis.store.blobs import FolderBlobs

pytestmark = pytest.mark.anyio

CHANGE = OutputChange(background=PictureSource(text="an address"))
JPEG = b"a picture"


class Reader:
    """Reads pictures when `gate` is set, and counts how many it reads at once."""

    def __init__(self) -> None:
        self.gate = anyio.Event()
        self.reading = self.max_reading = 0
        self.failure: Exception | None = None

    async def source(self, text: str) -> bytes:
        return text.encode()

    async def picture(self, image: bytes) -> bytes:
        self.reading += 1
        self.max_reading = max(self.max_reading, self.reading)
        await self.gate.wait()
        self.reading -= 1
        if self.failure is not None:
            raise self.failure
        return JPEG


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
def backgrounds(reader: Reader, tmp_path: Path) -> Backgrounds:
    return Backgrounds(blobs=FolderBlobs(tmp_path), read_source=reader.source, read_picture=reader.picture)


async def test_a_few_are_read_at_once_some_wait_and_more_are_refused(reader: Reader, backgrounds: Backgrounds) -> None:
    pictures: list[Picture | None] = []

    async def read(holder: str = "a key") -> None:
        pictures.append(await backgrounds.read(CHANGE, holder=holder))

    async with anyio.create_task_group() as tasks:
        for number in range(MAX_READING + MAX_WAITING):
            tasks.start_soon(read, f"key {number}")
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(NoCapacity):
            await backgrounds.read(CHANGE, holder="a key")
        assert reader.reading == MAX_READING
        reader.gate.set()
    assert reader.max_reading == MAX_READING
    assert pictures == [Picture(picture_id=picture_id_of(JPEG), jpeg=JPEG)] * (MAX_READING + MAX_WAITING)
    await read()
    assert len(pictures) == MAX_READING + MAX_WAITING + 1, "there is a free place again"


async def test_an_image_refused_by_the_engine_is_an_invalid_background(
    reader: Reader, backgrounds: Backgrounds
) -> None:
    reader.gate.set()
    reader.failure = PortraitRefused("The image is damaged", suggestion="Send another")
    for _ in range(MAX_READING + MAX_WAITING + 1):
        with pytest.raises(BackgroundRefused, match="The image is damaged") as refused:
            await backgrounds.read(CHANGE, holder="a key")
        assert refused.value.suggestion == "Send another"
    reader.failure = ImageTooLarge("The image has 12 MB")
    with pytest.raises(ImageTooLarge):
        await backgrounds.read(CHANGE, holder="a key")
    reader.failure = None
    assert await backgrounds.read(CHANGE, holder="a key") is not None, "a refused picture takes no place"


async def test_a_change_without_a_picture_reads_none(reader: Reader, backgrounds: Backgrounds) -> None:
    assert await backgrounds.read(OutputChange(), holder="a key") is None
    assert reader.max_reading == 0


async def test_a_picture_is_found_only_by_its_own_session_and_id(backgrounds: Backgrounds, tmp_path: Path) -> None:
    session_id, picture = new_id("sess"), Picture(picture_id=picture_id_of(JPEG), jpeg=JPEG)
    await backgrounds.save(session_id, picture)
    (tmp_path / "secret.jpg").write_bytes(b"not a picture of a session")
    assert await backgrounds.get(session_id, picture.picture_id) == JPEG
    for named in (
        (new_id("sess"), picture.picture_id),
        (session_id, picture_id_of(b"another")),
        (session_id, "../../secret"),
        ("..", "secret"),
    ):
        assert await backgrounds.get(*named) is None
