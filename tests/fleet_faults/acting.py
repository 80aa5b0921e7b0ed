"""Sessions of the fleet while it is tested: their speakers and their viewers."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from tests.e2e.browser import CHROMIUM
from tests.fleet_faults.accounts import is_whole
from tests.fleet_faults.fleet import MACHINES, Fleet
from tests.fleet_faults.programs import zombies_of
from tests.fleet_faults.speaker import Speaker
from tests.fleet_faults.stage_logs import at_the_same_time, epochs_that_fell, lines_of, shown
from tests.fleet_faults.viewers import Watched, viewer

SETTLED_WITHIN_S = 120.0  # a bound on a busy machine
LOGGED_WITHIN_S = 30.0


@dataclass(slots=True)
class Act:
    """A session, its speaker, and its viewer if it has one."""

    speaker: Speaker
    task: asyncio.Task[None]
    watched: Watched | None

    def ended_since(self, at_s: float) -> bool:
        """Whether an utterance has ended after this time (unix s)."""
        newest = self.speaker.messages_s[-50:]
        return any(at_s < came_s and kind == "agent.playback.finished" for came_s, kind in newest)


@asynccontextmanager
async def acting(fleet: Fleet, number: int, chance: random.Random) -> AsyncIterator[Act]:
    """Start a session that speaks until the end of this context, and is ended and checked then. The first one has a
    viewer of ours, the second one Chromium, the others none.
    """
    speaker = await Speaker.start(fleet, f"session {number}")
    async with AsyncExitStack() as stack:
        watched = None
        if number == 0 or (number == 1 and CHROMIUM is not None):
            watched = stack.enter_context(_viewer(fleet, speaker, in_browser=number == 1))
        task = asyncio.create_task(speaker.run(chance))
        try:
            if watched is not None:
                await asyncio.to_thread(watched.wait_first)
            yield Act(speaker, task, watched)
            speaker.stopping = True
            await task
        finally:
            task.cancel()
            await asyncio.wait((task,))
        await speaker.end()
    speaker.check()


def _viewer(fleet: Fleet, speaker: Speaker, *, in_browser: bool) -> AbstractContextManager[Watched]:
    url, token = speaker.room["url"], speaker.room["token"]
    machine = fleet.machine("browser" if in_browser else "viewer")
    module = "watching_page" if in_browser else "watching"
    arguments = [f"{url}#t={token}"] if in_browser else [f"{url}/whep", token]
    return viewer(machine, module=module, arguments=arguments, environment=dict(os.environ))


async def until_settled(fleet: Fleet, acts_now: Callable[[], Sequence[Act]], since_s: float) -> None:
    """Wait until the fleet is whole, every session has ended an utterance since then, and every viewer sees it."""
    async with asyncio.timeout(SETTLED_WITHIN_S):
        while True:
            acts = acts_now()
            for act in acts:
                if act.task.done():
                    act.task.result()
            talk = all(act.ended_since(since_s) for act in acts)
            seen = all(act.watched is None or act.watched.sees_at(since_s) for act in acts)
            if talk and seen and await is_whole(fleet):
                break
            await asyncio.sleep(0.2)
    zombies = zombies_of(fleet.pids)
    if zombies:
        await asyncio.sleep(2)
        assert not zombies & zombies_of(fleet.pids), "processes have ended, and nobody waits for them"


async def check_stage_logs(fleet: Fleet) -> str:
    """Prove from the stages' own logs that no two ever showed one session, and that no owner of before was heard.
    Returns what there was, in words. No session runs any more.
    """
    async with asyncio.timeout(LOGGED_WITHIN_S):
        while True:
            lines = lines_of({name: (fleet.folder / f"{name}.log").read_text().splitlines() for name in MACHINES})
            found = shown(lines, fleet.ended)
            if all(one.until_s < float("inf") for one in found):
                break
            await asyncio.sleep(0.5)
    both = at_the_same_time(found)
    assert both == [], f"two stages at once: {both}"
    fell = epochs_that_fell(lines)
    assert fell == [], fell
    sessions = {one.session_id for one in found}
    takes = sum(line.event == "session_taken_over" for line in lines)
    refused = sum(line.event == "command_refused" for line in lines)
    ordered = sorted(found, key=lambda one: one.from_s)
    by_session = [[one for one in ordered if one.session_id == session_id] for session_id in sessions]
    between = sorted(after.from_s - before.until_s for of in by_session for before, after in itertools.pairwise(of))
    return (
        f"{len(sessions)} sessions on {len(found)} stages one after the other, {takes} times taken over by a server, "
        f"{refused} commands of an earlier owner refused; from one stage of a session to the next: "
        f"{f'{between[0]:.2f} s at least' if between else 'none moved'}"
    )
