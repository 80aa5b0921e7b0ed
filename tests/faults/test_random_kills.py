"""A server under load, with faults at random: stages and the server itself are killed, stages are stopped, the database
is locked, the disk is full, the clock is set. Then the ledger is added up: each session has ended once, for a reason
that is true, at the right second, or it lives; and each minute is billed once.
"""

from __future__ import annotations

import base64
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any

import anyio
import httpx
import numpy as np
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from tests.faults.faulty_server import FaultyServer, faulty_server
from tests.faults.scale import only_in_full

pytestmark = pytest.mark.anyio

RUN_S = float(os.environ.get("VISAVIS_KILLS_S", "1500"))  # within the limit of a test of `make faults`
SESSIONS = 3
SILENT_S = 2.0
WITHIN_S = 240.0
# How exact records are. A server that its machine does not let run for some seconds cannot note until when it ran.
EXACT_S = float(os.environ.get("VISAVIS_KILLS_EXACT_S", "1.0"))
STEPS_S = (-3600.0, -40.0, 0.0, 40.0, 86_400.0)
FAULTS = ("stage killed", "stage stopped", "stage paused", "database locked", "disk full", "clock set", "server killed")
# What may become of a session that a fault hits; "" is to go on.
FATES: dict[str, set[str]] = {
    "stage killed": {"", "performer_lost"},
    "stage stopped": {"", "performer_lost"},
    "server killed": {"", "server_died"},
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass(slots=True)
class Watched:
    """A session. Times are those of `time.monotonic`. `hits`: the faults that may have ended it, each with when it took
    effect, at the earliest and at the latest.
    """

    token: str
    started_s: tuple[float, float]  # before the call, and after its answer
    hits: list[tuple[str, float, float]] = field(default_factory=list)
    ended: tuple[str, float, float] | None = None  # by its client: the reason, before the call, after its answer
    seen_ended: tuple[str, float] | None = None  # what the row said first: the reason, and how long the session lasted


class Client:
    """Creates sessions, speaks to all that live, and ends some."""

    def __init__(self, server: FaultyServer) -> None:
        self.server = server
        self.http = httpx.AsyncClient(base_url=server.base_url, headers={"x-api-key": server.key}, timeout=120)
        self.sessions: dict[str, Watched] = {}
        self.look = ""
        self.spoken = 0

    async def again(self, call: Callable[[], Any]) -> httpx.Response:
        """Call until there is an answer that is no 503."""
        with anyio.fail_after(WITHIN_S):
            while True:
                with suppress(httpx.TransportError):
                    answer: httpx.Response = await call()
                    if answer.status_code < 500:
                        return answer
                    assert answer.status_code == 503, answer.text
                await anyio.sleep(0.1)

    async def start(self) -> str:
        """Start a session."""
        if not self.look:
            avatars = await self.again(lambda: self.http.get("/v1/avatars?view=flat"))
            self.look = avatars.json()["public_avatars"][0]["avatar_id"]
        while True:
            before_s = time.monotonic()
            answer = await self.again(lambda: self.http.post("/v1/sessions", json={"avatar": self.look}))
            if answer.status_code == 201:
                break
        session = answer.json()["session"]
        self.sessions[session["session_id"]] = Watched(session["session_token"], (before_s, time.monotonic()))
        return str(session["session_id"])

    async def end(self, session_id: str) -> None:
        before_s = time.monotonic()
        answer = await self.again(lambda: self.http.put(f"/v1/sessions/{session_id}/end"))
        assert answer.status_code == 200, answer.text
        self.sessions[session_id].ended = ("ended_by_client", before_s, time.monotonic())

    async def speak_always(self, session_id: str) -> None:
        """Keep a session busy, over channels that are opened again."""
        watched = self.sessions[session_id]
        noise = np.random.default_rng(1).integers(-8000, 8000, 8_000).astype("<i2").tobytes()
        speak = json.dumps({"type": "agent.speak", "audio": base64.b64encode(noise).decode()})
        init = {"type": "session.init", "session_id": session_id, "session_token": watched.token}
        address = self.server.base_url.replace("http", "ws") + "/v1/channel"
        while watched.ended is None and watched.seen_ended is None:
            with suppress(OSError, WebSocketException, TimeoutError):
                async with connect(address) as channel:
                    await channel.send(json.dumps(init))
                    while True:
                        await channel.send(speak)
                        with anyio.fail_after(20):
                            answer = json.loads(await channel.recv())
                        self.spoken += answer["type"] == "agent.speak.confirmed"
                        await anyio.sleep(0.4)
            await anyio.sleep(0.2)

    @property
    def living(self) -> list[str]:
        return [one for one, watched in self.sessions.items() if watched.ended is None and watched.seen_ended is None]


class Ledger:
    """Compares what the database says of sessions with what happened to them."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.fates: Counter[str] = Counter()
        self.off_s: dict[str, float] = {}  # by reason: how far the worst record was from the truth

    def look(self) -> None:
        """Read the rows of all sessions. What a row has once said about an end is final."""
        for session_id, row in self.client.server.rows("status, end_reason, started_at_ms, ended_at_ms").items():
            status, reason, started_ms, ended_ms = row
            watched = self.client.sessions.get(session_id)
            if watched is None or status != "ended":
                assert watched is None or watched.seen_ended is None, f"{session_id} lives again"
                continue
            assert isinstance(started_ms, int) and isinstance(ended_ms, int)
            told = (str(reason), (ended_ms - started_ms) / 1000)
            if watched.seen_ended is None:
                watched.seen_ended = told
                self._check_end(session_id, watched, *told)
            assert watched.seen_ended == told, f"the end of {session_id} has changed"

    def _check_end(self, session_id: str, watched: Watched, reason: str, lasted_s: float) -> None:
        ends = [hit for hit in watched.hits if reason in FATES[hit[0]]]
        if watched.ended is not None and reason == watched.ended[0]:
            ends.append(("its client", watched.ended[1], watched.ended[2]))
        first_s, last_s = watched.started_s
        # How far the record is from what can have happened; infinite if nothing can have ended the session so.
        off_s = min(
            (max(0.0, began_s - last_s - lasted_s, lasted_s - over_s + first_s) for _, began_s, over_s in ends),
            default=inf,
        )
        assert off_s <= EXACT_S, f"{session_id} ended with {reason} after {lasted_s:.2f} s; {watched}"
        self.off_s[reason] = max(self.off_s.get(reason, 0.0), off_s)
        self.fates[reason] += 1

    async def wait_written(self) -> None:
        """Wait until the ends that clients have been told are in the database."""
        with anyio.fail_after(WITHIN_S):
            while any(one.ended is not None and one.seen_ended is None for one in self.client.sessions.values()):
                await anyio.sleep(0.05)
                self.look()

    async def add_up(self) -> None:
        """All sessions have ended: compare what the API tells with the rows, and what is billed."""
        self.look()
        server, sessions = self.client.server, self.client.sessions
        assert not self.client.living
        for session_id, watched in sessions.items():
            assert watched.seen_ended is not None
            shown = (await self.client.again(lambda one=session_id: self.client.http.get(f"/v1/sessions/{one}"))).json()  # type: ignore[misc]
            reason, lasted_s = watched.seen_ended
            assert shown["session"]["status"] == "ended" and abs(shown["session"]["duration"] - lasted_s) <= 1
            assert shown["session"]["billing"]["minutes"] == max(1, -int(-lasted_s // 60)), (session_id, reason)
        self._check_usage()
        told = Counter(json.loads(line)["session_id"] for line in server.log.splitlines() if '"session_ended"' in line)
        assert set(told) <= set(sessions) and set(told.values()) <= {1}, "each end is told once"
        untold = [one for one in sessions if one not in told]
        assert all(any(fault == "server killed" for fault, *_ in sessions[one].hits) for one in untold), untold

    def _check_usage(self) -> None:
        """The entries of a session adjoin, from its start to its end, and hold each billed minute once."""
        entries = self.client.server.usage()
        for session_id, (started_ms, ended_ms) in self.client.server.rows("started_at_ms, ended_at_ms").items():
            parts = entries[session_id]
            assert isinstance(started_ms, int) and isinstance(ended_ms, int)
            edges = [started_ms, *(until_ms for _, until_ms, _, _ in parts)]
            assert [began_ms for began_ms, _, _, _ in parts] == edges[:-1] and edges[-1] == ended_ms, (
                session_id,
                parts,
            )
            assert sum(minutes for _, _, minutes, _ in parts) == max(1, -(-(ended_ms - started_ms) // 60_000)), parts
            assert all(closed for _, _, _, closed in parts), (session_id, parts)


async def bring(fault: str, server: FaultyServer, chance: random.Random, meanwhile: Callable[[], Any]) -> list[float]:
    """Bring a fault upon the server, with something that a client does meanwhile; return when the fault took effect, at
    the earliest and at the latest.
    """
    began_s = over_s = time.monotonic()
    if fault.startswith("stage"):
        stage = chance.choice(server.stages)
        os.kill(stage, signal.SIGKILL if fault == "stage killed" else signal.SIGSTOP)
        if fault == "stage paused":
            await anyio.sleep(SILENT_S / 3)
            os.kill(stage, signal.SIGCONT)
        await meanwhile()
        with anyio.fail_after(WITHIN_S):
            while fault != "stage paused" and stage in server.stages:  # noqa: ASYNC110
                await anyio.sleep(0.05)
        over_s = time.monotonic()
    elif fault == "database locked":
        with server.locked_database():
            await meanwhile()
            await anyio.sleep(chance.uniform(0.5, 4.0))
    elif fault == "disk full":
        with server.full_disk():
            await meanwhile()
            await anyio.sleep(chance.uniform(0.5, 4.0))
    elif fault == "clock set":
        server.set_clock(chance.choice(STEPS_S))
        await meanwhile()
    else:
        server.kill()
        over_s = time.monotonic()
        await anyio.sleep(chance.choice([0.0, 1.0, 3.0]))
        await anyio.to_thread.run_sync(server.start)
        await meanwhile()
    return [began_s, over_s]


@only_in_full
async def test_the_ledger_adds_up_after_faults_at_random(tmp_path: Path) -> None:
    chance = random.Random(os.environ.get("VISAVIS_KILLS_SEED", "7"))
    settings = {
        "VISAVIS_STAGES": "2",
        "VISAVIS_SESSIONS_PER_STAGE": "4",
        "VISAVIS_ADMISSION": "counted",
        "VISAVIS_STAGE_SILENCE_S": str(SILENT_S),
        "VISAVIS_STAGE_GRACE_S": "60",  # sessions outlive their server
        "VISAVIS_RATE_LIMIT_PER_MINUTE": "1000000",
        "VISAVIS_CHANNEL_GRACE_S": "100000",
        "VISAVIS_JOIN_TIMEOUT_S": "100000",
        "VISAVIS_MIN_FREE_DISK_MB": "0",
        "VISAVIS_LOG_JSON": "true",
    }
    with faulty_server(tmp_path, **settings) as server:
        client, deadline_s, rounds = Client(server), time.monotonic() + RUN_S, 0
        ledger = Ledger(client)
        async with client.http, anyio.create_task_group() as speaking:
            while time.monotonic() < deadline_s:
                while len(client.living) < SESSIONS:
                    speaking.start_soon(client.speak_always, await client.start())
                fault = chance.choice(FAULTS)
                if fault == "server killed":  # an end that could not be written dies with its server
                    await ledger.wait_written()
                hit, leaves = list(client.living), chance.choice(client.living) if chance.random() < 0.6 else None

                async def meanwhile(one: str | None = leaves) -> None:
                    if one is not None:
                        await client.end(one)

                when = await bring(fault, server, chance, meanwhile)
                await client.again(lambda: client.http.get("/readyz"))
                if fault in FATES:
                    # A stage's end is noticed a moment later than it happens.
                    until_s = when[1] if fault == "server killed" else time.monotonic()
                    for one in hit:
                        client.sessions[one].hits.append((fault, when[0], until_s))
                ledger.look()
                rounds += 1
                print(f"\n{fault}, {len(client.living)} of {len(hit)} live, {dict(ledger.fates)}", end="")
            for one in list(client.living):
                await client.end(one)
            await ledger.wait_written()
            await ledger.add_up()
            assert client.spoken > 0
        told = f"{rounds} faults, {len(client.sessions)} sessions, {client.spoken} pieces spoken"
        print(f"\n{told}: {dict(ledger.fates)}, off by {ledger.off_s}")
        assert server.process is not None
        server.process.terminate()
        assert await anyio.to_thread.run_sync(server.process.wait, 60) == 0
        assert server.stages == [], "nothing is left"
        assert "Traceback" not in server.log, server.log[-8000:]
