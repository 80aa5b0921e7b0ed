"""The tests of integrations/pipecat, in their own environment, with a real pipecat-ai against the real server.

Every run of tests takes a short part of them: joining, the first picture, one turn and one interruption, over any
transport and in a LiveKit room. `make pipecat` (VISAVIS_PIPECAT=full) runs all, which takes minutes.
"""

from __future__ import annotations

import os

import pytest

from tools.environments import run_tests
from tools.livekit.server import KEY, SECRET, LiveKitServer
from tools.pipecat.environment import PROJECT, paths, prepare
from visavis.server import RunningServer

FULL = os.environ.get("VISAVIS_PIPECAT") == "full"
WITHIN_S = 1800 if FULL else 300

pytestmark = pytest.mark.timeout(1800 if FULL else 900)  # the first run waits until the environment is there


def test_the_service_in_real_pipelines(server: RunningServer) -> None:
    run(["--ignore=tests/test_livekit.py"], server)


def test_the_avatar_in_the_livekit_room_of_a_bot(livekit: LiveKitServer, server: RunningServer) -> None:
    run(["tests/test_livekit.py"], server, LIVEKIT_URL=livekit.url, LIVEKIT_API_KEY=KEY, LIVEKIT_API_SECRET=SECRET)


def run(files: list[str], server: RunningServer, **variables: str) -> None:
    try:
        program = prepare()
    except FileNotFoundError:
        pytest.skip("no environment with pipecat-ai can be made: there is no uv")
    servers = {"VISAVIS_API_URL": server.base_url, "VISAVIS_API_KEY": server.api_key}
    env = os.environ | {"PYTHONPATH": paths()} | servers | variables
    arguments = ["-s"] if FULL else ["-v", "-m", "short", "--durations=5"]
    printed = run_tests(program, [*arguments, *files], PROJECT, env, WITHIN_S)
    print(printed)
    assert " skipped" not in printed.splitlines()[-1], printed[-2000:]
