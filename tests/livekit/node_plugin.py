"""@visavis/livekit-agents: its tests run in Node with a real @livekit/agents, against the servers of these tests, and
only in `make conformance`: node_modules and the tests take minutes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tools.environments import run_program
from tools.livekit.node_environment import prepare
from tools.livekit.server import KEY, SECRET, LiveKitServer
from visavis.server import RunningServer

WITHIN_S = 1200
ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(900)
def test_its_format_types_and_pure_parts() -> None:
    subprocess.run(["sh", "scripts/check-livekit-node"], cwd=ROOT, check=True)


@pytest.mark.timeout(1800)  # the first run makes node_modules, and runs the tests that need no server, too
def test_the_package_with_a_real_livekit_agents(livekit: LiveKitServer, server: RunningServer) -> None:
    node = shutil.which("node")
    try:
        project = prepare()
    except FileNotFoundError:
        node = None
    if node is None:
        pytest.skip("no @livekit/agents can be installed: there is no Node with npm")
    addresses = {
        "LIVEKIT_URL": livekit.url,
        "LIVEKIT_API_KEY": KEY,
        "LIVEKIT_API_SECRET": SECRET,
        "VISAVIS_API_URL": server.base_url,
        "VISAVIS_API_KEY": server.api_key,
    }
    command = [node, "node_modules/vitest/vitest.mjs", "run", "tests/room", "--reporter=verbose"]
    printed = run_program(command, project, os.environ | addresses | {"NO_COLOR": "1"}, WITHIN_S)
    print(printed)
    assert " skipped" not in printed, printed[-2000:]
