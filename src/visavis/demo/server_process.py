"""A Visavis server as a child process, used only as any client would use it: by its address and a key."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

import httpx

from visavis.errors import ServerFailed

READY_TIMEOUT_S = 90.0  # the first start prepares the default avatar
STOP_TIMEOUT_S = 20.0
LOG_TAIL_LINES = 25


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 on which nobody listens now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def _check_free(port: int) -> None:
    """Raise `ServerFailed` if the port is taken. Otherwise another program could answer in place of our server."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise ServerFailed(
            f"Cannot listen on 127.0.0.1:{port}: {os.strerror(error.errno or 0)}",
            suggestion="Choose another with --port or make demo PORT=…",
        ) from None


class ServerProcess:
    """Runs `visavis serve` while its context is open, on 127.0.0.1 or on another `host` that includes it.

    `log`: the file for its output. With None, its log goes to our stderr, and its greeting is dropped, because it shows
    a key that is not used here. A Ctrl-C of the terminal does not reach the server; it stops when the context is left.
    Entering the context raises `ServerFailed` if the port is taken.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        data_dir: Path | None = None,
        log: Path | None = None,
        settings: dict[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        self.port = port or free_port()
        self.data_dir = data_dir
        self._host = host
        self._prefix = prefix
        self.base_url = f"http://127.0.0.1:{self.port}"
        self._env = {**os.environ, **(settings or {}), "OMP_NUM_THREADS": "1"}
        if data_dir is not None:
            self._env["VISAVIS_DATA_DIR"] = str(data_dir)
        self._log_path = log
        self._log: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> ServerProcess:
        _check_free(self.port)
        self._log = self._log_path.open("wb") if self._log_path else None
        command = [
            *self._prefix,
            sys.executable,
            "-m",
            "visavis",
            "serve",
            "--host",
            self._host,
            "--port",
            str(self.port),
        ]
        output = self._log or subprocess.DEVNULL
        self._process = subprocess.Popen(
            command, env=self._env, stdout=output, stderr=self._log, start_new_session=True
        )
        return self

    def wait_ready(self, timeout_s: float = READY_TIMEOUT_S, *, ask_every_s: float = 0.1) -> float:
        """Wait until the server is ready. Return how many seconds that took. Raises `ServerFailed`."""
        assert self._process is not None
        begun_s = time.monotonic()
        with httpx.Client(base_url=self.base_url, timeout=2) as client:
            while (waited_s := time.monotonic() - begun_s) < timeout_s:
                if self._process.poll() is not None:
                    raise ServerFailed(f"The server stopped with status {self._process.returncode}{self._tail()}")
                try:
                    if client.get("/readyz").status_code == 200:
                        return waited_s
                except httpx.TransportError:
                    pass
                time.sleep(ask_every_s)  # there is no event that tells when the socket opens
        raise ServerFailed(f"The server was not ready within {timeout_s:.0f} s{self._tail()}")

    def wait(self) -> int:
        """Wait until the server stops by itself. Return its exit status."""
        assert self._process is not None
        return self._process.wait()

    def create_key(self, name: str, *, test: bool = False, scopes: Sequence[str] = ()) -> str:
        """Create an API key with `visavis keys create`. Raises `ServerFailed`."""
        kind, scope = ["--test"] if test else [], [f"--scope={scope}" for scope in scopes]
        made = self._run("keys", "create", "--name", name, *kind, *scope)
        lines = [line for line in made.splitlines() if line.startswith("ah_")]
        if len(lines) != 1:
            raise ServerFailed(f"`visavis keys create` printed no key: {made.strip()}")
        return lines[0]

    def create_stage_token(self, name: str) -> str:
        """Create a token of a machine with `visavis stage-tokens create`. Raises `ServerFailed`."""
        return self._run("stage-tokens", "create", "--name", name).strip().splitlines()[-1]

    def revoke_key(self, key_id: str) -> None:
        """Revoke an API key with `visavis keys revoke`. Raises `ServerFailed`."""
        self._run("keys", "revoke", key_id)

    def sign_in_address(self, key_name: str, *, console: bool = False) -> str:
        """Return an address of the playground, or of the console, that signs a browser in once, with the key of this
        name; it is created if there is none. Raises `ServerFailed`.
        """
        page = ["--console"] if console else []
        return self._run("keys", "sign-in", "--name", key_name, "--url", self.base_url, *page).strip()

    def _run(self, *arguments: str) -> str:
        """Run a command on the server's data and return its output. Raises `ServerFailed`."""
        command = [*self._prefix, sys.executable, "-m", "visavis", *arguments]
        made = subprocess.run(command, env=self._env, capture_output=True, text=True, timeout=60, check=False)
        if made.returncode != 0:
            raise ServerFailed(f"`visavis {' '.join(arguments[:2])}` failed: {made.stderr.strip()}")
        return made.stdout

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._log is not None:
            self._log.close()

    def _tail(self) -> str:
        if self._log_path is None:
            return "; its log is above"
        lines = self._log_path.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return ". The end of its log:\n  " + "\n  ".join(lines) if lines else "; its log is empty"
