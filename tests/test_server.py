"""The server as a process: its output, its start and its end."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from tests.conftest import wait_until_ready
from tests.fakes import FakeFleet, fake_prepare
from tests.used_folder import create_key
from visavis.engine.speech.weights_file import WEIGHTS
from visavis.errors import DataFolderInUse, ServerNotStarted
from visavis.library import SAMPLE
from visavis.server import RunningServer
from visavis.settings import Settings

VISAVIS = (sys.executable, "-m", "visavis.cli")
SERVE = (*VISAVIS, "serve")
TIMEOUT_S = 90  # how long a test waits for a process on a busy machine


@contextmanager
def serving(folder: Path, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `visavis serve` on a free port; yield the process and the first line that it prints."""
    process = subprocess.Popen(
        [*SERVE, "--port", "0"],
        env=os.environ | {"VISAVIS_DATA_DIR": str(folder)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command with this data folder to its end."""
    return subprocess.run(
        [*arguments],
        env=os.environ | {"VISAVIS_DATA_DIR": str(folder)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def start_session(base_url: str, look: str, headers: dict[str, str]) -> dict[str, Any]:
    """Create a session that starts at once; repeat this until a stage is ready."""
    while (
        answer := httpx.post(base_url + "/v1/sessions", json={"avatar": look}, headers=headers, timeout=TIMEOUT_S)
    ).status_code == 503:
        time.sleep(int(answer.headers["retry-after"]))
    session: dict[str, Any] = answer.json()["session"]
    assert session["status"] == "started"
    return session


def children_of(pid: int) -> list[int]:
    return [
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    ]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the server's processes in /proc")
def test_a_server_survives_its_stage_stops_cleanly_and_starts_again(tmp_path: Path) -> None:
    with serving(tmp_path) as (process, line):
        address = re.fullmatch(r"Visavis is at (http://127\.0\.0\.1:\d+)/", line)
        assert address is not None, line
        base_url, key = address[1], create_key(tmp_path)
        assert httpx.get(base_url + "/healthz").status_code == 200
        wait_until_ready(base_url)
        headers = {"x-api-key": key}
        look = httpx.get(base_url + "/v1/avatars?view=flat", headers=headers).json()["public_avatars"][0]["avatar_id"]
        session = start_session(base_url, look, headers)
        killed = set(children_of(process.pid))
        for stage in killed:
            os.kill(stage, signal.SIGKILL)
        while not set(children_of(process.pid)) - killed:
            time.sleep(0.1)  # until the stage has been replaced
        start_session(base_url, look, headers)
        shown = httpx.get(f"{base_url}/v1/sessions/{session['session_id']}", headers=headers).json()["session"]
        assert shown["status"] == "started", "it goes on"
        stages = children_of(process.pid)
        assert stages
        process.send_signal(signal.SIGTERM)
        rest, errors = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 0, errors
        assert rest == "There is no API key yet; `visavis keys create --name NAME` makes one.\n"
        assert "ah_live_" not in errors  # what is not a terminal may be kept, as a log is
        assert "Traceback" not in errors
        assert not [stage for stage in stages if Path(f"/proc/{stage}").exists()]

    with serving(tmp_path) as (process, line):
        assert re.fullmatch(r"Visavis is at http://127\.0\.0\.1:\d+/", line)
        base_url = line.removeprefix("Visavis is at ").rstrip("/")
        again = httpx.get(f"{base_url}/v1/sessions/{session['session_id']}", headers=headers).json()["session"]
        assert again["status"] == "ended"
        assert again["billing"]["minutes"] == 1
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 0


def test_a_server_that_owns_its_process_keeps_what_stays_out_of_collections_once_it_is_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = threading.Event()
    monkeypatch.setattr("visavis.server.keep_what_is_there", kept.set)
    with RunningServer(Settings(data_dir=tmp_path), fleet=FakeFleet(), prepare=fake_prepare) as server:
        readiness = server.services.readiness
        wait_until_ready(server.base_url)
        readiness.stage = False
        server._server._settles = True  # as `visavis serve` says it; the process of these tests is not the server's
        assert not kept.wait(0.3), "the start goes on"
        readiness.stage = True
        assert kept.wait(TIMEOUT_S)
        kept.clear()
        assert not kept.wait(0.3), "it happens once"


def test_an_invalid_setting_or_a_port_in_use_is_one_line(tmp_path: Path) -> None:
    with serving(tmp_path, VISAVIS_STAGES="none") as (process, _):
        _, errors = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 1
        assert errors.startswith("visavis: VISAVIS_STAGES: ") and len(errors.splitlines()) == 1
    with RunningServer(Settings(data_dir=tmp_path), fleet=FakeFleet(), prepare=fake_prepare) as server:
        port = server.base_url.rpartition(":")[2]
        taken = command(tmp_path / "other", *SERVE, "--port", port)
        assert taken.returncode == 1
        assert "ADDRESS_UNAVAILABLE" in taken.stderr and len(taken.stderr.splitlines()) == 1


OTHER_DIGEST = "from visavis.engine.portrait.networks.files import DIGESTS; DIGESTS['mesh.json'] = ''"
OTHER_WEIGHTS = (
    "from pathlib import Path; from visavis.engine.speech.weights_file import check_weights;"
    "check_weights.__defaults__ = (Path('damaged.npz'),)"
)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (OTHER_DIGEST, "mesh.json is not the file that this version needs"),
        (OTHER_WEIGHTS, "damaged.npz is damaged"),
    ],
)
def test_a_damaged_installation_is_one_line(damage: str, said: str, tmp_path: Path) -> None:
    weights = bytearray(WEIGHTS.read_bytes())
    weights[len(weights) // 2] ^= 1
    (tmp_path / "damaged.npz").write_bytes(weights)
    done = subprocess.run(
        [sys.executable, "-c", f"{damage}; from visavis.__main__ import main; main()", "serve"],
        env=os.environ | {"VISAVIS_DATA_DIR": str(tmp_path / "data")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
    )
    assert done.returncode == 1 and done.stdout == ""
    assert said in done.stderr and "INSTALLATION_DAMAGED" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_an_address_that_another_program_takes_while_the_server_starts_is_one_error(tmp_path: Path) -> None:
    """Two sockets may be bound to one address until one of them listens."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        server = RunningServer(Settings(data_dir=tmp_path), fleet=FakeFleet(), prepare=fake_prepare, port=port)
        other.listen()
        with pytest.raises(ServerNotStarted, match=f"Cannot listen at .*:{port}: .*ddress already in use"), server:
            raise AssertionError("it started")
    with RunningServer(Settings(data_dir=tmp_path), fleet=FakeFleet(), prepare=fake_prepare) as free:
        assert httpx.get(free.base_url + "/healthz").is_success, "nothing of the first one is left open"


def test_a_second_server_of_a_data_folder_says_so_in_one_line_and_ends_nothing(tmp_path: Path) -> None:
    with RunningServer(Settings(data_dir=tmp_path), fleet=FakeFleet(), prepare=fake_prepare) as server:
        headers = {"x-api-key": server.api_key}
        upload = {"image_base64": "YQ=="}
        look = httpx.post(server.base_url + "/v1/avatars/upload-face", json=upload, headers=headers).json()["avatar_id"]
        session = start_session(server.base_url, look, headers)
        second = command(tmp_path, *SERVE, "--port", "0")
        assert (second.returncode, second.stdout) == (1, "")
        assert second.stderr == (
            f"visavis: The data folder {tmp_path} is in use by another server (process {os.getpid()}) "
            "[DATA_FOLDER_IN_USE] Stop that server, or set VISAVIS_DATA_DIR.\n"
        )
        with (
            pytest.raises(DataFolderInUse),
            RunningServer(Settings(data_dir=tmp_path), fleet=FakeFleet(), prepare=fake_prepare),
        ):
            raise AssertionError("it started")
        assert httpx.get(server.base_url + "/v1/avatars/public", headers={"x-api-key": create_key(tmp_path)}).is_success
        film = [
            "--out",
            str(tmp_path / "film.mp4"),
            "--speech",
            str(SAMPLE),
            "--avatar",
            "avat_00000000000000000000000000",
        ]
        assert "[AVATAR_NOT_FOUND]" in command(tmp_path, *VISAVIS, "render", *film).stderr
        url = f"{server.base_url}/v1/sessions/{session['session_id']}"
        assert httpx.get(url, headers=headers).json()["session"]["status"] == "started"


def test_a_database_elsewhere_has_one_server_too(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/shared.db"
    one, other = (Settings(data_dir=tmp_path / name, database_url=SecretStr(url)) for name in ("one", "other"))
    with (
        RunningServer(one, fleet=FakeFleet(), prepare=fake_prepare),
        pytest.raises(DataFolderInUse, match=r"The database .*shared\.db is in use by another server"),
        RunningServer(other, fleet=FakeFleet(), prepare=fake_prepare),
    ):
        raise AssertionError("it started")


def test_a_terminal_is_shown_an_address_that_signs_in(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    with (
        subprocess.Popen(
            [*SERVE, "--port", "0"],
            env=os.environ | {"VISAVIS_DATA_DIR": str(tmp_path)},
            stdout=theirs,
            stderr=subprocess.DEVNULL,
        ) as process,
        os.fdopen(ours, "rb", buffering=0) as terminal,
    ):
        os.close(theirs)
        shown = terminal.readline().decode().strip()
        process.kill()
    address = re.fullmatch(r"Visavis is at http://127\.0\.0\.1:\d+/#code=[\w-]{43}", shown)
    assert address is not None, shown


def test_addresses_in_answers_begin_with_the_public_url(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, public_url="https://avatars.example.org/")
    with RunningServer(settings, fleet=FakeFleet(), prepare=fake_prepare) as server:
        headers = {"x-api-key": server.api_key}
        look = httpx.post(
            server.base_url + "/v1/avatars/upload-face", json={"image_base64": "YQ=="}, headers=headers
        ).json()
        assert look["image_url"].startswith("https://avatars.example.org/media/avatars/avat_")
        session = httpx.post(
            server.base_url + "/v1/sessions", json={"avatar_id": look["avatar_id"]}, headers=headers
        ).json()["session"]
        assert session["daily_room"]["url"].startswith("https://avatars.example.org/rooms/")
        started = httpx.put(f"{server.base_url}/v1/sessions/{session['session_id']}/start", headers=headers).json()
        assert started["ws_uri"] == f"wss://avatars.example.org/v1/channel/{session['session_id']}"


def test_an_idle_connection_is_kept_longer_than_a_proxy_keeps_its_own(tmp_path: Path) -> None:
    """nginx and most pools close idle connections after 60 to 75 s. If the server closes first, their next request
    meets a closed connection, which is a 502.
    """
    assert Settings().keep_alive_s > 75
    settings = Settings(data_dir=tmp_path, keep_alive_s=1)
    with RunningServer(settings, fleet=FakeFleet(), prepare=fake_prepare) as server:
        address = ("127.0.0.1", int(server.base_url.rpartition(":")[2]))
        with socket.create_connection(address, timeout=20) as kept, kept.makefile("rb") as answers:
            for _ in range(2):  # the connection is used again
                kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
                assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
                headers = dict(line.rstrip().split(b": ", 1) for line in iter(answers.readline, b"\r\n"))
                assert answers.read(int(headers[b"content-length"])).startswith(b'{"status":"ok"')
            assert answers.read() == b"", "idle for a second: the setting counts"


def test_connections_do_not_wait_for_acknowledgements(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options: list[tuple[int, ...]] = []
    setsockopt = socket.socket.setsockopt

    def recording_setsockopt(self: socket.socket, *arguments: Any) -> None:
        options.append(arguments[:2])
        setsockopt(self, *arguments)

    with RunningServer(Settings(data_dir=tmp_path), fleet=FakeFleet(), prepare=fake_prepare) as server:
        monkeypatch.setattr(socket.socket, "setsockopt", recording_setsockopt)
        with socket.create_connection(("127.0.0.1", int(server.base_url.rpartition(":")[2]))) as plain:
            plain.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            while plain.recv(4096):
                pass
    assert (socket.IPPROTO_TCP, socket.TCP_NODELAY) in options


def test_an_invalid_host_header_does_not_appear_in_addresses(tmp_path: Path) -> None:
    with RunningServer(Settings(data_dir=tmp_path), fleet=FakeFleet(), prepare=fake_prepare) as server:
        for host in ("[::", "a b", "x/../y", "exa\u00e9mple", "user@host", "a:b:c", "a:123456"):
            headers = {b"x-api-key": server.api_key.encode(), b"host": host.encode("latin-1")}
            answer = httpx.post(
                server.base_url + "/v1/avatars/upload-face", json={"image_base64": "YQ=="}, headers=headers
            )
            if answer.status_code != 400:  # the HTTP parser may refuse it first
                assert answer.status_code == 201
                assert answer.json()["image_url"].startswith(server.base_url), host


def test_a_text_frame_that_is_not_utf8_gets_an_error_and_a_close_without_a_traceback(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with RunningServer(Settings(data_dir=tmp_path), fleet=FakeFleet(), prepare=fake_prepare) as server:
        headers = {"x-api-key": server.api_key}
        look = httpx.post(
            server.base_url + "/v1/avatars/upload-face",
            json={"image_base64": "YQ=="},
            headers=headers,
            timeout=TIMEOUT_S,
        ).json()
        session = start_session(server.base_url, look["avatar_id"], headers)
        with connect(server.base_url.replace("http", "ws") + "/v1/channel") as channel:
            channel.send(
                json.dumps(
                    {
                        "type": "session.init",
                        "session_id": session["session_id"],
                        "session_token": session["session_token"],
                    }
                )
            )
            assert json.loads(channel.recv())["type"] == "connection.established"
            channel.send(b"\xff\xfe", text=True)
            assert json.loads(channel.recv()) == {
                "type": "error",
                "error": "Text frames must be UTF-8",
                "code": "INVALID_UTF8",
            }
            with pytest.raises(ConnectionClosedError) as closed:
                channel.recv()
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1007
    assert "Traceback" not in capfd.readouterr().err
