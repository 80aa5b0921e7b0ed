"""Measures the coverage of every Python process that has this folder on its PYTHONPATH (`.ci/run`): the tests' own, and
the servers, stages and image workers that they start. An environment that keeps nothing but PYTHONPATH is enough.
"""

import os
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

if find_spec("coverage"):  # not so in another Python of the machine
    import coverage

    os.environ["COVERAGE_FILE"] = str(ROOT / "build" / "coverage" / "data")
    os.environ["COVERAGE_PROCESS_START"] = str(ROOT / "pyproject.toml")
    coverage.process_startup()
