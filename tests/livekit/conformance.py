"""What only `make conformance` runs against a real livekit-server: a server that restarts, a path that breaks, agents
that are killed, two avatars in one room, and the figures of what a room costs and how soon it answers. Figures are
printed with the machine's load, and not asserted.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import signal
import sqlite3
import statistics
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import httpx
import numpy as np
import pytest
from visavis_client import AsyncVisavis

from tests.livekit.agent import Agent, Finished
from tests.livekit.bare_session import assert_speaks, joined
from tests.livekit.conftest import start
from tests.livekit.path import Path as Way
from tests.livekit.test_livekit_room import ended
from tests.livekit.test_trouble import note_who_leaves
from tests.processes import children
from tools.livekit.server import LiveKitServer, running
from visavis.bench.processes import cpu_s
from visavis.rooms.webrtc.counting_peer import CountingPeer
from visavis.server import RunningServer

CREATES, TURNS, PAIRS = 20, 30, 5
SPOKEN_S = 8.0
AWAY_S = (5.0, 60.0, 900.0)
TO_PICTURE_S, WITHIN_S = 1.0, 30.0
ENDED_WITHIN_S = 1.0  # after the LiveKit server's word that the agent is gone

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(600)]


def show(name: str, seconds: Sequence[float]) -> None:
    ordered = sorted(1000 * one for one in seconds)
    p95 = ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))]
    load = os.getloadavg()[0]
    print(f"{name}: p50 {statistics.median(ordered):.0f} ms, p95 {p95:.0f} ms, of {len(ordered)}, load {load:.1f}")


async def test_create_to_video_published(client: AsyncVisavis, livekit: LiveKitServer) -> None:
    took_s = []
    for _ in range(CREATES):
        agent = Agent(livekit, f"room-{secrets.token_hex(6)}")
        await agent.join()
        published = asyncio.Event()
        agent.room.on("track_published", lambda track, _, seen=published: seen.set() if track.kind == 2 else None)
        begun_s = time.monotonic()
        creating = asyncio.create_task(start(client, livekit, agent))
        await published.wait()
        took_s.append(time.monotonic() - begun_s)
        session = await creating
        await session.end()
        await agent.leave()
    show("create to video published", took_s)


async def test_turns_and_their_ends(client: AsyncVisavis, livekit: LiveKitServer, agent: Agent) -> None:
    session = await start(client, livekit, agent)
    await agent.wait_seen(pictures=3)
    to_sound, to_told, to_started, to_end, errors = [], [], [], [], []
    for turn in range(1, TURNS + 1):
        loud_s, begun_s = agent.loud_s(), time.monotonic()
        await agent.speak(0.6)
        await agent.wait_seen(loud_s=loud_s + 0.01)
        to_sound.append(time.monotonic() - begun_s)
        end = (await agent.wait_finished(turn))[-1]
        to_told.append(agent.started_s[-1] - begun_s)
        to_started.append(agent.seen.loud_from_s[-1] - agent.started_s[-1])
        told_s = time.monotonic()
        await agent.wait_quiet(0.2)
        to_end.append(abs(told_s - agent.seen.last_loud_s))
        errors.append(abs(end.position_s - 0.6))
        assert not end.interrupted
    show("first byte to sound heard", to_sound)
    show("first byte to its first sound published, as playback_started tells it", to_told)
    show("playback_started, until its first sample was heard", to_started)
    show("playback_finished, from the last sample that was heard", to_end)
    show("its position against what was sent", errors)
    assert max(errors) <= 0.04
    await session.end()


async def test_a_server_that_restarts_loses_neither_session_nor_ends(client: AsyncVisavis, tmp_path: Path) -> None:
    with running(tmp_path) as livekit:
        agent = Agent(livekit, "restarted")
        await agent.join()
        session = await start(client, livekit, agent)
        await agent.speak(0.4)
        await agent.wait_finished(1)
        await agent.speak(2.0)
        await agent.wait_started(2)
        begun_s = time.monotonic()
        await asyncio.to_thread(livekit.restart)
        ends = await agent.wait_finished(2)
        assert not ends[1].interrupted, "it was played on, though nobody heard it"
        pictures = agent.seen.pictures
        await agent.wait_seen(pictures=pictures + 3)
        show("from the kill of the server until a picture is seen again", [time.monotonic() - begun_s])
        await agent.speak(0.4)
        assert (await agent.wait_finished(3))[2] == Finished(pytest.approx(0.4, abs=0.02), False)  # type: ignore[arg-type]
        assert (await client.sessions.get(session.id)).status == "started"
        await agent.leave()
        await ended(client, session)


async def test_a_path_that_breaks_for_five_seconds_ends_nothing(livekit: LiveKitServer, agent: Agent) -> None:
    left = note_who_leaves(agent)
    async with Way(livekit).opened() as path, joined(livekit, path, agent):
        await agent.wait_seen(pictures=3)
        stream = await agent.open()
        await stream.write(bytes(24_000))
        path.break_()
        await asyncio.sleep(2.5)
        await stream.write(bytes(24_000))
        await asyncio.sleep(2.5)
        path.mend()
        pictures, mended_s = agent.seen.pictures, time.monotonic()
        await agent.wait_seen(pictures=pictures + 3)
        print(f"pictures {time.monotonic() - mended_s:.2f} s after the path was there again")
        await stream.write(bytes(24_000))
        await stream.aclose()
        assert await agent.wait_finished(1) == [Finished(pytest.approx(1.5, abs=0.02), False)]  # type: ignore[arg-type]
        print(f"all speech was there after {time.monotonic() - mended_s:.2f} s")
        await assert_speaks(agent)
        assert len(path.tokens) == 1 and left == [], "it never left"


async def test_a_stage_that_dies_leaves_no_agent_waiting(
    client: AsyncVisavis, livekit: LiveKitServer, agent: Agent
) -> None:
    session = await start(client, livekit, agent)
    await agent.speak(0.3)
    await agent.wait_finished(1)
    await agent.speak(6.0, close=False)
    await agent.wait_started(2)
    await agent.wait_seen(loud_s=0.8)
    (stage,) = [pid for pid in children(os.getpid(), "visavis.stage") if cpu_s([pid]) == max_cpu_s()]
    begun_s = time.monotonic()
    os.kill(stage, signal.SIGKILL)
    end = (await agent.wait_finished(2))[1]
    show("from the kill of the stage until the segment's end is told", [time.monotonic() - begun_s])
    assert end.interrupted and 0.0 < end.position_s < 6.0
    await agent.speak(0.4)
    assert (await agent.wait_finished(3))[2] == Finished(pytest.approx(0.4, abs=0.02), False)  # type: ignore[arg-type]
    await session.end()


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
async def test_agents_that_are_killed_at_random_moments_leave_nothing(
    client: AsyncVisavis, server: RunningServer, livekit: LiveKitServer, sign: signal.Signals
) -> None:
    """Each in a room of its own: before its session is created, as it is, in its first speech, and later in it. A user
    in each room hears from the LiveKit server when its agent is gone.
    """
    stages = children(os.getpid(), "visavis.stage")
    before = sum(map(sockets, stages))
    async with asyncio.TaskGroup() as group:  # one that fails ends the others, and their agents with them
        killing = [
            group.create_task(_kill(client, server, livekit, sign, kill_at))
            for kill_at in ("joined", "create", "started", "later")
        ]
    told_s = [lag_s for lag_s in (kill.result() for kill in killing) if lag_s is not None]
    show(f"{sign.name}: from the LiveKit server's word until the session has ended", told_s)
    assert max(told_s) <= ENDED_WITHIN_S
    while sum(map(sockets, stages)) > before:  # noqa: ASYNC110  # looks at other processes
        await asyncio.sleep(0.1)
    assert set(stages) <= set(children(os.getpid(), "visavis.stage")), (
        "no stage died; another one may have been started"
    )


async def _kill(
    client: AsyncVisavis, server: RunningServer, livekit: LiveKitServer, sign: signal.Signals, kill_at: str
) -> float | None:
    """Kill one agent. Return how long after the LiveKit server's word its session ended; None if it never saw it."""
    user = Agent(livekit, f"room-{secrets.token_hex(6)}", "user")
    gone_s: list[float] = []
    user.room.on(
        "participant_disconnected", lambda one: gone_s.append(time.monotonic()) if one.identity == "agent" else None
    )
    await user.join(livekit.token(user.room_name, "user"))
    async with agent_process(livekit, user) as agent:
        assert agent.stdout is not None
        assert await agent.stdout.readline() == b"joined\n"
        if kill_at == "joined":
            agent.send_signal(sign)
        creating = asyncio.create_task(start(client, livekit, user, of="agent", join_timeout=5))
        if kill_at == "create":
            await asyncio.sleep(random.uniform(0.0, 0.5))
            agent.send_signal(sign)
        session = await creating
        if kill_at in ("started", "later"):
            assert await agent.stdout.readline() == b"started\n"
            await asyncio.sleep(random.uniform(0.0, 0.2) if kill_at == "started" else random.uniform(1.0, 3.0))
            agent.send_signal(sign)
        killed_s = time.monotonic()
        await agent.wait()
    await ended(client, session)
    now_s = time.monotonic()
    while (reason := recorded(server, session.id)[0]) is None:  # noqa: ASYNC110  # the row is written a moment later
        await asyncio.sleep(0.05)
    open_entries = recorded(server, session.id)[1]
    print(f"{sign.name} at {kill_at}: ended {now_s - killed_s:.1f} s later, {reason}")
    # whoever is killed before its session sees it may be gone when the avatar joins: then it never came
    assert reason == "agent_left" or (reason == "nobody_joined" and kill_at in ("joined", "create"))
    assert open_entries == 0
    while await present(livekit, user.room_name) != ["user"]:  # noqa: ASYNC110  # asks the server
        await asyncio.sleep(0.05)
    await user.leave()
    return now_s - gone_s[0] if gone_s else None


@asynccontextmanager
async def agent_process(livekit: LiveKitServer, user: Agent) -> AsyncIterator[asyncio.subprocess.Process]:
    """Have an agent in the room of a user, in a process of its own. It is gone when the context is left."""
    token = livekit.token(user.room_name, "agent", kind="agent")
    words = ("-m", "tests.livekit.agent_process", livekit.url, token, user.served_by)
    agent = await asyncio.create_subprocess_exec(sys.executable, *words, stdout=asyncio.subprocess.PIPE)
    try:
        yield agent
    finally:
        if agent.returncode is None:
            with suppress(ProcessLookupError):  # it has just ended
                agent.kill()
            await agent.wait()


async def present(livekit: LiveKitServer, room: str) -> list[str]:
    """Return the identities of those who are in a room."""
    people = (await livekit.call("ListParticipants", room=room))["participants"]
    assert isinstance(people, list)
    return [one["identity"] for one in people]


def recorded(server: RunningServer, session_id: str) -> tuple[str | None, int]:
    """Return why a session ended (None until that is written), and how many entries of the ledger are open for it."""
    with closing(sqlite3.connect(server.services.settings.data_dir / "visavis.db", timeout=10)) as database:
        ((reason,),) = database.execute("SELECT end_reason FROM sessions WHERE id = ?", (session_id,))
        query = "SELECT count(*) FROM usage_entries WHERE session_id = ? AND closed = 0"
        ((count,),) = database.execute(query, (session_id,))
    return reason, count


def sockets(pid: int) -> int:
    """How many sockets a process has open."""
    count = 0
    for one in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed meanwhile
            count += "socket:" in str(one.readlink())
    return count


def max_cpu_s() -> float:
    """The processor time of the stage that has worked most: the others are spare."""
    return max(cpu_s([pid]) for pid in children(os.getpid(), "visavis.stage"))


@pytest.mark.timeout(1800)
async def test_users_who_are_away_end_nothing_nor_does_a_quarter_of_an_hour_of_silence(
    client: AsyncVisavis, livekit: LiveKitServer
) -> None:
    """LiveKit itself closes a room 20 s after the last participant who is no agent has left, unless told otherwise.
    The agent watches nothing, as agents do: nobody receives the avatar while its user is away.
    """
    agent = Agent(livekit, f"room-{secrets.token_hex(6)}")
    await livekit.call("CreateRoom", name=agent.room_name, departure_timeout=2 * round(max(AWAY_S)))
    await agent.join(watches=False)
    session = await start(client, livekit, agent)
    to_picture_s, seen = [], set()
    for away_s in (0.0, *AWAY_S):
        await asyncio.sleep(away_s)
        user = Agent(livekit, agent.room_name, "user")
        joining_s = time.monotonic()
        async with asyncio.timeout(WITHIN_S):
            await user.join(livekit.token(agent.room_name, "user"))
            await user.wait_seen(pictures=1)
        to_picture_s.append(time.monotonic() - joining_s)
        seen.add(user.avatar().sid)
        await user.leave()
        print(f"away for {away_s:.0f} s: a picture {1000 * to_picture_s[-1]:.0f} ms after joining", flush=True)
    await agent.speak(0.5)
    assert (await agent.wait_finished(1))[-1] == Finished(pytest.approx(0.5, abs=0.02), False)  # type: ignore[arg-type]
    assert len(seen) == 1, "the avatar has never left"
    assert (await client.sessions.get(session.id)).status == "started"
    assert max(to_picture_s) <= TO_PICTURE_S
    await session.end()
    await agent.leave()


async def test_two_avatars_in_one_room_speak_for_their_own_agents(client: AsyncVisavis, livekit: LiveKitServer) -> None:
    room = f"room-{secrets.token_hex(6)}"
    agents = [Agent(livekit, room, f"agent-{number}", served_by=f"avatar-{number}") for number in range(2)]
    for agent in agents:
        await agent.join()
    sessions = [await start(client, livekit, agent) for agent in agents]
    for agent in agents:
        await agent.wait_seen(pictures=3)
    first, second = agents
    await first.speak(0.8)
    assert await first.wait_finished(1) == [Finished(pytest.approx(0.8, abs=0.02), False)]  # type: ignore[arg-type]
    assert second.finished == [] and second.loud_s() == 0.0
    await asyncio.gather(first.speak(3.0), second.speak(0.5))
    await first.wait_started(2)
    assert await first.clear() == "ok"
    assert await second.wait_finished(1) == [Finished(pytest.approx(0.5, abs=0.02), False)]  # type: ignore[arg-type]
    assert (await first.wait_finished(2))[1].interrupted
    await first.leave()
    await ended(client, sessions[0])
    await second.speak(0.3)
    await second.wait_finished(2)
    assert (await client.sessions.get(sessions[1].id)).status == "started"
    await sessions[1].end()
    await second.leave()


async def test_what_a_session_costs_in_each_room(client: AsyncVisavis, livekit: LiveKitServer) -> None:
    """Processor time of the stages while a session speaks, in pairs; viewers are not part of it."""
    stages = children(os.getpid(), "visavis.stage")
    ratios = []
    for pair in range(PAIRS):
        costs = {}
        for kind in ("embedded", "livekit") if pair % 2 else ("livekit", "embedded"):
            measure = _cost_in_livekit_room if kind == "livekit" else _cost_in_own_room
            costs[kind] = await measure(client, livekit, stages)
        ratios.append(costs["livekit"] / costs["embedded"])
        print(f"cores while speaking: LiveKit {costs['livekit']:.3f}, embedded {costs['embedded']:.3f}")
    print(f"LiveKit to embedded: median {statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}")


async def _cost_in_livekit_room(client: AsyncVisavis, livekit: LiveKitServer, stages: list[int]) -> float:
    agent = Agent(livekit, f"room-{secrets.token_hex(6)}")
    await agent.join(watches=False)  # its own decoding would compete
    session = await start(client, livekit, agent)
    await agent.speak(SPOKEN_S + 2.0)
    await agent.wait_started(1)
    cost = await _cores(stages)
    await session.end()
    await agent.leave()
    return cost


async def _cost_in_own_room(client: AsyncVisavis, _: LiveKitServer, stages: list[int]) -> float:
    times = np.arange(round((SPOKEN_S + 2.0) * 24_000)) / 24_000
    tone = (np.sin(times * 440 * 2 * np.pi) * 12_000).astype("<i2")
    peer = CountingPeer()
    async with (
        client.sessions.create((await client.avatars.public())[0].id, aspect_ratio="1:1") as session,
        httpx.AsyncClient(timeout=30) as http,
    ):
        assert session.room is not None
        headers = {"authorization": f"Bearer {session.room.token}", "content-type": "application/sdp"}
        answer = await http.post(f"{session.room.url}/whep", content=await peer.offer(), headers=headers)
        await peer.accept(answer.text)
        try:
            await session.send(tone.tobytes(), sample_rate=24_000)
            await asyncio.sleep(0.5)
            return await _cores(stages)
        finally:
            await peer.aclose()


async def _cores(stages: list[int]) -> float:
    begun_s, before_s = time.monotonic(), cpu_s(stages)
    await asyncio.sleep(SPOKEN_S)
    return (cpu_s(stages) - before_s) / (time.monotonic() - begun_s)
