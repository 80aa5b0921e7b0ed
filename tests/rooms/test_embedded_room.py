"""The embedded room over real WebRTC on this machine: a stage process, viewers that decode, and what they
see and hear.
"""

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
from tests.rooms.offers import make_offer
from visavis.errors import OfferRefused
from visavis.fleet.local import LocalStages
from visavis.fleet.performer import StagePerformer
from visavis.fleet.stages import StageFleet
from visavis.rooms.watch import HeardBlock, RoomViewer, SeenPicture, record
from visavis.stage.port.events import FirstFrameSent, PerformerMetrics, ViewerJoined, ViewerLeft
from visavis.stage.port.values import PerformanceSpec, Speech

REPOSITORY = Path(__file__).parents[2]
WHITE = 100  # mean of a picture that flashes; 16 to 30 otherwise
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
        patch.setenv("PYTHONPATH", str(REPOSITORY))
        fleet = StageFleet(LocalStages(data_dir=data_dir, max_stages=1, parts="tests.stage.flashing_parts:parts"))
        runner.run(fleet.start())
        yield fleet
        runner.run(fleet.aclose())


@pytest.fixture
def run(runner: asyncio.Runner, fleet: StageFleet, data_dir: Path) -> Run:
    """Run a scenario with a session of its own, within 40 s."""

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
class Watching:
    """A viewer and all that came to it."""

    viewer: RoomViewer
    pictures: list[SeenPicture] = field(default_factory=list)
    blocks: list[HeardBlock] = field(default_factory=list)
    came: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until(self, happened: Callable[[], bool]) -> None:
        async with self.came:
            await self.came.wait_for(happened)

    def shows_a_click(self, picture: int, block: int) -> bool:
        """Whether one is seen from that picture on, and heard from that block on."""
        seen = any(brightness(p) > WHITE for p in self.pictures[picture:])
        return seen and any(loudness(b) > LOUD for b in self.blocks[block:])

    def is_quiet_after(self, block: int) -> bool:
        return len(self.blocks) > block and loudness(self.blocks[-1]) < 10

    async def see(self) -> None:
        async for picture in self.viewer.pictures():
            await self._keep(self.pictures, picture)

    async def hear(self) -> None:
        async for block in self.viewer.sound():
            await self._keep(self.blocks, block)

    async def _keep(self, what: list[T], thing: T) -> None:
        async with self.came:
            what.append(thing)
            self.came.notify_all()


@contextlib.asynccontextmanager
async def watching(performer: StagePerformer, viewer_id: str = "viewer_1") -> AsyncIterator[Watching]:
    async with RoomViewer(lambda sdp: performer.offer(viewer_id=viewer_id, sdp=sdp)) as viewer:
        watched = Watching(viewer)
        async with asyncio.TaskGroup() as tasks:
            tasks_of_it = [tasks.create_task(watched.see()), tasks.create_task(watched.hear())]
            yield watched
            for task in tasks_of_it:
                task.cancel()


def pts_of(picture: SeenPicture) -> int:
    assert picture.frame.pts is not None
    return picture.frame.pts


def tone(duration_ms: int, rate_hz: int = 16_000) -> bytes:
    wave = np.sin(2 * np.pi * 500 * np.arange(duration_ms * rate_hz // 1000) / rate_hz)
    return bytes((wave * 9000).astype("<i2"))


def said(pcm: bytes) -> Speech:
    return Speech(pcm=pcm, sample_rate_hz=16_000, number=1, final=True)


def brightness(picture: SeenPicture) -> float:
    return float(picture.frame.to_ndarray(format="gray")[picture.frame.height // 2 :].mean())


def loudness(block: HeardBlock) -> int:
    return int(np.abs(block.samples.astype(int)).max())


def onset_s(blocks: list[HeardBlock]) -> float:
    """Return the media time of the first loud sample."""
    block = next(b for b in blocks if loudness(b) > LOUD)
    return block.media_time_s + float(np.argmax(np.abs(block.samples.astype(int)) > LOUD)) / 48_000


def test_idle_pictures_move_and_come_at_the_frame_rate(run: Run) -> None:
    async def scenario(performer: StagePerformer) -> None:
        async with watching(performer) as watched:
            await watched.until(lambda: len(watched.pictures) >= 30 and len(watched.blocks) >= 40)
            grey = [p.frame.to_ndarray(format="gray").astype(int) for p in watched.pictures]
            assert grey[0].shape == (240, 320)
            assert all(np.abs(a - b).max() > 50 for a, b in itertools.pairwise(grey))
            steps = np.diff([pts_of(p) for p in watched.pictures])
            assert not (steps % 3600).any() and np.median(steps) == 3600, "a late picture is left out, never moved"
            assert not any(loudness(b) > 10 for b in watched.blocks)
            assert watched.viewer.time_to_first_frame_s is not None
            print(f"first picture after {watched.viewer.time_to_first_frame_s * 1000:.0f} ms")

    run(scenario)


def test_a_click_is_seen_in_the_first_picture_after_it(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario(performer: StagePerformer) -> None:
        offsets_ms = []
        async with watching(performer) as watched:
            await watched.until(lambda: watched.viewer.synchronised and len(watched.pictures) > 5)
            for _ in range(5):
                seen, heard = len(watched.pictures), len(watched.blocks)
                await performer.speak(said(tone(200)))
                await watched.until(partial(watched.shows_a_click, seen, heard))
                before, flash = next(
                    pair for pair in itertools.pairwise(watched.pictures[seen - 1 :]) if brightness(pair[1]) > WHITE
                )
                offset_ms = (flash.media_time_s - onset_s(watched.blocks[heard:])) * 1000
                # The first picture after the click shows it: 40 ms at most, and 40 more for each that a busy machine
                # has left out.
                assert -10 <= offset_ms <= (pts_of(flash) - pts_of(before)) / 90 + 1
                offsets_ms.append(offset_ms)
                heard = len(watched.blocks)
                await watched.until(partial(watched.is_quiet_after, heard + 25))
        with capsys.disabled():
            print(
                f"\nflash after click: {', '.join(f'{o:+.1f}' for o in offsets_ms)} ms (a frame every 40 ms: 0 to +40)"
            )

    run(scenario)


def test_two_viewers_see_the_same_and_everything_is_encoded_once(run: Run) -> None:
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


def test_interrupt_silences_what_a_viewer_hears_and_rests_what_it_sees(run: Run) -> None:
    async def scenario(performer: StagePerformer) -> None:
        async with watching(performer) as watched:
            await watched.until(lambda: watched.viewer.synchronised and len(watched.pictures) > 5)
            await performer.speak(said(tone(10_000)))
            await watched.until(
                lambda: brightness(watched.pictures[-1]) > WHITE and loudness(watched.blocks[-1]) > LOUD
            )
            await performer.interrupt(through=1)
            heard, seen = len(watched.blocks), len(watched.pictures)
            await watched.until(lambda: len(watched.blocks) > heard + 30 and len(watched.pictures) > seen + 15)
            assert all(loudness(b) < 100 for b in watched.blocks[heard + 15 :]), (
                "what was on its way in jitter buffers, and no more"
            )
            assert all(brightness(p) < WHITE for p in watched.pictures[seen + 6 :])

    run(scenario)


def test_viewers_coming_and_going_are_told(run: Run) -> None:
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
        async with watching(performer) as watched:
            await watched.until(lambda: len(watched.pictures) > 5)
            await performer.resize(width_px=640, height_px=360)
            await watched.until(
                lambda: (watched.pictures[-1].frame.width, watched.pictures[-1].frame.height) == (640, 360)
            )

    run(scenario)


def test_a_recording_has_sound_and_pictures_aligned(run: Run, tmp_path: Path) -> None:
    async def scenario(performer: StagePerformer) -> None:
        async with RoomViewer(lambda sdp: performer.offer(viewer_id="v", sdp=sdp)) as viewer:
            recording = asyncio.create_task(record(viewer, out=tmp_path / "room.mp4", seconds=2.0))
            async for event in performer.events():
                if event == FirstFrameSent():
                    break
            await performer.speak(said(b"\0\0" * 8000 + tone(400)))
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
