"""`visavis bench startup`: how long things take that somebody waits for at the beginning.

Server: from starting the process until `/readyz` answers 200, with an empty data folder and with the one of the start
before. Session: from sending `POST /v1/sessions` until a WebRTC viewer has decoded the first picture, and of that, the
time until the start was answered. Avatar: from sending a photo to `upload-face` until the answer.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from visavis import signals
from visavis.bench.cost_windows import CostWindows, SessionCost
from visavis.bench.figures import percentiles_ms, print_json, print_latencies
from visavis.bench.live import LiveServer, live_session, machine_members, running_server
from visavis.bench.yardstick import Yardstick
from visavis.demo.server_process import ServerProcess
from visavis.demo.session_client import SessionClient
from visavis.library import DEFAULT_PORTRAIT
from visavis.rooms.watch import WhepViewer

FIRST_PICTURE_WITHIN_S = 20.0
ASK_EVERY_S = 0.01
COST_S, COST_WINDOWS = 6.0, 3  # how long and how often a silent session's cost is measured


@dataclass(slots=True)
class Measured:
    """Times in seconds."""

    first_ready_s: list[float] = field(default_factory=list)  # with an empty data folder
    ready_s: list[float] = field(default_factory=list)
    started_s: list[float] = field(default_factory=list)
    first_picture_s: list[float] = field(default_factory=list)
    avatar_s: list[float] = field(default_factory=list)
    cost: SessionCost = SessionCost(None)  # noqa: RUF009  frozen


def measure_server(folder: Path, *, rounds: int, measured: Measured) -> None:
    """Start a server in an empty folder, then again in the same one, `rounds` times."""
    for number in range(rounds):
        data = folder / str(number)
        for times_s in (measured.first_ready_s, measured.ready_s):
            began_s = time.monotonic()
            with ServerProcess(data_dir=data, log=folder / "log") as process:
                process.wait_ready(ask_every_s=ASK_EVERY_S)
                times_s.append(time.monotonic() - began_s)


async def measure_session(server: LiveServer, *, rounds: int, measured: Measured) -> None:
    async with server.client() as http:
        sessions = SessionClient(http)
        for _ in range(rounds):
            began_s = time.monotonic()
            document = await sessions.create(server.look, {"purpose": "bench"})
            await sessions.start(document["session_id"])
            measured.started_s.append(time.monotonic() - began_s)
            room = document["daily_room"]
            async with WhepViewer(whep_url=f"{room['url']}/whep", token=room["token"]) as viewer:
                pictures = viewer.pictures()
                async with asyncio.timeout(FIRST_PICTURE_WITHIN_S):
                    picture = await anext(pictures)
                measured.first_picture_s.append(picture.arrived_s - began_s)
                await pictures.aclose()
            await sessions.end(document["session_id"])


async def measure_avatar(server: LiveServer, *, rounds: int, measured: Measured) -> None:
    photo = DEFAULT_PORTRAIT.path.read_bytes()
    async with server.client() as http:
        for number in range(rounds):
            began_s = time.monotonic()
            answer = await http.post(
                "/v1/avatars/upload-face",
                files={"file": ("photo.jpg", photo, "image/jpeg")},
                data={"name": f"bench {number}"},
            )
            answer.raise_for_status()
            measured.avatar_s.append(time.monotonic() - began_s)


async def measure_cost(server: LiveServer, yardstick: Yardstick, *, measured: Measured) -> None:
    """Measure what a silent session with a viewer costs."""
    async with (
        server.client() as http,
        live_session(http, server.look) as session,
        WhepViewer(whep_url=session.whep_url, token=session.token) as viewer,
    ):

        async def watch() -> None:
            async for _ in viewer.pictures():
                pass

        async def listen() -> None:
            async for _ in viewer.sound():
                pass

        receiving = [asyncio.create_task(watch()), asyncio.create_task(listen())]
        await asyncio.sleep(2.0)
        windows = CostWindows(server, session, yardstick)
        await windows.begin()
        for _ in range(COST_WINDOWS):
            await asyncio.sleep(COST_S)
            await windows.close(session_s=windows.passed_s, spoken_s=0.0)
        measured.cost = windows.cost()
        for task in receiving:
            task.cancel()
        await asyncio.gather(*receiving, return_exceptions=True)


def run(as_json: bool, *, rounds: int) -> None:
    """Measure and print."""
    measured = Measured()
    with tempfile.TemporaryDirectory(prefix="visavis-") as name:
        folder = Path(name)
        measure_server(folder, rounds=max(1, rounds // 4), measured=measured)
        with running_server(folder) as server:
            yardstick = Yardstick(server.pack)
            signals.run(measure_session(server, rounds=rounds, measured=measured))
            signals.run(measure_avatar(server, rounds=rounds, measured=measured))
            signals.run(measure_cost(server, yardstick, measured=measured))
            machine = yardstick.end()
    rows = {
        "first_ready_ms": ("server process to ready, empty data folder", percentiles_ms(measured.first_ready_s)),
        "ready_ms": ("server process to ready, later starts", percentiles_ms(measured.ready_s)),
        "started_ms": ("create a session to started", percentiles_ms(measured.started_s)),
        "first_picture_ms": ("create a session to the first picture", percentiles_ms(measured.first_picture_s)),
        "avatar_ms": ("photo to avatar", percentiles_ms(measured.avatar_s)),
    }
    record = {
        "benchmark": "startup",
        "rounds": rounds,
        **{member: figures for member, (_, figures) in rows.items()},
        **{f"{member}_silent": value for member, value in measured.cost.members().items()},
        **machine.members(),
        **machine_members(),
    }
    if as_json:
        print_json(record)
        return
    print_latencies(
        f"{rounds} starts of sessions and photos",
        list(rows.values()),
        f"{measured.cost.sentence()} (all sessions are silent here)",
        machine.sentence(),
    )
