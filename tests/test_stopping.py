"""A server that is told to end, at any time of its life, ends in order: status 0, no process left, and nothing in its
log that looks like an error.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.attacks.scale import FULL
from tests.processes import children
from tests.used_folder import create_key

WITHIN_S = 90.0  # on a busy machine
SERVE = (sys.executable, "-m", "visavis", "serve", "--port", "0")
SIGNS_OF_ERRORS = re.compile(r"error|Traceback|Exception|never awaited|Task was destroyed|critical", re.IGNORECASE)

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="looks at processes in /proc")


class Server:
    """`visavis serve` in a process group of its own."""

    def __init__(self, folder: Path, *prefix: str) -> None:
        self.data = folder / "data"
        self._output, self._log = folder / "output", folder / "log"
        with self._output.open("w") as output, self._log.open("w") as log:
            self.process = subprocess.Popen(
                [*prefix, *SERVE],
                env=os.environ | {"VISAVIS_DATA_DIR": str(self.data), "VISAVIS_STAGES": "1"},
                stdout=output,
                stderr=log,
                start_new_session=True,
            )

    @property
    def url(self) -> str | None:
        """Where it is, once it has printed this."""
        found = re.match(r"Visavis is at (http://127\.0\.0\.1:\d+)/\n", self._output.read_text())
        return None if found is None else found[1]

    @property
    def stages(self) -> list[int]:
        return children(self.process.pid, "visavis.stage")

    def wait(self, happened: Callable[[Server], object]) -> None:
        deadline_s = time.monotonic() + WITHIN_S
        while not happened(self):
            assert self.process.poll() is None and time.monotonic() < deadline_s, self.log
            time.sleep(0.002)  # polls another process

    def wait_until_ready(self) -> str:
        self.wait(is_ready)
        assert self.url is not None
        return self.url

    @property
    def log(self) -> str:
        return self._log.read_text()

    def assert_ended(self, *, stages: list[int]) -> None:
        assert self.process.wait(WITHIN_S) == 0, self.log
        assert not SIGNS_OF_ERRORS.search(self.log), self.log
        for stage in stages:  # a stage that has not connected yet ends by itself when its server has gone
            until_s = time.monotonic() + WITHIN_S
            while is_running(stage):
                assert time.monotonic() < until_s, "a stage is left"
                time.sleep(0.02)  # polls another process


@contextmanager
def serving(folder: Path, *prefix: str) -> Iterator[Server]:
    server = Server(folder, *prefix)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            os.killpg(server.process.pid, signal.SIGKILL)
            server.process.wait()


def handles_sigterm(pid: int) -> bool:
    caught = re.search(r"^SigCgt:\s*([0-9a-f]+)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert caught is not None
    return bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def is_ready(server: Server) -> bool:
    try:
        return server.url is not None and httpx.get(f"{server.url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


INSTANTS: dict[str, Callable[[Server], object]] = {
    "handlers are set": lambda server: handles_sigterm(server.process.pid),
    "the data folder is there": lambda server: server.data.exists(),
    "the database is there": lambda server: (server.data / "visavis.db").exists(),
    "avatars are copied": lambda server: list(server.data.glob("avatars/*/current.json")),
    "connections are accepted": lambda server: server.url,
    "a stage starts": lambda server: server.stages,
    "all is ready": is_ready,
}
FEW = ("handlers are set", "the database is there", "connections are accepted", "a stage starts")  # one in each phase


@pytest.mark.parametrize("instant", INSTANTS if FULL else FEW)
def test_a_server_that_is_told_to_end_while_it_starts_ends_in_order(instant: str, tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        server.wait(INSTANTS[instant])
        stages = server.stages
        server.process.send_signal(signal.SIGTERM)
        server.assert_ended(stages=stages)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_all_processes_at_once_ends_a_session_in_order(number: int, tmp_path: Path) -> None:
    """A terminal does so with Ctrl-C, and systemd when it stops a unit. A viewer is watching."""
    with serving(tmp_path) as server:
        url = server.wait_until_ready()
        headers = {"x-api-key": create_key(server.data)}
        look = httpx.get(f"{url}/v1/avatars?view=flat", headers=headers).json()["public_avatars"][0]["avatar_id"]
        session = httpx.post(f"{url}/v1/sessions", json={"avatar_id": look}, headers=headers).json()["session"]
        start = f"{url}/v1/sessions/{session['session_id']}/start"
        assert httpx.post(start, headers=headers, timeout=WITHIN_S).is_success
        room = session["daily_room"]
        watch = ["watch", "--whep", f"{room['url']}/whep", "--token", room["token"], "--seconds", "60"]
        with subprocess.Popen(
            [sys.executable, "-m", "visavis", *watch, "--out", str(tmp_path / "film.mp4")], stderr=subprocess.PIPE
        ) as viewer:
            server.wait(lambda _: (tmp_path / ".film.mp4.part").exists())
            stages = server.stages
            os.killpg(server.process.pid, number)
            server.assert_ended(stages=stages)
            viewer.send_signal(signal.SIGTERM)
            _, said = viewer.communicate(timeout=WITHIN_S)
        # it may have ended already, or be past its last handler of signals
        assert said == b"" and viewer.returncode in (0, 128 + signal.SIGTERM, -signal.SIGTERM)
        assert not list(tmp_path.glob(".film*"))
    with sqlite3.connect(server.data / "visavis.db") as database:
        assert database.execute("SELECT status, end_reason FROM sessions").fetchall() == [("ended", "server_stopped")]


def test_a_second_interrupt_does_not_wait_and_ends_in_order_too(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        server.wait_until_ready()
        stages = server.stages
        server.process.send_signal(signal.SIGINT)
        server.process.send_signal(signal.SIGINT)
        server.assert_ended(stages=stages)


def unavailable() -> str | None:
    if shutil.which("unshare") is None:
        return "`unshare` is not installed (util-linux)"
    tried = subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True, text=True, check=False)
    return None if tried.returncode == 0 else f"no PID namespace can be made: {tried.stderr.strip()}"


UNAVAILABLE = unavailable()


def runs_python(process_id: int) -> bool:
    """Whether the process is no longer `unshare`, which handles signals itself."""
    return Path(f"/proc/{process_id}/exe").resolve() == Path(sys.executable).resolve()


@pytest.mark.skipif(UNAVAILABLE is not None, reason=str(UNAVAILABLE))
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_process_1_of_a_container_ends_while_it_is_still_importing(number: int, tmp_path: Path) -> None:
    """Without a handler, the kernel drops the signal."""
    with serving(tmp_path, "unshare", "--pid", "--fork", "--kill-child") as server:
        server.wait(lambda server: children(server.process.pid, "visavis"))
        (first,) = children(server.process.pid, "visavis")
        server.wait(lambda _: runs_python(first) and handles_sigterm(first))
        assert not server.data.exists(), "nothing is open yet"
        os.kill(first, number)
        server.assert_ended(stages=[])


SLOW = ("typer", "anyio", "numpy", "structlog", "visavis.cli")


def test_signals_are_handled_before_anything_slow_is_imported() -> None:
    shown = "import sys, visavis.__main__; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, check=True).stdout.split()
    assert not [name for name in SLOW if name in modules]


def test_a_command_that_is_told_to_end_leaves_no_part_of_its_film(tmp_path: Path) -> None:
    from visavis.library import SAMPLE

    film = ["--size", "1280x720", "--out", str(tmp_path / "film.mp4")]  # large: it must not be done before it is told
    render = ["render", "--avatar", "iris", "--speech", str(SAMPLE), *film]
    with subprocess.Popen(
        [sys.executable, "-m", "visavis", *render], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        deadline_s = time.monotonic() + WITHIN_S
        while not (tmp_path / ".film.mp4.part").exists():
            assert process.poll() is None and time.monotonic() < deadline_s
            time.sleep(0.01)  # polls another process
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=WITHIN_S)
    assert (process.returncode, errors) == (128 + signal.SIGTERM, b"")
    assert list(tmp_path.iterdir()) == []


def test_a_command_that_is_told_to_end_when_it_is_done_says_nothing() -> None:
    late = "import atexit, os, signal, sys; atexit.register(os.kill, os.getpid(), signal.SIGTERM)"  # runs last
    command = "from visavis.__main__ import main; sys.argv[1:] = ['--version']; main()"
    done = subprocess.run([sys.executable, "-c", f"{late}; {command}"], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (128 + signal.SIGTERM, b"")
    assert done.stdout.startswith(b"visavis ")
