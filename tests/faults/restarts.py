"""Servers that are killed or replaced while their sessions go on: processes, a viewer that counts what it gets, and a
client that comes back.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.conftest import wait_until_ready
from tests.processes import children
from tests.used_folder import create_key, used_before
from visavis.demo.server_process import free_port
from visavis.rooms.webrtc.counting_peer import CountingPeer

WITHIN_S = 90.0  # a bound on waiting for what must happen


@dataclass(slots=True)
class Place:
    """A data folder and a port, and the servers that have run there, one after the other."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    stages: set[int] = field(default_factory=set)  # all stage processes that were seen

    @property
    def base_url(self) -> str:
        scheme = "https" if "VISAVIS_TLS_CERT" in self.environment else "http"
        return f"{scheme}://127.0.0.1:{self.port}"

    @property
    def server(self) -> subprocess.Popen[bytes]:
        """The newest server."""
        return self.processes[-1]

    @property
    def log(self) -> str:
        return (self.folder.parent / "log").read_text()

    def start(self, *arguments: str) -> None:
        """Start a server. Several write one log."""
        settings = {
            "VISAVIS_DATA_DIR": str(self.folder),
            "VISAVIS_STAGES": "1",
            "VISAVIS_ADMISSION": "counted",
            "VISAVIS_RATE_LIMIT_PER_MINUTE": "100000",
            "VISAVIS_SPARE_STAGE": "false",  # these tests count stages
            # On a busy machine a server takes long to start. No test asserts how long.
            "VISAVIS_STAGE_GRACE_S": "60",
            "VISAVIS_CHANNEL_GRACE_S": "60",
        }
        with (self.folder.parent / "log").open("ab") as log:
            self.processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "visavis", "serve", "--port", str(self.port), *arguments],
                    env=os.environ | settings | self.environment,
                    stdout=log,
                    stderr=log,
                )
            )

    async def ready(self) -> None:
        """Wait until the newest server performs; make a key at the first time."""
        with httpx.Client() as client:
            async with asyncio.timeout(WITHIN_S):
                while True:
                    with contextlib.suppress(httpx.TransportError):
                        await asyncio.to_thread(wait_until_ready, self.base_url, client)
                        break
                    assert self.server.poll() is None, self.log
                    await asyncio.sleep(0.1)  # there is no event that tells when the socket opens
        self.stages |= set(children(self.server.pid, "visavis.stage"))
        if not self.headers:
            self.headers = {"x-api-key": await asyncio.to_thread(create_key, self.folder)}

    def kill(self) -> None:
        self.server.kill()
        self.server.wait()

    async def stop(self) -> None:
        self.server.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(self.server.wait, WITHIN_S) == 0, self.log

    def row(self, session_id: str) -> dict[str, Any]:
        with closing(sqlite3.connect(self.folder / "visavis.db")) as database:
            database.row_factory = sqlite3.Row
            return dict(database.execute("SELECT * FROM sessions WHERE id = ?", (session_id,)).fetchone())

    async def until_stages_end(self) -> None:
        async with asyncio.timeout(WITHIN_S):
            while any(is_alive(pid) for pid in self.stages):  # noqa: ASYNC110 (foreign processes tell nobody)
                await asyncio.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@contextmanager
def place(folder: Path, **environment: str) -> Iterator[Place]:
    """A place whose servers and stages are gone when the context is left."""
    one = Place(used_before(folder / "data"), environment)
    try:
        yield one
        assert "Traceback" not in one.log, one.log
    finally:
        for process in one.processes:
            process.kill()
            process.wait()
        for pid in one.stages:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


class Front(Protocol):
    """Where clients find a server."""

    headers: dict[str, str]

    @property
    def base_url(self) -> str: ...


@dataclass(slots=True, kw_only=True)
class Session:
    """A started session, as its client knows it."""

    place: Front
    session_id: str
    access_token: str
    room: dict[str, str]

    @classmethod
    async def start(cls, place: Front) -> Session:
        async with httpx.AsyncClient(base_url=place.base_url, headers=place.headers, timeout=WITHIN_S) as http:
            looks = (await http.get("/v1/avatars?view=flat")).json()["public_avatars"]
            created = await http.post("/v1/sessions", json={"avatar_id": looks[0]["avatar_id"]})
            document = created.json()["session"]
            start = f"/v1/sessions/{document['session_id']}/start"
            async with asyncio.timeout(WITHIN_S):
                while (await http.post(start)).json()["ws_uri"] == "try_again":  # noqa: ASYNC110 (as clients do)
                    await asyncio.sleep(0.2)
        return cls(
            place=place,
            session_id=document["session_id"],
            access_token=document["access_token"],
            room=document["daily_room"],
        )

    async def read(self) -> dict[str, Any]:
        async with httpx.AsyncClient(base_url=self.place.base_url, headers=self.place.headers) as http:
            answer = await http.get(f"/v1/sessions/{self.session_id}")
        session: dict[str, Any] = answer.json()["session"]
        return session

    async def end(self) -> None:
        async with httpx.AsyncClient(base_url=self.place.base_url, headers=self.place.headers) as http:
            assert (await http.put(f"/v1/sessions/{self.session_id}/end")).status_code == 200

    @contextlib.asynccontextmanager
    async def viewer(self) -> AsyncIterator[Viewer]:
        peer = CountingPeer()
        try:
            offer = await peer.offer()
            headers = {"Authorization": f"Bearer {self.room['token']}", "Content-Type": "application/sdp"}
            async with httpx.AsyncClient(timeout=WITHIN_S) as http:
                answer = await http.post(f"{self.room['url']}/whep", content=offer, headers=headers)
                assert answer.status_code == 201, answer.text
            async with asyncio.timeout(WITHIN_S):
                await peer.accept(answer.text)
            yield Viewer(peer, str(httpx.URL(f"{self.room['url']}/whep").join(answer.headers["location"])), headers)
        finally:
            await peer.aclose()


@dataclass(slots=True)
class Viewer:
    peer: CountingPeer
    address: str
    headers: dict[str, str]

    async def leave(self) -> int:
        """Delete the viewer, and return the status of the answer."""
        async with httpx.AsyncClient(timeout=WITHIN_S) as http:
            return (await http.delete(self.address, headers=self.headers)).status_code


class Client:
    """The channel of a session. It comes back after each break, with the feature "resume" if that is wanted, and then
    says again what the server has not taken.
    """

    def __init__(self, session: Session, *, resume: bool, features: Sequence[str] = ("playback",)) -> None:
        self._session, self._resume, self._features = session, resume, features
        self._untaken: dict[int, str] = {}
        self._number = 0
        self.received: list[dict[str, Any]] = []
        self.resumed: list[bool] = []  # of each opening
        self.closes: list[int] = []  # codes
        self.connection: ClientConnection | None = None

    async def open(self) -> None:
        """Connect; try again while nobody listens."""
        features = [*self._features, *(["resume"] if self._resume else [])]
        init: dict[str, Any] = {
            "type": "session.init",
            "session_id": self._session.session_id,
            "session_token": self._session.access_token,
            "features": features,
        }
        if self._resume and self._number:
            init["resume"] = {"received": len(self.received)}
        async with asyncio.timeout(WITHIN_S):
            while True:
                address = f"{self._session.place.base_url.replace('http', 'ws')}/v1/channel"
                try:
                    self.connection = await connect(address, max_size=None)
                    await self.connection.send(json.dumps(init))
                    established = json.loads(await self.connection.recv())
                    if established.get("code") == "SERVER_CHANGES":
                        continue
                    break
                except (OSError, ConnectionClosed, EOFError):
                    await asyncio.sleep(0.05)  # as clients do
        assert established["type"] == "connection.established", established
        self.resumed.append(established.get("resumed", False))
        if established.get("resumed"):
            for number in [number for number in self._untaken if number <= established["received"]]:
                del self._untaken[number]
            for text in list(self._untaken.values()):
                await self.connection.send(text)

    async def send(self, **message: Any) -> None:
        self._number += 1
        text = self._untaken[self._number] = json.dumps(message)
        assert self.connection is not None
        try:
            await self.connection.send(text)
        except ConnectionClosed:
            await self.come_back()

    async def give_up(self) -> None:
        """Drop the connection: the server does not answer. The next message comes back."""
        assert self.connection is not None
        self.connection.transport.abort()
        await self.connection.wait_closed()

    async def come_back(self) -> None:
        assert self.connection is not None
        self.closes.append(self.connection.close_code or 0)
        await self.open()

    async def until(self, kind: str, **members: Any) -> dict[str, Any]:
        """Take messages until one has this type and these members; come back if the connection breaks."""
        async with asyncio.timeout(WITHIN_S):
            while True:
                assert self.connection is not None
                try:
                    message: dict[str, Any] = json.loads(await self.connection.recv())
                except ConnectionClosed:
                    await self.come_back()
                    continue
                self._take(message)
                if message["type"] == kind and members.items() <= message.items():
                    return message

    async def take(self, count: int) -> None:
        """Take so many messages, without coming back if the connection breaks."""
        assert self.connection is not None
        async with asyncio.timeout(WITHIN_S):
            for _ in range(count):
                self._take(json.loads(await self.connection.recv()))

    async def until_closed(self) -> None:
        """Take messages until the server closes the connection; then come back when the next message is sent or
        awaited.
        """
        assert self.connection is not None
        async with asyncio.timeout(WITHIN_S):
            try:
                while True:
                    self._take(json.loads(await self.connection.recv()))
            except ConnectionClosed:
                return

    def _take(self, message: dict[str, Any]) -> None:
        assert message["type"] != "error", message
        self.received.append(message)
        for number in [number for number in self._untaken if number <= message.get("ack", 0)]:
            del self._untaken[number]

    def all_of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.received if message["type"] == kind]
