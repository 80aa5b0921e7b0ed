"""The embedded room over real WebRTC on this machine: a stage process, and the media that decoding viewers receive."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.packs import place_pack
from tests.processes import PYTHON_PATH
from tests.rooms.offers import make_offer
from visavis.errors import OfferRefused
from visavis.fleet.admission import Limits
from visavis.fleet.local import LocalStages
from visavis.fleet.performer import StagePerformer
from visavis.fleet.stages import StageFleet
from visavis.rooms.watch import ReceivedPicture, ReceivedSound, RoomViewer, record
from visavis.stage.port.events import FirstFrameSent, PerformerMetrics, ViewerJoined, ViewerLeft
from visavis.stage.port.values import PerformanceSpec, Speech

WHITE = 100  # the mean of a white picture is above this; that of a black one is 16 to 30
LOUD = 2000

Scenario = Callable[[StagePerformer], Awaitable[None]]
Run = Callable[[Scenario], None]
T = TypeVar("T")


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def fleet(runner: asyncio.Runner, data_dir: Path) -> Iterator[StageFleet]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", PYTHON_PATH)
        supply = LocalStages(data_dir=data_dir, max_stages=1, parts="tests.stage.flashing_parts:parts")
        fleet = StageFleet(supply, limits=Limits(measured=False))
        runner.run(fleet.start())
        yield fleet
        runner.run(fleet.aclose())


@pytest.fixture
def run(runner: asyncio.Runner, fleet: StageFleet, data_dir: Path) -> Run:
    """Run a scenario with its own session, within 40 s."""

    async def bounded(scenario: Scenario) -> None:
        with anyio.fail_after(40):
            performer = await fleet.allocate(
                PerformanceSpec(session_id="sess_1", pack=place_pack(data_dir), width_px=320, height_px=240)
            )
            try:
                await scenario(performer)
            finally:
                await performer.end()

    return lambda scenario: runner.run(bounded(scenario))


@dataclass
class Reception:
    """A viewer and all media that it has received."""

    viewer: RoomViewer
    pictures: list[ReceivedPicture] = field(default_factory=list)
    blocks: list[ReceivedSound] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until(self, happened: Callable[[], bool]) -> None:
        async with self.changed:
            await self.changed.wait_for(happened)

    def shows_a_click(self, picture: int, block: int) -> bool:
        """Whether a picture from `picture` on is white and a block from `block` on is loud."""
        flashed = any(brightness(p) > WHITE for p in self.pictures[picture:])
        return flashed and any(loudness(b) > LOUD for b in self.blocks[block:])

    def is_quiet_after(self, block: int) -> bool:
        return len(self.blocks) > block and loudness(self.blocks[-1]) < 10

    async def receive_pictures(self) -> None:
        async for picture in self.viewer.pictures():
            await self._append(self.pictures, picture)

    async def receive_sound(self) -> None:
        async for block in self.viewer.sound():
            await self._append(self.blocks, block)

    async def _append(self, items: list[T], item: T) -> None:
        async with self.changed:
            items.append(item)
            self.changed.notify_all()


@contextlib.asynccontextmanager
async def watching(performer: StagePerformer, viewer_id: str = "viewer_1") -> AsyncIterator[Reception]:
    async with RoomViewer(lambda sdp: performer.offer(viewer_id=viewer_id, sdp=sdp)) as viewer:
        reception = Reception(viewer)
        async with asyncio.TaskGroup() as tasks:
            receiving = [
                tasks.create_task(reception.receive_pictures()),
                tasks.create_task(reception.receive_sound()),
            ]
            yield reception
            for task in receiving:
                task.cancel()


def pts_of(picture: ReceivedPicture) -> int:
    assert picture.frame.pts is not None
    return picture.frame.pts


def tone(duration_ms: int, rate_hz: int = 16_000) -> bytes:
    wave = np.sin(2 * np.pi * 500 * np.arange(duration_ms * rate_hz // 1000) / rate_hz)
    return bytes((wave * 9000).astype("<i2"))


def speech(pcm: bytes) -> Speech:
    return Speech(pcm=pcm, sample_rate_hz=16_000, number=1, final=True)


def brightness(picture: ReceivedPicture) -> float:
    return float(picture.frame.to_ndarray(format="gray")[picture.frame.height // 2 :].mean())


def loudness(block: ReceivedSound) -> int:
    return int(np.abs(block.samples.astype(int)).max())


def onset_s(blocks: list[ReceivedSound]) -> float:
    """Return the media time of the first loud sample."""
    block = next(b for b in blocks if loudness(b) > LOUD)
    return block.media_time_s + float(np.argmax(np.abs(block.samples.astype(int)) > LOUD)) / 48_000


def test_idle_pictures_move_at_the_frame_rate(run: Run) -> None:
    async def scenario(performer: StagePerformer) -> None:
        async with watching(performer) as reception:
            await reception.until(lambda: len(reception.pictures) >= 30 and len(reception.blocks) >= 40)
            grey = [p.frame.to_ndarray(format="gray").astype(int) for p in reception.pictures]
            assert grey[0].shape == (240, 320)
            assert all(np.abs(a - b).max() > 50 for a, b in itertools.pairwise(grey))
            steps = np.diff([pts_of(p) for p in reception.pictures])
            assert not (steps % 3600).any() and np.median(steps) == 3600, "late pictures are left out, never shifted"
            assert not any(loudness(b) > 10 for b in reception.blocks)
            assert reception.viewer.time_to_first_frame_s is not None
            print(f"first picture after {reception.viewer.time_to_first_frame_s * 1000:.0f} ms")

    run(scenario)


def test_the_first_picture_after_a_click_shows_it(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario(performer: StagePerformer) -> None:
        offsets_ms = []
        async with watching(performer) as reception:
            await reception.until(lambda: reception.viewer.synchronised and len(reception.pictures) > 5)
            for _ in range(5):
                picture, block = len(reception.pictures), len(reception.blocks)
                await performer.speak(speech(tone(200)))
                await reception.until(partial(reception.shows_a_click, picture, block))
                before, flash = next(
                    pair
                    for pair in itertools.pairwise(reception.pictures[picture - 1 :])
                    if brightness(pair[1]) > WHITE
                )
                offset_ms = (flash.media_time_s - onset_s(reception.blocks[block:])) * 1000
                # The first picture after the click is white: after at most 40 ms, and 40 more for each picture that a
                # busy machine has left out.
                assert -10 <= offset_ms <= (pts_of(flash) - pts_of(before)) / 90 + 1
                offsets_ms.append(offset_ms)
                block = len(reception.blocks)
                await reception.until(partial(reception.is_quiet_after, block + 25))
        with capsys.disabled():
            print(
                f"\nflash after click: {', '.join(f'{o:+.1f}' for o in offsets_ms)} ms (a frame every 40 ms: 0 to +40)"
            )

    run(scenario)


def test_two_viewers_get_the_same_pictures_which_are_encoded_once(run: Run) -> None:
    async def scenario(performer: StagePerformer) -> None:
        async with watching(performer, "one") as one:
            await one.until(lambda: len(one.pictures) > 30)
            async with watching(performer, "two") as two:
                await two.until(lambda: len(two.pictures) > 30 and two.viewer.synchronised)
                shown = {round(p.media_time_s * 1000): p for p in one.pictures}
                both = [(p, shown[t]) for p in two.pictures for t in (round(p.media_time_s * 1000),) if t in shown]
                assert len(both) > 15
                for of_two, of_one in both:
                    assert np.array_equal(
                        of_two.frame.to_ndarray(format="yuv420p"), of_one.frame.to_ndarray(format="yuv420p")
                    )
                metrics = [e for e in list(performer._events) if isinstance(e, PerformerMetrics)]
                assert max(m.frames for m in metrics) <= 26, "one encode for both"

    run(scenario)


def test_after_an_interrupt_a_viewer_gets_silence_and_a_closed_mouth(run: Run) -> None:
    async def scenario(performer: StagePerformer) -> None:
        async with watching(performer) as reception:
            await reception.until(lambda: reception.viewer.synchronised and len(reception.pictures) > 5)
            await performer.speak(speech(tone(10_000)))
            await reception.until(
                lambda: brightness(reception.pictures[-1]) > WHITE and loudness(reception.blocks[-1]) > LOUD
            )
            await performer.interrupt(through=1)
            blocks, pictures = len(reception.blocks), len(reception.pictures)
            await reception.until(
                lambda: len(reception.blocks) > blocks + 30 and len(reception.pictures) > pictures + 15
            )
            assert all(loudness(b) < 100 for b in reception.blocks[blocks + 15 :]), (
                "only sound that was in jitter buffers is still played"
            )
            assert all(brightness(p) < WHITE for p in reception.pictures[pictures + 6 :])

    run(scenario)


def test_joining_and_leaving_viewers_are_events(run: Run) -> None:
    async def scenario(performer: StagePerformer) -> None:
        events = performer.events()

        async def next_of(*kinds: type) -> object:
            async for event in events:
                if isinstance(event, kinds):
                    return event
            raise AssertionError

        async with watching(performer, "one"):
            assert await next_of(ViewerJoined) == ViewerJoined(viewer_id="one", viewers=1)
            assert await next_of(FirstFrameSent) == FirstFrameSent()
            async with watching(performer, "two"):
                assert await next_of(ViewerJoined, FirstFrameSent) == ViewerJoined(viewer_id="two", viewers=2)
                with pytest.raises(OfferRefused):
                    await performer.offer(viewer_id="two", sdp=await make_offer("video", "audio"))
            assert await next_of(ViewerLeft) == ViewerLeft(viewer_id="two", viewers=1)
            assert await performer.remove_viewer("one") is True
            assert await next_of(ViewerLeft) == ViewerLeft(viewer_id="one", viewers=0)
            assert await performer.remove_viewer("one") is False

    run(scenario)


def test_the_picture_changes_its_size_while_viewers_stay(run: Run) -> None:
    async def scenario(performer: StagePerformer) -> None:
        async with watching(performer) as reception:
            await reception.until(lambda: len(reception.pictures) > 5)
            await performer.resize(width_px=640, height_px=360)
            await reception.until(
                lambda: (reception.pictures[-1].frame.width, reception.pictures[-1].frame.height) == (640, 360)
            )

    run(scenario)


def test_a_recording_has_sound_and_pictures_aligned(run: Run, tmp_path: Path) -> None:
    async def scenario(performer: StagePerformer) -> None:
        async with RoomViewer(lambda sdp: performer.offer(viewer_id="v", sdp=sdp)) as viewer:
            recording = asyncio.create_task(record(viewer, out=tmp_path / "room.mp4", seconds=2.0))
            async for event in performer.events():
                if event == FirstFrameSent():
                    break
            await performer.speak(speech(b"\0\0" * 8000 + tone(400)))
            recorded = await recording
        assert recorded.synchronised and recorded.pictures > 10 and recorded.sound_s > 1.5
        with av.open(str(recorded.out)) as film:
            pictures = [(f.time, float(f.to_ndarray(format="gray")[120:].mean())) for f in film.decode(video=0)]
        with av.open(str(recorded.out)) as film:
            sound: NDArray[np.float32] = np.concatenate([f.to_ndarray()[0] for f in film.decode(audio=0)])
        assert pictures[0][0] == 0.0
        before_s, flash_s = next((one[0], other[0]) for one, other in itertools.pairwise(pictures) if other[1] > WHITE)
        click_s = float(np.argmax(np.abs(sound) > 0.08)) / 48_000
        assert -0.03 <= flash_s - click_s <= flash_s - before_s + 0.03, (before_s, flash_s, click_s)

    run(scenario)
