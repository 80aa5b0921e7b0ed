"""The dashboard and the alerts, in a real Prometheus that watches a real server while a session speaks: every query
returns data.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import isfinite
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.wire_session import running_session, speak
from tests.live_server import LiveServer
from visavis.demo.session_client import SessionClient
from visavis.rooms.watch import WhepViewer

PROMETHEUS = shutil.which("prometheus")
DEPLOY = Path(__file__).parents[2] / "deploy"
SAMPLE = Path(__file__).parents[2] / "src" / "visavis" / "library" / "voices" / "sample.wav"
COMPARISON = re.compile(r"(?s)(.+?)\s[<>]\s[\d.]+$")
ANSWERS_WITHIN_S = 60.0

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(PROMETHEUS is None, reason="there is no Prometheus on this machine"),
]


def dashboard_queries() -> dict[str, str]:
    """Return the queries of all panels, by panel and number."""
    panels = json.loads((DEPLOY / "grafana" / "visavis.json").read_text(encoding="utf-8"))["panels"]
    return {
        f"{panel['title']} {target['refId']}": target["expr"].replace("$__rate_interval", "15s")
        for panel in panels
        for target in panel.get("targets", [])
    }


async def alert_queries(prometheus: httpx.AsyncClient) -> dict[str, str]:
    """Return what each alert compares with its threshold. Prometheus has read the file of the alerts."""
    groups = (await prometheus.get("/api/v1/rules")).json()["data"]["groups"]
    found = {}
    for rule in (rule for group in groups for rule in group["rules"]):
        compared = COMPARISON.fullmatch(rule["query"])
        assert compared is not None, rule["query"]
        found[rule["name"]] = compared[1]
    return found


@asynccontextmanager
async def running_prometheus(folder: Path, *, target: str) -> AsyncIterator[httpx.AsyncClient]:
    """Run a Prometheus with our alerts, which scrapes the server once a second. Yields a client of it."""
    shutil.copy(DEPLOY / "prometheus" / "alerts.yml", folder)
    config = (DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8")
    config = config.replace("127.0.0.1:8000", target).replace("interval: 5s", "interval: 1s").replace("15s", "1s")
    (folder / "prometheus.yml").write_text(config, encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    files = [f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    with (folder / "log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            str(PROMETHEUS), *files, f"--web.listen-address={address}", stdout=log, stderr=subprocess.STDOUT
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://{address}", timeout=10) as client:
            async with asyncio.timeout(30):
                while not await is_ready(client):
                    assert process.returncode is None, (folder / "log").read_text()
                    await asyncio.sleep(0.1)  # polls another process's start
            yield client
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 10)


async def is_ready(prometheus: httpx.AsyncClient) -> bool:
    try:
        return (await prometheus.get("/-/ready")).status_code == 200
    except httpx.TransportError:
        return False


async def has_data(prometheus: httpx.AsyncClient, query: str) -> bool:
    answer = (await prometheus.get("/api/v1/query", params={"query": query})).json()
    assert answer["status"] == "success", (query, answer)
    return any(isfinite(float(result["value"][1])) for result in answer["data"]["result"])


async def wait_for_data(prometheus: httpx.AsyncClient, queries: dict[str, str]) -> list[str]:
    """Return the queries that return no data, also after a while."""
    missing = dict(queries)
    for _ in range(int(ANSWERS_WITHIN_S)):
        missing = {name: query for name, query in missing.items() if not await has_data(prometheus, query)}
        if not missing:
            break
        await asyncio.sleep(1)  # polls another process, which looks once a second
    return sorted(missing)


async def keep_speaking(channel: Any, stop: asyncio.Event) -> None:
    """Speak and interrupt until told to stop."""
    number = 0
    while not stop.is_set():
        number += 1
        await speak(channel, SAMPLE, f"u{number}")
        await asyncio.sleep(1.0)  # lets the utterance play: what is measured is its way through the stage
        await channel.send(json.dumps({"type": "agent.interrupt"}))
        assert json.loads(await channel.recv())["type"] == "agent.interrupt.confirmed"


async def test_every_query_of_the_dashboard_and_the_alerts_returns_data(
    server: LiveServer, sessions: SessionClient, tmp_path: Path
) -> None:
    target = server.base_url.removeprefix("http://")
    async with running_prometheus(tmp_path, target=target) as prometheus:
        assert await wait_for_data(prometheus, {"": "visavis_sessions"}) == []
        async with running_session(server, sessions) as (session, channel):
            room, stop = session["daily_room"], asyncio.Event()
            viewer = WhepViewer(whep_url=f"{room['url']}/whep", token=room["token"])
            async with viewer, asyncio.TaskGroup() as tasks:
                tasks.create_task(keep_speaking(channel, stop))
                pictures = tasks.create_task(consume(viewer))
                queries = dashboard_queries() | await alert_queries(prometheus)
                of_ended = {name: query for name, query in queries.items() if "duration" in query or "ended" in query}
                while_running = {name: query for name, query in queries.items() if name not in of_ended}
                missing = await wait_for_data(prometheus, while_running)
                await check_metrics_of_session(sessions, session["session_id"])
                stop.set()
                pictures.cancel()
            assert missing == []
        assert await wait_for_data(prometheus, of_ended) == []
        rules = (await prometheus.get("/api/v1/rules")).json()["data"]["groups"][0]["rules"]
        assert {rule["health"] for rule in rules} == {"ok"}, rules
        assert len(queries) > 50


async def check_metrics_of_session(sessions: SessionClient, session_id: str) -> None:
    """The figures of the session that has spoken and was interrupted while somebody watched."""
    metrics = (await sessions._http.get(f"/v1/sessions/{session_id}/metrics")).json()["metrics"]
    assert metrics["frames"]["drawn"] > 0 and metrics["sound"]["blocks"] > 50
    assert metrics["interrupts"]["count"] > 0 and metrics["interrupts"]["confirmed_ms"]["p50"] is not None
    assert metrics["viewers"]["watching"] == 1 and metrics["viewers"]["round_trip_ms"] is not None
    assert metrics["viewers"]["bytes_sent"] > metrics["viewers"]["packets_sent"] > 0
    utterance = next(one for one in reversed(metrics["utterances"]) if one["packet_ms"] is not None)
    stations = [utterance[f"{name}_ms"] for name in ("turn", "motion", "frame", "packet", "finished")]
    assert stations == sorted(stations) and stations[0] >= 0, utterance
    assert 0 < utterance["received_s"] <= utterance["started_s"]
    assert metrics["latency_ms"]["packet"]["p95"] >= metrics["latency_ms"]["frame"]["p50"]


async def consume(viewer: WhepViewer) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(_drain(viewer.pictures()))
        tasks.create_task(_drain(viewer.sound()))


async def _drain(items: AsyncIterator[object]) -> None:
    async for _ in items:
        pass


@pytest.mark.skipif(shutil.which("promtool") is None, reason="there is no promtool on this machine")
@pytest.mark.parametrize(
    "check", ["check rules alerts.yml", "check config prometheus.yml", "test rules alerts_test.yml"]
)
def test_the_files_are_valid_and_each_alert_fires_when_it_should(check: str) -> None:
    command = ["promtool", *check.split()]
    done = subprocess.run(command, cwd=DEPLOY / "prometheus", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested() -> None:
    names = re.findall(r"- alert: (\w+)", (DEPLOY / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))
    tests = (DEPLOY / "prometheus" / "alerts_test.yml").read_text(encoding="utf-8")
    fired = set(re.findall(r"alertname: (\w+)\n", tests))
    assert set(names) == fired
