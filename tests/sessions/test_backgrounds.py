"""Background pictures of sessions: a few are read at once, some wait, more are refused; what is refused leaves no
trace.
"""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from visavis.engine.pack_ref import picture_id_of
from visavis.errors import BackgroundRefused, ImageTooLarge, NoCapacity, PortraitRefused
from visavis.ids import new_id
from visavis.output_json import OutputChange, PictureSource
from visavis.sessions.backgrounds import AT_ONCE, WAITING, Backgrounds, Picture
from visavis.store.blobs import FolderBlobs

pytestmark = pytest.mark.anyio

CHANGE = OutputChange(background=PictureSource(text="an address"))
JPEG = b"a picture"


class Reader:
    """Reads pictures when it is told to, and counts how many it reads at once."""

    def __init__(self) -> None:
        self.go_on = anyio.Event()
        self.reading = self.most = 0
        self.failure: Exception | None = None

    async def source(self, text: str) -> bytes:
        return text.encode()

    async def picture(self, image: bytes) -> bytes:
        self.reading += 1
        self.most = max(self.most, self.reading)
        await self.go_on.wait()
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
    taken: list[Picture | None] = []

    async def take() -> None:
        taken.append(await backgrounds.take(CHANGE))

    async with anyio.create_task_group() as tasks:
        for _ in range(AT_ONCE + WAITING):
            tasks.start_soon(take)
        await anyio.wait_all_tasks_blocked()
        with pytest.raises(NoCapacity):
            await backgrounds.take(CHANGE)
        assert reader.reading == AT_ONCE
        reader.go_on.set()
    assert reader.most == AT_ONCE
    assert taken == [Picture(picture_id=picture_id_of(JPEG), jpeg=JPEG)] * (AT_ONCE + WAITING)
    await take()
    assert len(taken) == AT_ONCE + WAITING + 1, "there is room again"


async def test_a_refusal_of_the_engine_is_one_of_the_background(reader: Reader, backgrounds: Backgrounds) -> None:
    reader.go_on.set()
    reader.failure = PortraitRefused("The image is damaged", suggestion="Send another")
    for _ in range(AT_ONCE + WAITING + 1):
        with pytest.raises(BackgroundRefused, match="The image is damaged") as refused:
            await backgrounds.take(CHANGE)
        assert refused.value.suggestion == "Send another"
    reader.failure = ImageTooLarge("The image has 12 MB")
    with pytest.raises(ImageTooLarge):
        await backgrounds.take(CHANGE)
    reader.failure = None
    assert await backgrounds.take(CHANGE) is not None, "refusals keep no place"


async def test_a_change_without_a_picture_reads_none(reader: Reader, backgrounds: Backgrounds) -> None:
    assert await backgrounds.take(OutputChange()) is None
    assert reader.most == 0


async def test_a_picture_is_found_by_its_own_session_and_name_alone(backgrounds: Backgrounds, tmp_path: Path) -> None:
    session_id, picture = new_id("sess"), Picture(picture_id=picture_id_of(JPEG), jpeg=JPEG)
    await backgrounds.keep(session_id, picture)
    (tmp_path / "secret.jpg").write_bytes(b"no picture of a session")
    assert await backgrounds.picture(session_id, picture.picture_id) == JPEG
    for named in (
        (new_id("sess"), picture.picture_id),
        (session_id, picture_id_of(b"another")),
        (session_id, "../../secret"),
        ("..", "secret"),
    ):
        assert await backgrounds.picture(*named) is None
