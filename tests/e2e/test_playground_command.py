"""`visavis demo` prints the address of the playground, and at its end stops everything that it has started."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

TIMEOUT_S = 90  # how long a test waits for a process on a busy machine


@contextmanager
def playground(data_dir: Path) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """Run the command on a free port; yield the process, the server's address and a code that signs in."""
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    process = subprocess.Popen(
        [sys.executable, "-m", "visavis.cli", "demo", "--port", "0"],
        env=environment | {"VISAVIS_DATA_DIR": str(data_dir)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        address = next(
            found for line in process.stdout if (found := re.search(r"Visavis is at +(http://[^/]+)/#code=(\S+)", line))
        )
        yield process, address[1], address[2]
    finally:
        process.kill()
        process.communicate()


def sign_in(base_url: str, code: str) -> httpx.Response:
    origin = {"origin": base_url}
    return httpx.post(f"{base_url}/sign-in", json={"code": code}, headers=origin, timeout=TIMEOUT_S)


def test_each_start_has_a_code_for_the_same_key(tmp_path: Path) -> None:
    with playground(tmp_path) as (process, base_url, code):
        first = sign_in(base_url, code).json()["sign_in"]["key"]
        assert first["name"] == "playground"
        assert sign_in(base_url, code).status_code == 401
        assert httpx.get(base_url, timeout=TIMEOUT_S).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_S) == 128 + signal.SIGTERM
        try:
            httpx.get(base_url, timeout=TIMEOUT_S)
            raise AssertionError("the server outlives the command")
        except httpx.TransportError:
            pass
    with playground(tmp_path) as (process, base_url, code):
        assert sign_in(base_url, code).json()["sign_in"]["key"] == first
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_S) == 0
