"""livekit-plugins-visavis: its tests run in an environment of their own, against the servers of these tests.

`make conformance` (VISAVIS_CONFORMANCE=full) runs a hundred barge-ins, with an old release of livekit-agents, too.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.environments import run_tests
from tools.livekit.environment import PROJECT, prepare, prepare_old
from tools.livekit.server import KEY, SECRET, LiveKitServer
from visavis.server import RunningServer

FULL = os.environ.get("VISAVIS_CONFORMANCE") == "full"
WITHIN_S = 1200 if FULL else 300
RELEASES: dict[str, tuple[Callable[[], Path], list[str]]] = {"newest": (prepare, [])}
if FULL:
    RELEASES["old"] = (prepare_old, ["tests/test_audio_output.py"])


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.timeout(1800 if FULL else 900)  # the first run waits until the server and the environment are there
def test_the_plug_in_with_real_livekit_agents(release: str, livekit: LiveKitServer, server: RunningServer) -> None:
    make, files = RELEASES[release]
    try:
        python = make()
    except FileNotFoundError:
        pytest.skip("no environment with livekit-agents can be made: there is no uv")
    addresses = {
        "LIVEKIT_URL": livekit.url,
        "LIVEKIT_API_KEY": KEY,
        "LIVEKIT_API_SECRET": SECRET,
        "VISAVIS_API_URL": server.base_url,
        "VISAVIS_API_KEY": server.api_key,
    }
    printed = run_tests(
        python, ["-s" if FULL else "-v", "--durations=8", *files], PROJECT, os.environ | addresses, WITHIN_S
    )
    print(printed)
    assert " skipped" not in printed.splitlines()[-1], printed[-2000:]
