"""The kernels give the same bytes on every machine. same_bytes.c calls each of them with input that is the same
everywhere, and same_bytes.txt has the digests of what they write. `make arm64-check` runs the same on arm64.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.engine.native.test_layout import COMPILER, needs_compiler
from visavis.engine import native

HERE = Path(__file__).parent
FLAGS = ("-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-ffp-contract=off")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "same_bytes"
    assert COMPILER is not None
    subprocess.run([*COMPILER.split(), *FLAGS, "-o", path, HERE / "same_bytes.c", "-ldl"], check=True)
    return path


@needs_compiler
@pytest.mark.parametrize("options", [(), ("--portable",)], ids=["vectors", "portable"])
def test_the_kernels_write_the_bytes_that_they_write_everywhere(program: Path, options: tuple[str, ...]) -> None:
    done = subprocess.run([program, native.library_path(), *options], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == (HERE / "same_bytes.txt").read_text().splitlines()
