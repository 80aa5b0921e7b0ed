"""A server that is killed while sessions run: the next one ends them as of the last second that the ledger has."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from anyio import to_thread

from tests.conftest import open_service
from visavis.sessions.lifecycle import EndReason
from visavis.store.usage_slices import seconds_between

TIMEOUT_S = 60.0
SERVER = """
import asyncio, json, sys, time
from pathlib import Path
from tests.fakes import FakeFleet, FakePerformer, fake_prepare
from visavis.server import RunningServer
from visavis.settings import Settings
from visavis.stage.port.events import PerformerEnded, PerformerMetrics

class Performer(FakePerformer):  # one that draws
    async def events(self):
        while True:
            try:
                event = await asyncio.wait_for(self._events.get(), 0.1)
            except TimeoutError:
                event = PerformerMetrics(frames=3, late_frames=0, hurried_frames=0, queued_s=0)
            yield event
            if isinstance(event, PerformerEnded):
                return

class Fleet(FakeFleet):
    async def allocate(self, spec):
        performer = self.performers[spec.session_id] = Performer(spec)
        return performer

with RunningServer(Settings(data_dir=Path(sys.argv[1])), fleet=Fleet(), prepare=fake_prepare) as server:
    print(json.dumps([server.base_url, server.api_key]), flush=True)
    time.sleep(3600)
"""
OFFER = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n"


def open_entries(folder: Path) -> dict[str, tuple[int, int]]:
    """Return the last instant and the seen seconds of each session's open entry."""
    with closing(sqlite3.connect(folder / "visavis.db", timeout=10)) as database:
        rows = database.execute("SELECT session_id, until_ms, seen_s FROM usage_entries WHERE closed = 0")
        return {session_id: (until_ms, seen_s) for session_id, until_ms, seen_s in rows}


def run_until_saved(folder: Path) -> list[str]:
    """Run a server with three sessions, one of them watched, until the ledger has gone on by itself; then kill it.
    Return the ids of the sessions, the watched one first.
    """
    with subprocess.Popen([sys.executable, "-c", SERVER, str(folder)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            told = next(line for line in process.stdout if line.startswith("["))  # after lines of the log
            base_url, key = json.loads(told)
            with httpx.Client(base_url=base_url, headers={"x-api-key": key}, timeout=TIMEOUT_S) as client:
                face = {"avatar": "data:image/png;base64,YSBmYWNl"}
                made = [client.post("/v1/sessions", json=face).json() for _ in range(3)]
                room = made[0]["room"]
                headers = {"Authorization": f"Bearer {room['token']}", "Content-Type": "application/sdp"}
                watched = client.post(f"/rooms/{room['name']}/whep", content=OFFER, headers=headers)
                assert watched.status_code == 201, watched.text
            sessions = [one["session"]["session_id"] for one in made]
            first, deadline_s = open_entries(folder), time.monotonic() + TIMEOUT_S
            while not has_gone_on(first, saved := open_entries(folder), sessions):
                assert time.monotonic() < deadline_s, saved
                time.sleep(0.05)  # polls another process
        finally:
            process.kill()
    return sessions


def has_gone_on(first: dict[str, tuple[int, int]], saved: dict[str, tuple[int, int]], sessions: list[str]) -> bool:
    """Whether the ledger has more than two seconds of each session, and two seen seconds of the first."""
    if saved.keys() != set(sessions) or saved[sessions[0]][1] < 2:
        return False
    return all(saved[one][0] > first[one][0] + 2_000 for one in sessions)


@pytest.mark.anyio
async def test_after_kill_9_the_ledger_has_every_second_that_was_saved(tmp_path: Path) -> None:
    sessions = await to_thread.run_sync(run_until_saved, tmp_path)
    killed_at_ms = time.time_ns() // 1_000_000
    last = open_entries(tmp_path)
    async with open_service(tmp_path) as service:
        ledger = await service.services.billing._usage.of_sessions(sessions)
        for session_id in sessions:
            record = await service.services.sessions._store.get(session_id)
            assert record is not None and record.started_at_ms is not None and record.ended_at_ms is not None
            assert (record.status, record.end_reason) == ("ended", EndReason.SERVER_DIED)
            assert last[session_id][0] <= record.ended_at_ms <= killed_at_ms
            assert ledger[session_id].seconds == seconds_between(record.started_at_ms, record.ended_at_ms)
            assert ledger[session_id].included_minutes >= 1
        seen = await service.services.sessions._store.get(sessions[0])
        assert seen is not None and seen.first_frame_at_ms is not None and seen.last_frame_at_ms is not None
        assert ledger[sessions[0]].seen_s == seconds_between(seen.first_frame_at_ms, seen.last_frame_at_ms) >= 2
    assert open_entries(tmp_path) == {}
