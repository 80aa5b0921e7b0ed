"""One client floods its own session, through the server's own doors: its neighbour on the same stage sees, hears and
interrupts as before, and the flood itself gets typed answers. Gaps and rates are machine time, so this runs in
`make faults` only.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection

from tests import live_server
from tests.e2e.wire_session import running_session
from tests.faults.scale import only_in_full
from visavis.bench.live import LiveServer, LiveSession, live_session, running_server
from visavis.bench.viewer_process import ViewerProcess
from visavis.demo.session_client import SessionClient

TINY_UTTERANCES, CHUNKS_PER_S, JOINS, JOINS_TAKEN = 5000, 595, 20, 16
LASTS_S, ANSWERED_WITHIN_S = 10.0, 120.0
LONGEST_GAP_MS, LONGEST_INTERRUPT_S = 250, 0.3  # what the neighbour may notice
ON_ONE_STAGE = {"VISAVIS_STAGES": "1", "VISAVIS_ADMISSION": "counted", "VISAVIS_SPARE_STAGE": "false"}
LATE_VIEWERS = {"VISAVIS_JOIN_TIMEOUT_S": "600", "VISAVIS_ROOM_EMPTY_GRACE_S": "600"}  # nobody watches most floods


@dataclass(frozen=True, slots=True, kw_only=True)
class Flooding:
    """The session that floods, and viewers of its room."""

    channel: ClientConnection
    room: dict[str, Any]
    http: httpx.AsyncClient
    viewers: ViewerProcess


def speak(samples: int, utterance_id: str, *, final: bool = False) -> str:
    audio = base64.b64encode(bytes(2 * samples)).decode()
    return json.dumps({"type": "agent.speak", "audio": audio, "utterance_id": utterance_id, "final": final})


async def tiny_utterances(flooding: Flooding) -> None:
    for number in range(TINY_UTTERANCES):
        await flooding.channel.send(speak(160, f"tiny {number}", final=True))


async def tiny_chunks(flooding: Flooding) -> None:
    began_s = time.monotonic()
    for number in range(round(LASTS_S * CHUNKS_PER_S)):
        await asyncio.sleep(began_s + number / CHUNKS_PER_S - time.monotonic())
        await flooding.channel.send(speak(16, "chunks"))


async def joins(flooding: Flooding) -> None:
    """So many viewers of one address may wait to connect; the others are told to come again."""
    refused: list[httpx.Response] = []

    async def exchange(sdp: str) -> str | None:
        headers = {"Content-Type": "application/sdp", "Authorization": f"Bearer {flooding.room['token']}"}
        answer = await flooding.http.post(f"{flooding.room['url']}/whep", content=sdp, headers=headers)
        if answer.status_code == 201:
            return answer.text
        refused.append(answer)
        return None

    await flooding.viewers.join_at_once(range(JOINS), exchange)
    for answer in refused:
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "TOO_MANY_OFFERS"), answer.text
        assert int(answer.headers["Retry-After"]) >= 1
    taken = JOINS - len(refused)
    assert taken >= JOINS_TAKEN
    pictures: list[int] = []
    for _ in range(round(ANSWERED_WITHIN_S)):
        await asyncio.sleep(1.0)
        pictures = (await flooding.viewers.count())["pictures"]
        if len(pictures) == taken and min(pictures) > 0:
            break
    assert len(pictures) == taken and min(pictures) > 0, pictures


async def interrupts(session: LiveSession) -> list[float]:
    """Interrupt the neighbour's speech again and again, for LASTS_S; return the seconds that each took."""
    took_s: list[float] = []
    until_s = time.monotonic() + LASTS_S
    while time.monotonic() < until_s:
        await session.channel.tell(type="agent.speak", audio=base64.b64encode(bytes(32_000)).decode())
        await asyncio.sleep(0.4)
        began_s = await session.channel.tell(type="agent.interrupt")
        await session.channel.wait_for("agent.interrupt.confirmed")
        took_s.append(time.monotonic() - began_s)
    return took_s


@asynccontextmanager
async def viewer_process() -> AsyncIterator[ViewerProcess]:
    viewers = await ViewerProcess.start()
    try:
        yield viewers
    finally:
        await viewers.aclose()


@only_in_full
@pytest.mark.parametrize("flood", [tiny_utterances, tiny_chunks, joins])
def test_a_flood_of_one_client_is_not_its_neighbours_trouble(
    tmp_path: Path, flood: Callable[[Flooding], Awaitable[None]]
) -> None:
    async def scenario(server: LiveServer) -> tuple[dict[str, list[int]], list[float]]:
        doors = live_server.LiveServer(
            base_url=server.base_url, key=server.key, look=server.look, process=server.process
        )
        async with (
            server.client() as http,
            running_session(doors, SessionClient(http)) as (session, channel),
            live_session(http, server.look) as neighbour,
            viewer_process() as others,
            viewer_process() as viewer,
        ):
            flooding = Flooding(channel=channel, room=session["daily_room"], http=http, viewers=others)
            answers: Counter[str] = Counter()  # to the flood, by type or code

            async def read() -> None:
                async for text in channel:
                    message = json.loads(text)
                    answers[message.get("code", message["type"])] += 1

            reading = asyncio.create_task(read())
            await viewer.join(0, neighbour.exchange)
            await asyncio.sleep(3.0)
            await viewer.count()
            await asyncio.sleep(3.0)
            before = await viewer.count()
            _, took_s = await asyncio.gather(flood(flooding), interrupts(neighbour))
            counted = await viewer.count()
            reading.cancel()
            print(f"\n{flood.__name__}: {counted}, {max(took_s):.3f} s; 3 s before: {before}; answers: {answers}")
            assert flood is joins or answers["agent.speak.confirmed"] > 0
            assert answers.keys() <= {"agent.speak.confirmed", "QUEUE_FULL"}
            return counted, took_s

    with running_server(tmp_path, **ON_ONE_STAGE, **LATE_VIEWERS) as server:
        counted, took_s = asyncio.run(scenario(server))
        assert "Traceback" not in (tmp_path / "log").read_text()
    assert counted["sound_missing"][0] == 0
    assert counted["gaps_ms"][0] <= LONGEST_GAP_MS and counted["sound_gaps_ms"][0] <= LONGEST_GAP_MS
    assert max(took_s) <= LONGEST_INTERRUPT_S
