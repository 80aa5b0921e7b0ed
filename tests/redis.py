"""A Redis for tests: Debian's redis-server on a free port, which keeps nothing."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

START_WITHIN_S = 30


class RedisServer:
    def __init__(self, folder: Path, port: int) -> None:
        self.url = f"redis://127.0.0.1:{port}/0"
        quiet = ["--save", "", "--appendonly", "no", "--dir", str(folder), "--logfile", str(folder / "log")]
        command = [str(shutil.which("redis-server")), "--bind", "127.0.0.1", "--port", str(port), *quiet]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline_s = time.monotonic() + START_WITHIN_S
        while time.monotonic() < deadline_s:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.02)  # polls another process; no test asserts how long this takes
        raise TimeoutError((folder / "log").read_text(errors="replace"))

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    server = RedisServer(folder, port)
    try:
        yield server
    finally:
        server.kill()
