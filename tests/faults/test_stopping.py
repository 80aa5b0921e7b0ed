"""A server that is told to stop while its avatars speak: real stages, real channels."""

from __future__ import annotations

import base64
import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.conftest import wait_until_ready
from tests.faults.scale import only_in_full
from tests.processes import children
from tests.test_server import TIMEOUT_S, serving, start_session
from tests.used_folder import create_key, used_before
from visavis.errors import CloseCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A server, ready to perform."""

    process: subprocess.Popen[str]
    base_url: str
    headers: dict[str, str]
    look: str
    folder: Path

    def rows(self) -> list[tuple[str, str]]:
        with closing(sqlite3.connect(self.folder / "visavis.db")) as database:
            return database.execute("SELECT status, end_reason FROM sessions").fetchall()

    def wait_stopped(self) -> None:
        _, errors = self.process.communicate(timeout=TIMEOUT_S)
        assert self.process.returncode == 0, errors
        assert "Traceback" not in errors, errors


@contextmanager
def running(folder: Path, **environment: str) -> Iterator[Running]:
    used_before(folder)
    with serving(folder, VISAVIS_STAGES="1", VISAVIS_ADMISSION="counted", **environment) as (process, line):
        base_url = line.removeprefix("Visavis is at ").rstrip("/")
        wait_until_ready(base_url)
        headers = {"x-api-key": create_key(folder)}
        look = httpx.get(base_url + "/v1/avatars?view=flat", headers=headers).json()["public_avatars"][0]["avatar_id"]
        yield Running(process=process, base_url=base_url, headers=headers, look=look, folder=folder)


@dataclass(slots=True)
class Channel:
    """The channel of a session that speaks silence of a given length."""

    connection: ClientConnection
    session: dict[str, Any]

    @classmethod
    def open(
        cls, server: Running, stack: ExitStack, *, seconds: float, hold_s: float = 0.0, final: bool = True
    ) -> Channel:
        """`hold_s`: how long the speech waits for a viewer."""
        session = start_session(server.base_url, server.look, server.headers)
        connection = stack.enter_context(connect(server.base_url.replace("http", "ws") + "/v1/channel"))
        channel = cls(connection, session)
        init = {"session_id": session["session_id"], "session_token": session["session_token"]}
        hold = {"hold_for_viewer_s": hold_s} if hold_s else {}
        channel.send({"type": "session.init", **init, **hold, "features": ["playback", "lifecycle"]})
        channel.expect("connection.established")
        channel.speak(seconds, final=final)
        if not hold_s:
            channel.expect("agent.playback.started")
        return channel

    def speak(self, seconds: float, *, final: bool = True) -> None:
        audio = base64.b64encode(bytes(2 * int(16_000 * seconds))).decode()
        self.send({"type": "agent.speak", "audio": audio, "utterance_id": "u", "final": final})
        self.expect("agent.speak.confirmed")

    def expect_whole(self, seconds: float) -> None:
        end = {"utterance_id": "u", "position_s": seconds, "interrupted": False}
        assert self.expect("agent.playback.finished") == {"type": "agent.playback.finished", **end}

    def send(self, message: dict[str, Any]) -> None:
        self.connection.send(json.dumps(message))

    def expect(self, kind: str) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.connection.recv(timeout=TIMEOUT_S))
        assert message["type"] == kind, message
        return message

    def expect_close(self) -> None:
        with pytest.raises(ConnectionClosed) as closed:
            self.connection.recv(timeout=TIMEOUT_S)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (CloseCode.NORMAL, "server_stopped")


def test_speech_finishes_within_the_drain_and_is_cut_after_it(tmp_path: Path) -> None:
    with running(tmp_path, VISAVIS_DRAIN_S="6") as server, ExitStack() as stack:
        long = Channel.open(server, stack, seconds=60.0)
        pausing = Channel.open(server, stack, seconds=0.3, final=False)
        held = Channel.open(server, stack, seconds=0.5, hold_s=4.0)
        short = Channel.open(server, stack, seconds=2.0)
        server.process.send_signal(signal.SIGTERM)
        for channel in (short, long, held, pausing):
            assert channel.expect("session.expiring")["seconds_left"] == 6
        # until the end it answers: nothing new, all else
        refused = httpx.post(server.base_url + "/v1/sessions", json={"avatar_id": server.look}, headers=server.headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "SERVER_STOPPING")
        assert httpx.get(server.base_url + "/readyz").json()["status"] == "stopping"
        assert httpx.get(server.base_url + "/healthz").status_code == 200
        pausing.speak(0.5)
        short.expect_whole(2.0)
        short.expect_close()
        held.expect("agent.playback.started")
        for channel, seconds in ((held, 0.5), (pausing, 0.8)):
            channel.expect_whole(seconds)
            channel.expect_close()
        cut = long.expect("agent.playback.finished")
        assert cut["interrupted"] and 0.0 < cut["position_s"] < 60.0
        long.expect_close()
        server.wait_stopped()
        assert server.rows() == [("ended", "server_stopped")] * 4


@only_in_full
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_forces(tmp_path: Path, number: int) -> None:
    with running(tmp_path, VISAVIS_DRAIN_S="600") as server, ExitStack() as stack:
        channel = Channel.open(server, stack, seconds=60.0)
        server.process.send_signal(number)
        channel.expect("session.expiring")
        server.process.send_signal(number)
        assert channel.expect("agent.playback.finished")["interrupted"]
        channel.expect_close()
        server.wait_stopped()
        assert server.rows() == [("ended", "server_stopped")]


def _go_on(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


@only_in_full
def test_a_drain_ends_though_its_stage_is_stopped(tmp_path: Path) -> None:
    with running(tmp_path, VISAVIS_DRAIN_S="1", VISAVIS_STAGE_SILENCE_S="60") as server, ExitStack() as stack:
        channel = Channel.open(server, stack, seconds=60.0)
        (stage,) = children(server.process.pid, "visavis.stage")
        os.kill(stage, signal.SIGSTOP)
        stack.callback(_go_on, stage)  # it holds the server's output open
        server.process.send_signal(signal.SIGTERM)
        channel.expect("session.expiring")
        assert channel.expect("agent.playback.finished")["interrupted"]
        channel.expect_close()
        server.wait_stopped()
        assert server.rows() == [("ended", "server_stopped")]
        assert not Path(f"/proc/{stage}").exists()


@only_in_full
def test_an_end_is_written_though_the_database_is_locked_at_first(tmp_path: Path) -> None:
    with running(tmp_path, VISAVIS_DRAIN_S="1") as server, ExitStack() as stack:
        channel = Channel.open(server, stack, seconds=60.0)
        with closing(sqlite3.connect(tmp_path / "visavis.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            server.process.send_signal(signal.SIGTERM)
            channel.expect("session.expiring")
            channel.expect("agent.playback.finished")
            channel.expect_close()
            other.execute("ROLLBACK")
        server.wait_stopped()
        assert server.rows() == [("ended", "server_stopped")]
