"""Lets every Python process that has this folder on its PYTHONPATH run our modules with the probes of
tools/branch_coverage.py: the tests, and the servers, stages and image workers that they start.
"""

from __future__ import annotations

import builtins
import marshal
import mmap
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "coverage"
COMPILED = FOLDER / str(sys.implementation.cache_tag)  # there is none for another Python of the machine
MEASURED = (f"{ROOT}/src/", f"{ROOT}/integrations/client/src/")
PLACE = len(str(ROOT))
without_probes = SourceFileLoader.get_code


def get_code(self: SourceFileLoader, fullname: str) -> CodeType | None:
    path = self.get_filename(fullname)
    if path.startswith(MEASURED):
        try:
            code: CodeType = marshal.loads(Path(f"{COMPILED}{path[PLACE:]}.code").read_bytes())
            return code
        except FileNotFoundError:  # made by a test
            pass
    return without_probes(self, fullname)


if COMPILED.is_dir():
    try:
        with (FOLDER / "hits").open("r+b") as file:
            builtins.__visavis_hits__ = mmap.mmap(file.fileno(), 0)  # type: ignore[attr-defined]
        SourceFileLoader.get_code = get_code  # type: ignore[method-assign]
    except OSError:  # another user may not
        pass
