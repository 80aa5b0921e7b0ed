"""The fuzzing that is guided by coverage, in `make fuzz` alone: atheris is in a dependency group of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.scale import FULL

PROPERTIES = ("conversation", "first_message", "offer", "candidates", "check", "report", "speech")
SECONDS_EACH = 180
REPOSITORY = Path(__file__).parents[2]

if FULL:

    @pytest.mark.parametrize("name", PROPERTIES)
    def test_bytes_that_reach_new_code_break_nothing(name: str) -> None:
        options = [f"-max_total_time={SECONDS_EACH}", "-max_len=4096", "-rss_limit_mb=2048", "-timeout=20"]
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.guided", name, *options],
            cwd=REPOSITORY,
            env=os.environ | {"VISAVIS_FUZZ": "full"},
            capture_output=True,
            text=True,
            timeout=SECONDS_EACH + 120,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-6000:]
        print(f"\n{name}: {done.stderr.strip().splitlines()[-1]}")
