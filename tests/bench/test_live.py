"""The benchmarks of a real server, at their smallest size: what they print is what they did. No time is asserted."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from visavis.bench import api, browser, latency, live, soak, startup, under_load, yardstick
from visavis.bench.encoding import EncodingCost
from visavis.bench.figures import Repeated
from visavis.bench.load import Load
from visavis.cli import app

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processor time of processes is read from /proc")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[live.LiveServer]:
    """One server for all of them: to start it takes longer than to measure it."""
    with live.running_server(tmp_path_factory.mktemp("bench")) as running:
        yield running


@pytest.fixture(autouse=True)
def little_to_do(server: live.LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for bench in (under_load, soak, startup, api):
        monkeypatch.setattr(bench, "running_server", lambda *_, **__: nullcontext(server))
    monkeypatch.setattr(live, "SETTLE_S", 1)
    cost = EncodingCost(speaking_cores=0.04, silent_cores=0.02)
    monkeypatch.setattr(yardstick, "measure_encoding", lambda *_, **__: cost)  # tests/bench/test_encoding.py
    fps = Repeated(median=200.0, least=190.0, most=210.0, count=7)
    monkeypatch.setattr(yardstick, "speaking_fps", lambda _: fps)  # tests/bench/test_one_core.py
    monkeypatch.setattr(api, "speaking_fps", lambda _: fps)
    monkeypatch.setattr(api, "PAGES", 5)
    monkeypatch.setattr(api, "ROUNDS", 1)
    monkeypatch.setattr(api, "REVOCATIONS", 1)
    monkeypatch.setattr(latency, "PHRASE_S", 1.6)
    monkeypatch.setattr(soak, "WARM_S", 1.0)
    monkeypatch.setattr(soak, "SETTLE_S", 0.5)
    monkeypatch.setattr(startup, "COST_S", 1.0)


def measured(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["bench", *arguments, "--json"])
    assert result.exit_code == 0, result.output
    record: dict[str, Any] = json.loads(result.stdout)
    assert record["benchmark"] == arguments[0]
    assert record["pipeline_fps_per_core"] == 200.0 and record.get("encoding_cores_speaking", 0.04) == 0.04
    assert record["pipeline_fps_spread"] == [190.0, 210.0]
    return record


def assert_cost(record: dict[str, Any]) -> None:
    """A busy machine slows the session down, and then there is no ratio."""
    if record["cost_ratio"] is None:
        assert record["cost_ratio_spread"] is None
        return
    least, most = record["cost_ratio_spread"]
    assert 1 < least <= record["cost_ratio"] <= most


def test_latency_is_measured_from_the_clients_message_to_the_frame_and_to_the_lips() -> None:
    record = measured("latency", "--phrases", "1")
    assert min(record["frame_ms"]["p50"], record["live_frame_ms"]["p50"]) > 10
    assert record["live_sample_ms"]["p50"] is None or record["live_sample_ms"]["p50"] > 10
    assert (record["sessions"], record["least_fps_beside"]) == (1, 0.0)
    assert_cost(record)
    if browser.missing():
        assert record["lips_skipped"] and record["lips_ms"]["p50"] is None
    else:
        assert record["lips_skipped"] is None
        assert (record["lips_ms"]["p50"] is not None) + record["lips_unrecognised"] == 1


def test_startup_is_measured_of_a_server_a_session_and_an_avatar() -> None:
    record = measured("startup", "--rounds", "1")
    assert 0 < record["started_ms"]["p50"] <= record["first_picture_ms"]["p50"]
    assert min(record[name]["p50"] for name in ("first_ready_ms", "ready_ms", "avatar_ms")) > 0
    assert record["cost_ratio_silent"] > 1 and len(record["cost_ratio_spread_silent"]) == 2


def test_an_interrupt_is_measured_to_its_confirmation_and_to_silence() -> None:
    record = measured("interrupt", "--rounds", "2")
    assert record["confirmed_ms"]["p50"] > 0
    assert 0 < record["stage_silent_ms"]["p50"] <= record["silent_ms"]["p99"]
    assert_cost(record)


def test_a_soak_measures_offset_drift_memory_and_loss() -> None:
    record = measured("soak", "--minutes", "0.1", "--guests", "1")
    assert record["guests"] >= 1 and record["joins"] >= 1
    assert len(record["server_mb"]) == 2 and min(*record["server_mb"], *record["stages_mb"]) > 20
    assert record["frames"] > 0
    assert_cost(record)


def test_the_api_is_measured_with_many_sessions(server: live.LiveServer) -> None:
    record = measured("api", "--sessions", "1000", "--seconds", "0.2")
    found = record["sqlite"]
    for call in ("get", "create", "list"):
        assert found[f"{call}_share"] == pytest.approx(found[f"{call}_per_s"] / found["healthz_per_s"], rel=0.2)
    assert 0 < found["get_ms"]["p50"] <= found["get_ms"]["p99"] and found["list_ms"]["p95"] > 0
    for paced in (found["get_ms"], found["healthz_ms"]):
        assert len(paced["p99_of_rounds"]) == api.ROUNDS and 0 <= paced["waited_share"] < 1
        assert paced["collecting_ms"] >= 0 and paced["longest_collection_ms"] is not None
    assert min(found["revoked_by_api_ms"], found["revoked_by_command_ms"]) >= 0
    assert record["wanted"] == {"get_per_s": 1200, "create_per_s": 240, "get_ms, p99": 19, "list_ms, p95": 25}
    answer = httpx.get(f"{server.base_url}/v1/sessions?status=ended&limit=100", headers={"x-api-key": server.key})
    page = answer.json()
    assert len(page["sessions"]) == 100 and page["next_cursor"] is not None


def test_the_load_is_in_proportion_to_what_the_server_admits() -> None:
    assert [load.sessions_beside(5) for load in Load] == [0, 4, 9]
    assert not Load.FULL.settings and Load.TWICE.settings["VISAVIS_ADMISSION"] == "counted"
