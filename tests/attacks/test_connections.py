"""Connections that want nothing but places: half-sent requests, silence, handshakes that are none, slow bodies.

The server has few file descriptors. While the attack lasts, a client with a key is served, a killed stage is replaced,
and the log stays short.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.attacks.openings import OPENINGS
from tests.attacks.scale import SCALE
from tests.used_folder import create_key, used_before
from visavis.demo.server_process import ServerProcess

DESCRIPTORS = 256
SOCKETS = 300 * SCALE
LOG_BYTES = 200_000


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, str, Path]]:
    """A server with few descriptors, a key of it, and its log."""
    folder = tmp_path_factory.mktemp("attacked")
    log = folder / "log"
    prefix = ["prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}"]
    settings = {"VISAVIS_RATE_LIMIT_PER_MINUTE": "100000", "VISAVIS_STAGES": "1"}
    with ServerProcess(data_dir=used_before(folder / "data"), log=log, settings=settings, prefix=prefix) as server:
        server.wait_ready()
        yield server, create_key(folder / "data"), log
        assert log.stat().st_size < LOG_BYTES, log.read_text()[:5000]
        assert "Traceback" not in log.read_text(), log.read_text()[:5000]


def assault(server: ServerProcess, opening: bytes, count: int) -> list[socket.socket]:
    """Open connections and send each its opening; return those that were not refused."""
    opened = []
    for _ in range(count):
        try:
            attacker = socket.create_connection(("127.0.0.1", server.port), timeout=5)
            attacker.sendall(opening)
        except OSError:
            continue
        opened.append(attacker)
    return opened


def is_served(server: ServerProcess, key: str) -> bool:
    """Whether a client with a key is answered now, on a connection of its own."""
    answer = httpx.get(f"{server.base_url}/v1/sessions", headers={"x-api-key": key}, timeout=20)
    return answer.status_code == 200


@pytest.mark.parametrize("kind", OPENINGS)
def test_a_client_with_a_key_is_served_meanwhile(attacked: tuple[ServerProcess, str, Path], kind: str) -> None:
    server, key, _ = attacked
    with httpx.Client(base_url=server.base_url, headers={"x-api-key": key}, timeout=20) as kept:
        assert kept.get("/v1/sessions").status_code == 200
        attackers = assault(server, OPENINGS[kind], SOCKETS)
        try:
            for _ in range(5):
                assert is_served(server, key)
            assert kept.get("/v1/sessions").status_code == 200, "a connection that has shown a key stays open"
        finally:
            for attacker in attackers:
                attacker.close()


def test_a_killed_stage_is_replaced_meanwhile(attacked: tuple[ServerProcess, str, Path]) -> None:
    server, key, _ = attacked
    attackers = [a for opening in (b"", OPENINGS["half a request"]) for a in assault(server, opening, SOCKETS)]
    try:
        (stage,) = _children(server.pid)
        os.kill(stage, signal.SIGKILL)
        deadline_s = time.monotonic() + 60
        while _children(server.pid) in ([], [stage]):
            assert time.monotonic() < deadline_s, "no new stage"
            time.sleep(0.1)  # polling another process
        assert is_served(server, key)
    finally:
        for attacker in attackers:
            attacker.close()


def _children(pid: int) -> list[int]:
    """Return the stages of a server."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text().rpartition(")")[2].split()
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if int(stat[1]) == pid and b"visavis.stage" in command and stat[0] != "Z":
                found.append(int(entry.name))
    return found
