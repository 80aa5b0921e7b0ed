"""What the doctor sees on a machine, and what it advises."""

from __future__ import annotations

import os
import socket
import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from tests.certificates import write_certificate
from visavis.cli import app
from visavis.doctor import machine, services
from visavis.doctor.finding import Finding, Verdict, line_of
from visavis.machine.control_groups import GroupTime
from visavis.server import RunningServer
from visavis.settings import Settings
from visavis.store.database import Database
from visavis.tls.pair import read_pair

pytestmark = pytest.mark.anyio


def test_a_line_has_verdict_subject_text_and_advice() -> None:
    finding = Finding(subject="disk", verdict=Verdict.PROBLEM, text="full", advice="Make room")
    assert line_of(finding) == "problem  disk: full. Make room"


def test_the_source_of_the_number_of_cores_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.check_cores(Settings(cores=3)).text == "3 (VISAVIS_CORES)"
    monkeypatch.setattr(machine, "cores", lambda: 1.5)
    monkeypatch.setattr(machine, "group_times", lambda: (GroupTime(quota_cores=1.5, used_s=0.0, throttled_s=0.0),))
    finding = machine.check_cores(Settings())
    assert finding.text == "1.5 (a quota of a control group)" and finding.verdict is Verdict.ADVICE
    monkeypatch.setattr(machine, "group_times", tuple)
    assert "processors" in machine.check_cores(Settings()).text


def test_a_clock_that_nobody_keeps_right_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.clock_finding(0).verdict is Verdict.GOOD
    assert "timesyncd" in machine.clock_finding(5).advice
    monkeypatch.setattr("visavis.doctor.machine.time.time", lambda: 0.0)
    assert machine.check_clock().verdict is Verdict.PROBLEM


def test_the_data_folder_needs_room(tmp_path: Path) -> None:
    folder = tmp_path / "not" / "yet"
    assert "the first start makes" in machine.check_data_folder(Settings(data_dir=folder)).text
    full = machine.check_data_folder(Settings(data_dir=folder, min_free_disk_mb=10**9))
    assert full.verdict is Verdict.PROBLEM and "MiB are free, below" in full.text
    assert not folder.exists()


def test_a_certificate_is_looked_at(tmp_path: Path) -> None:
    assert machine.check_certificate(Settings()) == []
    cert, key = write_certificate(tmp_path, "box.lan")
    (found,) = machine.check_certificate(Settings(tls_cert=cert, tls_key=key))
    assert found.verdict is Verdict.ADVICE and found.text.startswith("for box.lan, valid until 20")
    pair = read_pair(cert, key)
    for names, days, verdict, words in (
        (pair.names, -15, Verdict.GOOD, ""),
        (pair.names, 2, Verdict.PROBLEM, "Renew it"),
        (pair.names, -400, Verdict.PROBLEM, "Set the clock"),
        ((), -15, Verdict.PROBLEM, "subjectAltName"),
    ):
        one = replace(pair, names=names, not_before=pair.not_after - timedelta(days=390))
        found = machine.certificate_finding(one, now=pair.not_after + timedelta(days=days))
        assert found.verdict is verdict and words in found.advice
    (broken,) = machine.check_certificate(Settings(tls_cert=cert, tls_key=cert))
    assert broken.verdict is Verdict.PROBLEM and "private key" in broken.text


def test_taken_udp_ports_are_named() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 0))
        port = taken.getsockname()[1]
        found = machine.check_media_ports(Settings(media_ports=str(port), stages=1))
    assert found.verdict is Verdict.PROBLEM and f"taken: {port}" in found.text
    assert machine.check_media_ports(Settings(stages=1)).verdict is Verdict.GOOD


@pytest.mark.parametrize(
    ("own", "named", "relayed", "verdict", "advice"),
    [
        ([], (), False, Verdict.PROBLEM, "VISAVIS_MEDIA_INTERFACES"),
        (["127.0.0.1"], (), False, Verdict.ADVICE, "Only viewers on this machine"),
        (["192.168.1.4"], (), False, Verdict.ADVICE, "VISAVIS_VIEWER_ADDRESSES"),
        (["192.168.1.4"], ("203.0.113.9",), False, Verdict.GOOD, ""),
        (["192.168.1.4"], (), True, Verdict.GOOD, ""),
        (["192.168.1.4", "8.8.8.8"], (), False, Verdict.GOOD, ""),
    ],
)
def test_addresses(own: list[str], named: tuple[str, ...], relayed: bool, verdict: Verdict, advice: str) -> None:
    found = services.addresses_finding(own, named, relayed=relayed)
    assert found.verdict is verdict and advice in found.advice


async def test_a_database_is_looked_at_and_not_changed(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    assert "does not exist yet" in (await services.check_database(settings)).text
    assert os.listdir(tmp_path) == []
    await (await Database.open(settings.resolved_database_url)).aclose()
    path = tmp_path / "visavis.db"
    assert "schema of this version" in (await services.check_database(settings)).text
    with sqlite3.connect(path) as database:
        database.execute("UPDATE alembic_version SET version_num = '0001'")
    before = path.read_bytes()
    assert "next start brings its schema up to date" in (await services.check_database(settings)).text
    assert path.read_bytes() == before
    with sqlite3.connect(path) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999', oldest_reader = '9999'")
    newer = await services.check_database(settings)
    assert newer.verdict is Verdict.PROBLEM and "this version of Visavis does not know" in newer.text


async def test_a_postgresql_is_reached_or_named(postgresql_url: str) -> None:
    found = await services.check_database(Settings(database_url=postgresql_url))  # type: ignore[arg-type]
    assert found.verdict is Verdict.GOOD and "PostgreSQL" in found.text
    away = await services.check_database(Settings(database_url="postgresql://ann:secret@127.0.0.1:9/v"))  # type: ignore[arg-type]
    assert away.verdict is Verdict.PROBLEM and "secret" not in line_of(away)


async def test_a_taken_port_is_named_and_a_server_of_ours_recognised(server: RunningServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        taken = await services.check_port("127.0.0.1", port)
    assert taken.verdict is Verdict.PROBLEM and "--port" in taken.advice
    assert (await services.check_port("127.0.0.1", port)).text.endswith("is free")
    ours = await services.check_port("127.0.0.1", httpx.URL(server.base_url).port or 0)
    assert ours.verdict is Verdict.GOOD and "a Visavis server listens" in ours.text
    assert (await services.check_port("203.0.113.7", 8000)).verdict is Verdict.PROBLEM


def test_the_command_prints_a_line_for_each_and_fails_for_problems(tmp_path: Path) -> None:
    free = {"VISAVIS_DATA_DIR": str(tmp_path / "data"), "VISAVIS_ICE_SERVERS": "[]"}
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    good = CliRunner(env=free).invoke(app, ["doctor", "--port", str(port)])
    subjects = [line[9:].partition(":")[0] for line in good.output.splitlines()]
    assert subjects == ["installation", "cores", "clock", "data folder", "database", "port", "UDP ports", "addresses"]
    assert good.exit_code == 0, good.output
    bad = CliRunner(env=free | {"VISAVIS_MIN_FREE_DISK_MB": "1000000000"}).invoke(app, ["doctor", "--port", str(port)])
    assert bad.exit_code == 1 and "problem  data folder" in bad.output
