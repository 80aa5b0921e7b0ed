"""Traces: what a collector receives of a session, and that nothing is loaded without one."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest
from ulid import ULID

from tests.conftest import open_service
from visavis.errors import SettingInvalid
from visavis.stage.port.events import PerformerMetrics, UtteranceMeasured
from visavis.telemetry.traces import NoTraces, open_traces

UTTERANCE = UtteranceMeasured(
    utterance_id="u1", received_s=0.5, turn_ms=0.0, motion_ms=15.0, frame_ms=60.0, packet_ms=61.0, finished_ms=900.0,
    played_s=0.8, interrupted=False,
)  # fmt: skip


@contextmanager
def collector() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Run a collector; yield its address, and the spans that it has received."""
    spans: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            for resource in body["resourceSpans"]:
                for scope in resource["scopeSpans"]:
                    spans.extend(scope["spans"])
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/traces", spans
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def attributes(span: dict[str, Any]) -> dict[str, Any]:
    return {one["key"]: next(iter(one["value"].values())) for one in span["attributes"]}


@pytest.mark.anyio
async def test_a_session_is_one_trace(tmp_path: Path) -> None:
    with collector() as (url, spans):
        async with open_service(tmp_path, traces_url=url) as service:
            created = (await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})).json()["session"]
            session_id, room = created["session_id"], created["daily_room"]
            await service.client.put(f"/v1/sessions/{session_id}/start")
            await service.client.post(
                f"/rooms/{room['name']}/whep",
                content="v=0\r\nm=video",
                headers={"Content-Type": "application/sdp", "Authorization": f"Bearer {room['token']}"},
            )
            performer = service.performer(session_id)
            performer.emit(UTTERANCE)
            performer.emit(PerformerMetrics(frames=25, late_frames=0, queued_s=0.0))
            with anyio.fail_after(10):
                while not service.services.live.table.running[session_id].metrics.frames:  # noqa: ASYNC110 (as an event of it)
                    await anyio.sleep(0.005)
            await service.client.put(f"/v1/sessions/{session_id}/end")
    named = {span["name"]: span for span in spans}
    assert sorted(span["name"] for span in spans) == ["create", "join", "session", "start", "utterance"]
    assert {span["traceId"] for span in spans} == {ULID.from_str(session_id.removeprefix("sess_")).hex}
    root = named["session"]
    assert not root.get("parentSpanId")
    assert {span["parentSpanId"] for span in spans if span is not root} == {root["spanId"]}
    assert {attributes(span)["visavis.session_id"] for span in spans} == {session_id}
    assert attributes(root)["visavis.reason"] == "ended_by_client"
    utterance = named["utterance"]
    took_ns = int(utterance["endTimeUnixNano"]) - int(utterance["startTimeUnixNano"])
    assert took_ns == 900_000_000
    stations = {one["name"]: int(one["timeUnixNano"]) for one in utterance["events"]}
    assert stations["first frame"] - int(utterance["startTimeUnixNano"]) == 60_000_000
    assert set(stations) == {"turn", "first motion", "first frame", "first packet"}


@pytest.mark.anyio
async def test_a_collector_that_is_away_changes_nothing(tmp_path: Path) -> None:
    async with open_service(tmp_path, traces_url="http://127.0.0.1:9/v1/traces") as service:
        created = await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})
        assert created.status_code == 201


def test_without_a_collector_the_sdk_is_not_loaded() -> None:
    script = """
import sys
from visavis.api.app import create_app
from visavis.settings import Settings
from visavis.telemetry.traces import open_traces
create_app(Settings())
open_traces(None)
assert not [name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))]
"""
    subprocess.run([sys.executable, "-c", script], check=True)
    assert isinstance(open_traces(None), NoTraces)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "visavis.telemetry.otel", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    with pytest.raises(SettingInvalid, match="VISAVIS_TRACES_URL"):
        open_traces("http://127.0.0.1:9/v1/traces")
