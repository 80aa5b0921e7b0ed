"""`visavis demo`: the first thing that anybody starts. It prints where the playground is, and ends with everything that
it started.
"""

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

PATIENCE_S = 90  # a bound on waiting for a process on a busy machine, never asserted about


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
    answer = httpx.get(f"{base_url}/v1/avatars/public", headers={"x-api-key": key}, timeout=PATIENCE_S)
    return answer.status_code


def test_the_key_opens_the_server_and_is_the_same_the_next_time(tmp_path: Path) -> None:
    with playground(tmp_path) as (process, base_url, key):
        assert status(base_url, key) == 200
        assert httpx.get(base_url, timeout=PATIENCE_S).status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 128 + signal.SIGTERM
        try:
            httpx.get(base_url, timeout=PATIENCE_S)
            raise AssertionError("the server outlives the command")
        except httpx.TransportError:
            pass
    with playground(tmp_path) as (process, base_url, again):
        assert again == key and status(base_url, key) == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE_S) == 0
