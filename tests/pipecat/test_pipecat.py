"""The tests of integrations/pipecat, in their own environment, with a real pipecat-ai against the real server.

Every run of tests takes a short part of them: joining, the first picture, one turn and one interruption. `make pipecat`
(VISAVIS_PIPECAT=full) runs all, which takes minutes.
"""

from __future__ import annotations

import os

import pytest

from tests.pipecat.environment import PROJECT, NoEnvironment, paths, python
from tools.environments import run_tests
from visavis.server import RunningServer

FULL = os.environ.get("VISAVIS_PIPECAT") == "full"
WITHIN_S = 1800 if FULL else 300


@pytest.mark.timeout(1800 if FULL else 900)  # the first run waits until the environment is there
def test_the_service_in_real_pipelines(server: RunningServer) -> None:
    try:
        program = python()
    except NoEnvironment as error:
        pytest.skip(f"the environment of pipecat-visavis cannot be made: {error}")
    env = os.environ | {
        "PYTHONPATH": paths(),
        "VISAVIS_API_URL": server.base_url,
        "VISAVIS_API_KEY": server.api_key,
    }
    print(run_tests(program, ["-v", *(["-s"] if FULL else ["-m", "short"])], PROJECT, env, WITHIN_S))
