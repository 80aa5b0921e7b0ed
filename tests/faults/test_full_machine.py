"""A machine that is full by its own measure: clients are refused before anybody suffers, also while photos are
prepared. Rates and gaps are machine time, so this runs in `make faults` only.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.engine.portrait import photos
from tests.faults.scale import only_in_full
from visavis.bench.live import LiveServer, running_server, speaking_sessions
from visavis.demo.session_client import SessionClient

MORE_THAN_FIT, SETTLE_S, FULL_FOR_S = 100, 5.0, 20.0
LEAST_FPS, LONGEST_GAP_MS = 24.0, 250
PHOTOS_AT_ONCE, HEALTHY_WITHIN_S = 5, 1.0


async def refusal(http: httpx.AsyncClient, look: str) -> httpx.Response:
    """Start one more session until there is no place: measured loads go up and down. Return the last answer."""
    sessions = SessionClient(http)
    for _ in range(10):
        session_id = (await sessions.create(look, {}))["session_id"]
        answer = await http.post(f"/v1/sessions/{session_id}/start")
        if answer.status_code != 200:
            break
        await sessions.end(session_id)
        await asyncio.sleep(1.0)
    return answer


@dataclass(slots=True)
class Photos:
    """What became of photos, by the status of the answer, and how long /healthz took meanwhile."""

    answers: Counter[int] = field(default_factory=Counter)
    healthy_s: list[float] = field(default_factory=list)


@asynccontextmanager
async def photos_prepared(http: httpx.AsyncClient) -> AsyncIterator[Photos]:
    """Upload PHOTOS_AT_ONCE photos at once, again and again, while the context lasts."""
    photo = photos.encoded(photos.portrait())
    seen, over = Photos(), asyncio.Event()

    async def upload() -> None:
        while not over.is_set():
            files = {"file": ("photo.jpg", photo)}
            answer = await http.post("/v1/avatars/upload-face", data={"name": "Ann"}, files=files, timeout=120)
            seen.answers[answer.status_code] += 1

    async def ask() -> None:
        while not over.is_set():
            began_s = time.monotonic()
            assert (await http.get("/healthz")).status_code == 200
            seen.healthy_s.append(time.monotonic() - began_s)
            await asyncio.sleep(0.02)

    tasks = [asyncio.create_task(work) for work in (ask(), *(upload() for _ in range(PHOTOS_AT_ONCE)))]
    try:
        yield seen
    finally:
        over.set()
        await asyncio.gather(*tasks)


@only_in_full
def test_a_machine_that_is_full_by_its_own_measure_shows_every_session_whole(tmp_path: Path) -> None:
    """Clients start sessions one right after the other, until they are refused; then photos are prepared."""

    async def scenario(
        server: LiveServer,
    ) -> tuple[int, dict[str, list[int]], httpx.Response, dict[str, list[int]], Photos]:
        async with server.client() as http, speaking_sessions(http, server.look, MORE_THAN_FIT) as running:
            refused = await refusal(http, server.look)
            await asyncio.sleep(SETTLE_S)
            await running.viewers.count()
            await asyncio.sleep(FULL_FOR_S)
            full = await running.viewers.count()
            async with photos_prepared(http) as prepared:
                await running.viewers.count()
                await asyncio.sleep(FULL_FOR_S)
                beside = await running.viewers.count()
            return running.count, full, refused, beside, prepared

    # The tests' own setting is that nothing is measured.
    with running_server(tmp_path, VISAVIS_ADMISSION="measured") as server:
        count, full, refused, beside, prepared = asyncio.run(scenario(server))
    healthy_s = sorted(prepared.healthy_s)
    p999_s = healthy_s[int(len(healthy_s) * 0.999)]
    print(f"\n{count} sessions: {json.dumps(full)}; beside photos: {json.dumps(beside)}")
    print(f"photos: {prepared.answers}; /healthz, {len(healthy_s)} times: p99.9 {p999_s * 1000:.0f} ms")
    assert 1 <= count < MORE_THAN_FIT
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "NO_CAPACITY"), refused.text
    assert int(refused.headers["Retry-After"]) >= 1
    for counted in (full, beside):
        assert min(counted["pictures"]) >= LEAST_FPS * FULL_FOR_S
        assert max(counted["sound_missing"]) == 0 and max(counted["gaps_ms"]) <= LONGEST_GAP_MS
    assert prepared.answers[201] > 0 and p999_s <= HEALTHY_WITHIN_S
