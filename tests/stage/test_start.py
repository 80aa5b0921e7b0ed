"""The start of a stage process, as a server on the same machine starts it."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from visavis.machine.network import MediaNetwork, PortRange, write_network

WITHIN_S = 60


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "visavis.stage", "--listen", f"unix:{folder}/stage.sock", "--data", str(folder)]
    return subprocess.Popen(
        [*command, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_a_stage_whose_server_dies_while_it_starts_ends_with_one_line(tmp_path: Path) -> None:
    with start(tmp_path) as stage:
        assert stage.stdin is not None and stage.stdout is not None and stage.stderr is not None
        stage.stdout.close()
        stage.stdin.write("a token\n")
        stage.stdin.close()
        told = stage.stderr.read()
        assert stage.wait(WITHIN_S) == 1
    assert "stage_not_started" in told and "Traceback" not in told


def test_a_stage_that_finds_no_port_for_media_names_those_that_are_taken(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("", 0))
        taken = other.getsockname()[1]
        network = MediaNetwork(ports=PortRange(first=taken, last=taken), include=("lo",), exclude=())
        with start(tmp_path, "--network", write_network(network)) as stage:
            _, told = stage.communicate("a token\n", timeout=WITHIN_S)
            assert stage.returncode == 1
    assert f"No UDP port for media is free: {taken}" in told and "Traceback" not in told
