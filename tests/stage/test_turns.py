"""The turns of a stage's sessions on a virtual clock: whatever the load, sound is on time and pictures are shared."""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from visavis.stage.fence import now_ns
from visavis.stage.pace import PACES, FrameClock
from visavis.stage.timeline import BLOCK_SAMPLES, PLAYOUT_RATE_HZ, duration_ns
from visavis.stage.turns import RestSelector, Turns, next_turn

MS = 1_000_000
BLOCK_NS, PICTURE_NS = MS // 2, 7 * MS  # what a block and a picture of a slow machine take


@dataclass(eq=False)
class Session:
    """Notes when its blocks and frames were published, on a clock that only work moves."""

    origin_ns: int
    session_id: str = "sess_1"
    picture_ns: int = PICTURE_NS
    frames: FrameClock = field(default_factory=lambda: FrameClock(25))
    position: int = 0
    late_blocks_ns: list[int] = field(default_factory=list)
    published: asyncio.Event = field(default_factory=asyncio.Event)  # a block
    shown: list[tuple[int, int]] = field(default_factory=list)  # (position, when)

    @property
    def block_due_ns(self) -> int:
        return self.origin_ns + duration_ns(self.position)

    @property
    def frame_due_ns(self) -> int:
        return self.origin_ns + duration_ns(self.frames.next_at)

    async def until(self, position: int) -> None:
        """Wait until so much sound was published."""
        while self.position < position:
            self.published.clear()
            await self.published.wait()

    def publish_block(self, now_ns: int) -> None:
        self.late_blocks_ns.append(now_ns - self.block_due_ns)
        self.position += BLOCK_SAMPLES
        self.published.set()

    def publish_frame(self, now_ns: int) -> bool:
        now_at = (now_ns - self.origin_ns) * PLAYOUT_RATE_HZ // 1_000_000_000
        self.frames.leave_out_until(min(now_at, self.position - 1))
        position = self.frames.take()
        assert position < self.position, "the block of a frame comes before it"
        self.shown.append((position, now_ns))
        return True


def perform(sessions: list[Session], *, for_s: float) -> None:
    """Give turns on a virtual clock, on which every turn takes as long as its work."""
    now_ns = 0
    while now_ns < for_s * 1e9:
        turn = next_turn(sessions, now_ns)
        now_ns = max(now_ns, turn.due_ns)
        session = turn.session
        assert isinstance(session, Session)
        if turn.is_block:
            session.publish_block(now_ns)
            now_ns += BLOCK_NS
        else:
            session.publish_frame(now_ns)
            now_ns += session.picture_ns


def gaps_ms(session: Session) -> list[float]:
    times = [when for _, when in session.shown]
    return [(after - before) / MS for before, after in pairwise(times)]


@pytest.mark.parametrize("sessions", [3, 5, 10])
def test_every_session_gets_its_share_of_the_pictures_and_sound_is_on_time(sessions: int) -> None:
    """Five of these sessions fill a core; ten are twice the load."""
    stage = [Session(origin_ns=number * 7 * MS) for number in range(sessions)]
    perform(stage, for_s=20)
    counts = [len(session.shown) for session in stage]
    assert min(counts) >= 10 * 20 - 10 and max(counts) - min(counts) <= 5
    for session in stage:
        assert max(gaps_ms(session)) < 250
        assert max(session.late_blocks_ns) <= sessions * BLOCK_NS + PICTURE_NS
        positions = [position for position, _ in session.shown]
        assert all(position % 1920 == 0 for position in positions) and positions == sorted(set(positions))


def test_a_session_with_dear_pictures_does_not_take_the_turns_of_the_others() -> None:
    stage = [Session(origin_ns=0, picture_ns=40 * MS), *(Session(origin_ns=number * 9 * MS) for number in range(5))]
    perform(stage, for_s=20)
    counts = [len(session.shown) for session in stage]
    assert max(counts) <= 1.15 * min(counts)
    assert all(max(gaps_ms(session)) < 250 for session in stage)


def test_at_the_pace_that_fits_frames_are_even() -> None:
    """Ten sessions at half the rate: as many pictures as five at the full rate, each on time."""
    stage = [Session(origin_ns=number * 7 * MS, picture_ns=4 * MS) for number in range(10)]
    for session in stage:
        session.frames.set_pace(PACES.index(min(PACES)) - 1)
    perform(stage, for_s=20)
    for session in stage:
        assert {after - before for (before, _), (after, _) in pairwise(session.shown)} == {3840}


def test_a_failing_session_ends_alone() -> None:
    class Failing(Session):
        def publish_block(self, now_ns: int) -> None:
            raise ArithmeticError("broken")

    async def scenario() -> None:
        turns = Turns()
        good = Session(origin_ns=0)
        running = asyncio.create_task(turns.run())
        performing = asyncio.create_task(turns.take(good))
        with pytest.raises(ArithmeticError):
            await turns.take(Failing(origin_ns=0))
        before = good.position
        await good.until(before + 1)
        performing.cancel()
        await asyncio.wait([performing])
        again = Session(origin_ns=0)
        performing = asyncio.create_task(turns.take(again))  # after a time without any session
        await again.until(1)
        performing.cancel()
        running.cancel()
        await asyncio.wait([performing, running])

    asyncio.run(scenario())


def test_a_loop_that_breaks_does_not_die_in_silence() -> None:
    @dataclass(eq=False)
    class Broken(Session):
        @property
        def block_due_ns(self) -> int:
            raise ArithmeticError("broken")

    async def scenario() -> None:
        turns = Turns()
        performing = asyncio.create_task(turns.take(Broken(origin_ns=0)))
        with pytest.raises(ArithmeticError):
            await turns.run()
        performing.cancel()
        await asyncio.wait([performing])

    asyncio.run(scenario())


def test_what_was_published_is_sent_before_more_is_made() -> None:
    """Tasks that a turn wakes run before the next turn, however late that is."""

    async def scenario() -> None:
        turns, session = Turns(), Session(origin_ns=0)  # on the real clock: each of its turns is overdue
        seen: list[int] = []

        async def send() -> None:
            while len(seen) < 5:
                session.published.clear()
                await session.published.wait()
                seen.append(session.position)

        sending = asyncio.create_task(send())
        await asyncio.sleep(0)
        running = asyncio.create_task(turns.run())
        performing = asyncio.create_task(turns.take(session))
        await sending
        for task in (running, performing):
            task.cancel()
        await asyncio.wait([running, performing])
        assert seen == [BLOCK_SAMPLES * n for n in range(1, 6)]

    asyncio.run(scenario())


def test_the_selector_counts_rest_and_not_work() -> None:
    rest = RestSelector()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(rest)) as runner:
        before = rest.rested_ns
        runner.run(asyncio.sleep(0.05))
        assert rest.rested_ns > before

        async def work() -> None:
            for _ in range(1000):
                await asyncio.sleep(0)

        before = rest.rested_ns
        runner.run(work())
        assert rest.rested_ns == before


def stop(seconds: float) -> None:
    """Do nothing, as a process that is stopped."""
    time.sleep(seconds)


def test_what_is_read_after_a_stop_is_known_to_have_come_since_the_loop_was_idle() -> None:
    rest = RestSelector(notes_idle=True)

    async def scenario() -> None:
        here, there = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=here)
        with there:
            await asyncio.sleep(0.01)
            stopped_ns = now_ns()
            there.send(b"a")
            stop(0.02)
            assert await reader.readexactly(1) == b"a"
            assert 0 < rest.idle_ns <= stopped_ns
            waiting = asyncio.create_task(reader.readexactly(1))
            await asyncio.sleep(0.01)
            there.send(b"b")
            assert await waiting == b"b" and rest.idle_ns > stopped_ns
            writer.close()
            await writer.wait_closed()

    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(rest)) as runner:
        runner.run(scenario())
