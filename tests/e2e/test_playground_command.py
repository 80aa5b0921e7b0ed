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
    """Run the command on a free port; yield the process, the server's address and the key of the playground."""
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
            found for line in process.stdout if (found := re.search(r"Visavis is at +(http://[^/]+)/#key=(\S+)", line))
        )
        yield process, address[1], address[2]
    finally:
        process.kill()
        process.communicate()


def status(base_url: str, key: str) -> int:
    answer = httpx.get(f"{base_url}/v1/avatars/public", headers={"x-api-key": key}, timeout=TIMEOUT_S)
    return answer.status_code


def test_the_key_is_valid_and_the_same_at_the_next_start(tmp_path: Path) -> None:
    with playground(tmp_path) as (process, base_url, key):
        assert status(base_url, key) == 200
        assert httpx.get(base_url, timeout=TIMEOUT_S).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT_S) == 128 + signal.SIGTERM
        try:
            httpx.get(base_url, timeout=TIMEOUT_S)
            raise AssertionError("the server outlives the command")
        except httpx.TransportError:
            pass
    with playground(tmp_path) as (process, base_url, again):
        assert again == key and status(base_url, key) == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_S) == 0
