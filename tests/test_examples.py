"""The examples play any recording, and say in one line what is wrong with a file, a key or a server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.sounds import tone, wav, write_sound
from visavis.demo.server_process import free_port
from visavis.server import RunningServer

EXAMPLES = Path(__file__).parents[1] / "examples"
PLAYED = ("speak.py", "speak_without_client.py", "drive_a_head.py")
WITHIN_S = 60


def run(example: str, speech: Path, *, base: str, key: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLES / example), str(speech), "--base", base, "--key", key],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Recordings of half a second."""
    folder = tmp_path_factory.mktemp("speech")
    sine = tone(44_100, seconds=0.5)
    both, opposite = np.stack([sine, sine], axis=1), np.stack([sine, -sine], axis=1)
    pcm = (opposite * 32767).astype(np.int16)
    (folder / "opposite.wav").write_bytes(wav(pcm, 44_100))
    (folder / "high.wav").write_bytes(wav((tone(96_000, seconds=0.5) * 32767).astype(np.int16), 96_000))
    (folder / "low.wav").write_bytes(wav((tone(6_000, seconds=0.5) * 32767).astype(np.int16), 6_000))
    (folder / "text.wav").write_text("no sound")
    (folder / "empty.wav").write_bytes(b"")
    (folder / "silent.wav").write_bytes(wav(np.zeros(0, np.int16), 16_000))
    write_sound(folder / "stereo.mp3", both, 44_100)
    write_sound(folder / "stereo.m4a", both, 44_100)
    return {path.name: path for path in folder.iterdir()}


@pytest.mark.parametrize("name", ["stereo.mp3", "stereo.m4a", "opposite.wav", "high.wav", "low.wav"])
def test_any_recording_is_played(name: str, speech: dict[str, Path], server: RunningServer) -> None:
    done = run("speak.py", speech[name], base=server.base_url, key=server.api_key)
    assert (done.returncode, done.stderr) == (0, "")
    played, seconds, unit = done.stdout.splitlines()[-1].split()
    assert (played, unit) == ("played", "s") and 0.49 < float(seconds) < 0.53  # MP3 and M4A pad what they encode


def test_a_recording_is_played_without_the_client(speech: dict[str, Path], server: RunningServer) -> None:
    done = run("speak_without_client.py", speech["stereo.mp3"], base=server.base_url, key=server.api_key)
    assert (done.returncode, done.stderr) == (0, "")
    assert '"agent.playback.finished"' in done.stdout and '"type":"error"' not in done.stdout.replace(" ", "")


def test_a_session_over_rest_with_curl(server: RunningServer) -> None:
    done = subprocess.run(
        ["sh", str(EXAMPLES / "rest.sh"), server.base_url],
        env={"PATH": os.environ["PATH"], "VISAVIS_API_KEY": server.api_key},
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    told = [line.partition(": ") for line in done.stdout.splitlines()]
    assert [name for name, _, _ in told] == ["look", "session", "channel", "status", "status"]
    assert told[1][2].startswith("sess_") and told[2][2].endswith(f"/v1/channel/{told[1][2]}")
    assert [value for name, _, value in told if name == "status"] == ["started", "ended"]


def test_a_page_gets_a_token_for_its_room_and_no_key(server: RunningServer) -> None:
    command = [sys.executable, str(EXAMPLES / "serve_page.py"), "--key", server.api_key, "--base", server.base_url]
    with subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, text=True) as site:
        try:
            assert site.stdout is not None
            address = site.stdout.readline().split()[1]
            page = httpx.get(address, timeout=WITHIN_S)
        finally:
            site.terminate()
    found = re.search(r'room="(\S+)#t=(vvt_\S+)"', page.text)
    assert found is not None and server.api_key not in page.text
    room, token = found.groups()
    for origin, status in ((address.rstrip("/"), 200), ("https://evil.example", 403)):
        headers = {"authorization": f"Bearer {token}", "origin": origin}
        assert httpx.get(f"{room}/picture", headers=headers).status_code == status
    listed = httpx.get(f"{server.base_url}/v1/sessions?status=started", headers={"x-api-key": server.api_key})
    for session in listed.json()["sessions"]:
        httpx.post(f"{server.base_url}/v1/sessions/{session['session_id']}/end", headers={"x-api-key": server.api_key})


def test_a_head_is_driven_by_a_recording_in_stereo(speech: dict[str, Path], server: RunningServer) -> None:
    done = run("drive_a_head.py", speech["stereo.mp3"], base=server.base_url, key=server.api_key)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count(" jaw ") > 5


def test_channels_in_opposite_phase_are_not_silence(speech: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    pcm, rate_hz = import_module("recording").read_speech(str(speech["opposite.wav"]))
    samples = np.frombuffer(pcm, np.int16)
    assert (rate_hz, len(samples)) == (44_100, 22_050) and np.abs(samples).max() > 16_000


@pytest.mark.parametrize("example", PLAYED)
@pytest.mark.parametrize("name", ["text.wav", "empty.wav", "silent.wav", "absent.wav"])
def test_a_file_that_cannot_be_played_is_one_line(
    example: str, name: str, speech: dict[str, Path], tmp_path: Path
) -> None:
    done = run(example, speech.get(name, tmp_path / name), base="http://127.0.0.1:1", key="none")
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1 and name in done.stderr


@pytest.mark.parametrize("example", PLAYED)
def test_a_wrong_key_and_an_absent_server_are_one_line_each(
    example: str, speech: dict[str, Path], server: RunningServer
) -> None:
    for base, said in ((server.base_url, "401|UNAUTHORIZED"), (f"http://127.0.0.1:{free_port()}", "connect")):
        done = run(example, speech["opposite.wav"], base=base, key="ah_live_none")
        assert (done.returncode, done.stdout) == (1, "")
        assert re.search(said, done.stderr) and done.stderr.splitlines()[0].startswith(base)
