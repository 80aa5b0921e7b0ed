"""A task that all sessions depend on takes the process with it: sessions end, one line says why, the status is 1. So
does a server that cannot stop in order.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# One vital task fails as soon as the server has started.
SERVE = """
import sys
from visavis import cli
from visavis.api import app
from visavis.connections.guard import ConnectionGuard
from visavis.sessions.ends import Ends

async def fail(*_):
    raise ZeroDivisionError("a fault of ours")

async def warm_up(*_):
    pass

app.warm_up = warm_up
match sys.argv[1]:
    case "sweep":
        app.sweep_always = fail
    case "ends":
        Ends.run = fail
    case "connections":
        ConnectionGuard.run = fail
sys.argv = ["visavis", "serve", "--port", "0"]
cli.main()
"""


@pytest.mark.parametrize("task", ["sweep", "ends", "connections"])
def test_a_server_without_a_vital_task_ends_with_one_line(tmp_path: Path, task: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", SERVE, task],
        env=os.environ | {"VISAVIS_DATA_DIR": str(tmp_path), "VISAVIS_LOG_JSON": "true"},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    *logged, last = ended.stderr.splitlines()
    assert last == (
        f"visavis: The server cannot go on without its task '{task}'; its log says why it failed [SERVER_BROKEN]"
    )
    assert any('"task_failed"' in line and "a fault of ours" in line for line in logged)


# Nothing of the shutdown ever ends.
STUCK = """
import asyncio, os, signal, sys, threading
from visavis import cli, server
from visavis.api import app

async def warm_up(*_):
    pass

async def never(*_, **__):
    print("draining", flush=True)
    await asyncio.Event().wait()

app.warm_up = warm_up
server.drain, server.STOP_WITHIN_S = never, 0.2
sys.argv = ["visavis", "serve", "--port", "0"]
cli.main()
"""


def test_a_server_that_cannot_stop_in_order_ends_all_the_same(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STUCK],
        env=os.environ | {"VISAVIS_DATA_DIR": str(tmp_path), "VISAVIS_DRAIN_S": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        while line and "API key" not in line:
            line = process.stdout.readline()
        process.terminate()
        said, errors = process.communicate(timeout=90)
        assert line, f"it has ended before it was ready: {errors}"
    assert (process.returncode, said) == (1, "draining\n")
    assert errors.splitlines()[-1].endswith("[SERVER_BROKEN]")
