"""A machine that is full by its own measure: clients are refused before anybody suffers. Rates and gaps are machine
time, so this runs in `make faults` only.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx

from tests.faults.scale import only_in_full
from visavis.bench.live import LiveServer, running_server, speaking_sessions
from visavis.demo.session_client import SessionClient

MORE_THAN_FIT, SETTLE_S, FULL_FOR_S = 100, 5.0, 20.0
LEAST_FPS, LONGEST_GAP_MS = 24.0, 250


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


@only_in_full
def test_a_machine_that_is_full_by_its_own_measure_shows_every_session_whole(tmp_path: Path) -> None:
    """Clients start sessions one right after the other, until they are refused."""

    async def scenario(server: LiveServer) -> tuple[int, dict[str, list[int]], httpx.Response]:
        async with server.client() as http, speaking_sessions(http, server.look, MORE_THAN_FIT) as running:
            refused = await refusal(http, server.look)
            await asyncio.sleep(SETTLE_S)
            await running.viewers.count()
            await asyncio.sleep(FULL_FOR_S)
            return running.count, await running.viewers.count(), refused

    # The tests' own setting is that nothing is measured.
    with running_server(tmp_path, VISAVIS_ADMISSION="measured") as server:
        count, counted, refused = asyncio.run(scenario(server))
    print(f"\n{count} sessions: {json.dumps(counted)}")
    assert 1 <= count < MORE_THAN_FIT
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "NO_CAPACITY"), refused.text
    assert int(refused.headers["Retry-After"]) >= 1
    assert min(counted["pictures"]) >= LEAST_FPS * FULL_FOR_S
    assert max(counted["sound_missing"]) == 0 and max(counted["gaps_ms"]) <= LONGEST_GAP_MS
