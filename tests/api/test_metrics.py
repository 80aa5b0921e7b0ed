"""Who may read the metrics, and what they tell."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from structlog.testing import capture_logs

from tests.conftest import Service, open_service
from tests.fakes import FakePerformer
from visavis.stage.port.events import FirstFrameSent, PerformerMetrics, UtteranceMeasured, ViewerJoined, ViewerQuality

pytestmark = pytest.mark.anyio

TOKEN = "a token for the metrics"
SECOND = PerformerMetrics(
    frames=25, late_frames=1, queued_s=0.5, fps=25, blocks=50, viewers=(ViewerQuality(round_trip_ms=20.0),)
)
UTTERANCE = UtteranceMeasured(
    utterance_id="u1", received_s=0.5, turn_ms=0.0, motion_ms=15.0, frame_ms=60.0, packet_ms=61.0, finished_ms=900.0,
    played_s=0.8, interrupted=False,
)  # fmt: skip


async def started(service: Service) -> tuple[dict[str, Any], FakePerformer]:
    answer = await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})
    session: dict[str, Any] = answer.json()["session"]
    assert (await service.client.put(f"/v1/sessions/{session['session_id']}/start")).status_code == 200
    return session, service.fleet.performers[session["session_id"]]


async def metrics_of(service: Service, session_id: str, *, frames: int) -> dict[str, Any]:
    """Return the session's metrics as soon as they tell of so many frames."""
    with anyio.fail_after(10):
        while True:
            answer = await service.client.get(f"/v1/sessions/{session_id}/metrics")
            assert answer.status_code == 200, answer.text
            metrics: dict[str, Any] = answer.json()["metrics"]
            if metrics["frames"]["drawn"] >= frames:
                return metrics
            await anyio.sleep(0.005)


async def scrape(service: Service, address: str = "127.0.0.1", **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(app=service.app, client=(address, 1234))
    async with httpx.AsyncClient(transport=transport, base_url="http://visavis.test") as client:
        return await client.get("/metrics", headers=headers)


async def test_a_session_tells_its_metrics_while_it_runs_and_after_its_end(tmp_path: Path) -> None:
    async with open_service(tmp_path) as service:
        session, performer = await started(service)
        session_id = session["session_id"]
        performer.emit(ViewerJoined(viewer_id="view_1", viewers=1))
        performer.emit(FirstFrameSent())
        performer.emit(UTTERANCE)
        performer.emit(SECOND)
        metrics = await metrics_of(service, session_id, frames=25)
        assert metrics["frames"] == {"rate": 25.0, "wanted_rate": 25, "drawn": 25, "hurried": 0, "late": 1}
        assert metrics["latency_ms"]["frame"] == {"p50": 60.0, "p95": 60.0, "p99": 60.0}
        assert metrics["utterances"][0]["packet_ms"] == 61.0 and metrics["utterances"][0]["utterance_id"] == "u1"
        assert metrics["viewers"]["watching"] == 1 and metrics["viewers"]["round_trip_ms"] == 20.0
        with capture_logs() as logs:
            await service.client.put(f"/v1/sessions/{session_id}/end")
        (line,) = [log for log in logs if log["event"] == "session_ended"]
        assert (line["reason"], line["minutes"], line["frames"], line["utterances"]) == ("ended_by_client", 1, 25, 1)
        assert line["duration_s"] >= 0
        after = await metrics_of(service, session_id, frames=25)
        assert after["status"] == "ended" and after["speech"]["utterances"] == 1


async def test_a_session_that_never_ran_has_no_metrics(tmp_path: Path) -> None:
    async with open_service(tmp_path) as service:
        created = await service.client.post("/v1/sessions", json={"avatar_id": service.look_id})
        url = f"/v1/sessions/{created.json()['session']['session_id']}/metrics"
        answer = await service.client.get(url)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "SESSION_NOT_STARTED")
        _, other_key = await service.services.accounts.create(name="other")
        answer = await service.client.get(url, headers={"x-api-key": other_key})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "SESSION_NOT_FOUND")


async def test_prometheus_sees_sessions_and_requests(tmp_path: Path) -> None:
    async with open_service(tmp_path) as service:
        _, performer = await started(service)
        performer.emit(ViewerJoined(viewer_id="view_1", viewers=1))
        performer.emit(SECOND)
        for path in ("/v1/sessions/sess_1", "/v1/sessions/sess_2", "/nowhere", "/nowhere/else"):
            await service.client.get(path)
        text = ""
        with anyio.fail_after(10):
            while 'visavis_frames_total{outcome="full"} 25.0' not in text:
                answer = await scrape(service)
                assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/plain")
                text = answer.text
        assert 'visavis_sessions{state="running"} 1.0' in text
        assert "visavis_viewers 1.0" in text and "visavis_queued_speech_seconds 0.5" in text
        assert 'visavis_http_requests_total{method="GET",route="/v1/sessions/{session_id}",status="404"} 2.0' in text
        assert "sess_" not in text and "nowhere" not in text


async def test_only_this_machine_may_read_without_a_token(tmp_path: Path) -> None:
    async with open_service(tmp_path) as service:
        for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
            assert (await scrape(service, address)).status_code == 200, address
        for address in ("192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "unknown"):
            answer = await scrape(service, address)
            assert (answer.status_code, json.loads(answer.text)["error"]["code"]) == (403, "ACCESS_DENIED"), address
        assert (await scrape(service, **{"X-Forwarded-For": "192.0.2.1"})).status_code == 403
        assert (await scrape(service, Forwarded="for=192.0.2.1")).status_code == 403


async def test_a_token_opens_the_metrics_to_other_machines_and_closes_them_to_this_one(tmp_path: Path) -> None:
    async with open_service(tmp_path, metrics_token=TOKEN) as service:
        assert (await scrape(service, "192.0.2.1", Authorization=f"Bearer {TOKEN}")).status_code == 200
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}):
            answer = await scrape(service, **headers)
            assert answer.status_code == 401, headers
