"""A stage on another machine: it has its own network namespace and its own data folder. A session that it performs
plays in Chromium.
"""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest
from PIL import Image, ImageStat

from tests.certificates import write_certificate
from tests.e2e.browser import CHROMIUM
from tests.e2e.namespaces import Machine, two_machines, why_unavailable

UNAVAILABLE = why_unavailable()
STARTS_WITHIN_S = 60

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
    pytest.mark.skipif(UNAVAILABLE is not None, reason=str(UNAVAILABLE)),
]


@contextmanager
def stage_on(machine: Machine, folder: Path) -> Iterator[str]:
    """Run `visavis stage` on a machine; yield its address."""
    cert, key = write_certificate(folder, machine.address)
    token = folder / "stage.token"
    token.write_text("a token of the stage and its server")
    url = f"wss://{machine.address}:8443"
    files = ["--token-file", token, "--tls-cert", cert, "--tls-key", key, "--cache", folder / "stage"]
    command = [sys.executable, "-m", "visavis.cli", "stage", "--listen", url, *map(str, files)]
    with (folder / "stage.log").open("w") as log:
        stage = subprocess.Popen(machine.command(*command), stdout=log, stderr=subprocess.STDOUT)
    try:
        deadline_s = time.monotonic() + STARTS_WITHIN_S
        while "listens at" not in (folder / "stage.log").read_text():
            assert stage.poll() is None and time.monotonic() < deadline_s, (folder / "stage.log").read_text()
            time.sleep(0.1)  # polling another process's start
        yield url
    finally:
        stage.terminate()
        assert stage.wait(20) == 0


def test_a_session_on_another_machine_plays_in_chromium(tmp_path: Path) -> None:
    with two_machines() as (service, media), stage_on(media, tmp_path) as url:
        scenario = [sys.executable, "-m", "tests.e2e.session_elsewhere", str(tmp_path), url, service.address]
        done = subprocess.run(service.command(*scenario), capture_output=True, text=True, timeout=110, check=False)
    logs = [(tmp_path / name).read_text() for name in ("stage.log", "server.log") if (tmp_path / name).exists()]
    assert done.returncode == 0, "\n".join([done.stderr, *logs])
    measured = json.loads(done.stdout)
    idle, talking, received = measured["idle"], measured["talking"], measured["received"]
    assert (talking["width"], talking["height"]) == (512, 512)
    steps_s = [later - earlier for earlier, later in pairwise(idle["times"])]
    assert median(steps_s) == pytest.approx(1 / 25, abs=0.004)
    assert max(idle["differences"]) > 0, "the resting face is a still picture"
    assert sum(talking["differences"]) / 75 > 1.5 * sum(idle["differences"]) / 50, "the face speaks"
    assert received["audio"]["audioEnergy"] > 1e-4 and received["video"]["framesDecoded"] > 0
    assert [answer["type"] for answer in measured["answers"]].count("agent.interrupt.confirmed") == 1
    picture = ImageStat.Stat(Image.open(tmp_path / "seen.png").convert("L"))
    assert picture.stddev[0] > 15, "the picture has only one colour"
    packs = list((tmp_path / "stage" / "packs").iterdir())
    assert packs, "the stage has fetched the pack over HTTP into its own folder"
    assert not any(stat.S_IMODE(pack.stat().st_mode) & 0o077 for pack in packs), "nobody else may read the avatar"
    assert "Traceback" not in "\n".join(logs), logs
