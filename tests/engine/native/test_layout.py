"""The library and its callers agree on how the structs lie in memory, or the library is refused."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from visavis.engine import native

SOURCES = Path(native.__file__).parent
COMPILER = os.environ.get("CC") or next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="needs a C compiler")


def compile_changed(folder: Path, before: str, after: str) -> Path:
    """Compile the kernels with `after` in the place of `before` in the header of the structs."""
    sources = folder / "sources"
    shutil.copytree(SOURCES, sources, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    header = sources / "structs.h"
    text = header.read_text()
    assert text.count(before) == 1
    header.write_text(text.replace(before, after))
    library = folder / "visavis_native" / "kernels.so"
    library.parent.mkdir()
    flags = ("-std=c11", "-shared", "-fPIC", "-fvisibility=hidden")
    command = [*str(COMPILER).split(), *flags, "-o", str(library), *sorted(map(str, sources.glob("*.c"))), "-lm"]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return library


@needs_compiler
@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (
            "    int32_t across;\n",
            "    int64_t across;\n",
            r"struct Grid: Grid has \(offset, size\) \(0, 24\), not \(0, 16\)",
        ),
        (
            "    float roll_cosine, roll_sine;",
            "    float roll_sine, roll_cosine;",
            "struct Opening: Opening.roll_cosine has",
        ),
        ("    float light; /*", "    double light; /*", "struct Patch: Patch.light has"),
        ("    int32_t is_drawn;\n", "    int32_t is_drawn;\n    int64_t more;\n", "struct Strip: Strip has"),
    ],
    ids=["wider", "swapped", "wider in what was padding", "added"],
)
def test_a_struct_that_was_compiled_otherwise_is_named(tmp_path: Path, before: str, after: str, message: str) -> None:
    library = ctypes.CDLL(str(compile_changed(tmp_path, before, after)))
    with pytest.raises(ImportError, match=message):
        native.check_layout(library)


@needs_compiler
def test_a_library_with_another_struct_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    compile_changed(tmp_path, "    float roll_cosine, roll_sine;", "    double roll_cosine, roll_sine;")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", "import visavis.engine.native"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "the drawing kernels were compiled with another struct Opening" in done.stderr.splitlines()[-1]


def test_a_library_from_before_layouts_were_compared_is_refused() -> None:
    with pytest.raises(ImportError, match="older than this program"):
        native.check_layout(ctypes.CDLL(None))


def test_a_field_that_the_library_does_not_know_is_named() -> None:
    class Strip(ctypes.Structure):
        _fields_ = [*native.Strip._fields_, ("colour", ctypes.c_int32)]

    class Grid(ctypes.Structure):
        _fields_ = [("nodes", ctypes.c_void_p), ("width", ctypes.c_int32), ("cell", ctypes.c_int32)]

    library = native._load()
    for struct, message in ((Strip, "another struct Strip"), (Grid, "struct Grid: Grid.width has")):
        with pytest.raises(ImportError, match=message):
            native.check_layout(library, [struct])
