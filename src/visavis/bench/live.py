"""A server of its own and sessions on it, for the benchmarks that measure from the outside: over REST, the channel and
WebRTC, like any client.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import connect

from visavis import signals
from visavis.avatars.look_files import LookFiles
from visavis.bench.processes import cpu_s, with_descendants
from visavis.bench.viewer_process import ViewerProcess
from visavis.bench.yardstick import SIZE_PX
from visavis.demo.channel_client import ChannelClient
from visavis.demo.server_process import ServerProcess
from visavis.demo.session_client import SessionClient
from visavis.engine.audio.files import read_speech
from visavis.errors import ContractBroken
from visavis.library import SAMPLE
from visavis.machine.cores import cores

AHEAD_S = 3  # of speech that a session of the load has queued
SETTLE_S = 5
NO_LIMITS = {"VISAVIS_RATE_LIMIT_PER_MINUTE": "100000", "VISAVIS_CHANNEL_GRACE_S": "30"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveServer:
    """A server that is ready. `look`: its first look. `folder`: its data folder. `process`: makes and revokes keys."""

    base_url: str
    key: str
    look: str
    folder: Path
    process: ServerProcess

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def pack(self) -> Path:
        """The folder of the look's pack."""
        files = LookFiles(self.folder / "avatars")
        return files.pack_folder(signals.run(files.pack_ref(self.look)))

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.base_url, headers={"x-api-key": self.key}, timeout=30)

    def cpu_s(self) -> float:
        """Return the processor time of the server and its stages so far."""
        return cpu_s(with_descendants(self.pid))


@contextmanager
def running_server(folder: Path, **settings: str) -> Iterator[LiveServer]:
    """Run a server with its data and its log in a folder. Raises `ServerFailed`."""
    with running_server_at(0, folder, settings) as server:
        yield server


@contextmanager
def running_server_at(port: int, folder: Path, settings: dict[str, str]) -> Iterator[LiveServer]:
    """See `running_server`. `port` 0: a free one."""
    data, log = folder / "data", folder / "log"
    with ServerProcess(port=port, data_dir=data, log=log, settings=NO_LIMITS | settings) as process:
        process.wait_ready()
        key = process.create_key("bench")

        async def first_look() -> str:
            async with httpx.AsyncClient(base_url=process.base_url, headers={"x-api-key": key}, timeout=30) as http:
                return await SessionClient(http).first_look()

        yield LiveServer(
            base_url=process.base_url, key=key, look=signals.run(first_look()), folder=folder / "data", process=process
        )


@dataclass(slots=True)
class LiveSession:
    """A started session with its channel."""

    document: dict[str, Any]
    channel: ChannelClient
    http: httpx.AsyncClient

    @property
    def whep_url(self) -> str:
        return f"{self.document['daily_room']['url']}/whep"

    @property
    def token(self) -> str:
        token: str = self.document["daily_room"]["token"]
        return token

    async def exchange(self, sdp: str) -> str:
        """Send a viewer's offer to the room; return the answer. Raises `ContractBroken`."""
        headers = {"Content-Type": "application/sdp", "Authorization": f"Bearer {self.token}"}
        answer = await self.http.post(self.whep_url, content=sdp, headers=headers)
        if answer.status_code != 201:
            raise ContractBroken(f"The room answered {answer.status_code}: {answer.text:.200}")
        return answer.text

    async def metrics(self) -> dict[str, Any]:
        """Return the members of GET /v1/sessions/{id}/metrics."""
        answer = await self.http.get(f"/v1/sessions/{self.document['session_id']}/metrics")
        metrics: dict[str, Any] = answer.raise_for_status().json()["metrics"]
        return metrics


@asynccontextmanager
async def live_session(
    http: httpx.AsyncClient,
    look: str,
    *features: str,
    size: tuple[int, int] = SIZE_PX,
    channel_at: str | None = None,
) -> AsyncIterator[LiveSession]:
    """Create and start a session and open its channel; it ends with the context. `channel_at`: the address of another
    server to which the channel comes. Raises `ContractBroken`.
    """
    sessions = SessionClient(http)
    document = await sessions.create(look, {"purpose": "bench"})
    session_id, room = document["session_id"], document["daily_room"]
    ws_uri = await sessions.start(session_id)
    if channel_at is not None:
        ws_uri = f"ws{channel_at.removeprefix('http')}{urlsplit(ws_uri).path}"
    try:
        async with connect(ws_uri, max_size=None) as connection:
            channel = ChannelClient(connection)
            config = {
                "session_id": session_id,
                "access_token": document["access_token"],
                "room": {"platform": "daily", "url": room["url"], "token": room["token"]},
                "video_width": size[0],
                "video_height": size[1],
            }
            await channel.tell(type="session.init", config=config, features=list(features))
            await channel.wait_for("connection.established", session_id=session_id)
            yield LiveSession(document, channel, http)
    finally:
        await sessions.end(session_id)


async def free_places(http: httpx.AsyncClient) -> int:
    """Return how many sessions of the benchmark's size the server still admits."""
    answer = (await http.get("/v1/capacity")).raise_for_status().json()
    places: list[dict[str, int]] = answer["capacity"]["places"]
    return next(place["free"] for place in places if (place["width"], place["height"]) == SIZE_PX)


async def _speak_all_the_time(session: LiveSession, pcm: NDArray[np.int16], rate_hz: int) -> None:
    async def say(seconds: int) -> None:
        nonlocal pcm
        count = seconds * rate_hz
        said, pcm = np.resize(pcm, count), np.roll(pcm, -count)
        audio = base64.b64encode(said.tobytes()).decode()
        await session.channel.tell(type="agent.speak", audio=audio, sample_rate=rate_hz, utterance_id="on and on")
        await session.channel.wait_for("agent.speak.confirmed")

    await say(AHEAD_S)
    next_s = asyncio.get_running_loop().time()
    while True:
        next_s += 1.0
        await asyncio.sleep(next_s - asyncio.get_running_loop().time())
        await say(1)


@dataclass(slots=True)
class SpeakingSessions:
    """The sessions beside the one that is measured."""

    count: int
    viewers: ViewerProcess

    async def least_fps(self, seconds: float) -> float:
        """Return the pictures a second that came since the last call `seconds` ago, of the session with the fewest."""
        pictures = (await self.viewers.count())["pictures"]
        return round(min(pictures) / seconds, 1) if pictures else 0.0


@asynccontextmanager
async def speaking_sessions(http: httpx.AsyncClient, look: str, count: int) -> AsyncIterator[SpeakingSessions]:
    """Run sessions that speak all the time, each with a viewer that counts. Fewer if the server refuses more."""
    pcm, rate_hz = read_speech(SAMPLE)
    running: list[asyncio.Task[None]] = []
    viewers = await ViewerProcess.start()

    async def run(number: int, watched: asyncio.Event) -> None:
        async with live_session(http, look) as session:
            await viewers.join(number, session.exchange)
            watched.set()
            await _speak_all_the_time(session, np.roll(pcm, -number * rate_hz), rate_hz)

    try:
        for number in range(count):
            watched = asyncio.Event()
            task = asyncio.create_task(run(number, watched))
            waiting = asyncio.create_task(watched.wait())
            await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if task.done():
                with suppress(ContractBroken):  # no place is left
                    task.result()
                break
            running.append(task)
        yield SpeakingSessions(len(running), viewers)
        for task in running:
            if task.done():
                task.result()  # raises what has ended it
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await viewers.aclose()


async def admitted(server: LiveServer) -> int:
    """Return how many sessions a server without any admits. It has just started, which its first reports count as
    work; so the most that it tells within SETTLE_S counts.
    """
    most = 1
    async with server.client() as http:
        for _ in range(SETTLE_S):
            await asyncio.sleep(1.0)  # stages report once a second
            most = max(most, await free_places(http))
    return most


def machine_members() -> dict[str, float]:
    return {"cores": round(cores(), 2)}
