"""The build hook of the package, called by hatchling: compiles the C files of SOURCES into one shared library.

It uses the compiler named by CC, or else the machine's C compiler, or else the one in the wheel `ziglang`, which it
then adds to the requirements of the build. Python calls the library through ctypes, so that no Python headers are
needed and one wheel fits every Python 3.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from functools import cache
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ZIG = "ziglang==0.15.2"
FLAGS = ("-std=c11", "-O3", "-Wall", "-Wextra", "-shared", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off")
SOURCES = ("src/visavis/engine/native", "src/visavis/rooms/native")
LIBRARY = "visavis_native"  # a folder beside the package, so that sources and built files are apart


PROBE = """#include <stdint.h>
#include <string.h>
int32_t probe(const void *a) { int32_t b; memcpy(&b, a, sizeof b); return b; }
"""


@cache
def own_compiler() -> list[str] | None:
    """Return the machine's C compiler, or None if no compiler works: gcc may be installed without C's headers."""
    if named := os.environ.get("CC"):
        return named.split()
    with tempfile.TemporaryDirectory(prefix="visavis-build-") as folder:
        source = Path(folder) / "probe.c"
        source.write_text(PROBE)
        for path in filter(None, map(shutil.which, ("cc", "gcc", "clang"))):
            done = subprocess.run(
                [path, *FLAGS, "-o", str(source.with_suffix(".so")), str(source)], capture_output=True, check=False
            )
            if done.returncode == 0:
                return [path]
    return None


class NativeBuildHook(BuildHookInterface):
    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        return [] if own_compiler() else [ZIG]

    def initialize(self, version: str, build_data: dict) -> None:
        if self.target_name != "wheel":
            return
        self._folder = tempfile.TemporaryDirectory(prefix="visavis-build-")
        library = Path(self._folder.name) / "kernels.so"
        sources = sorted(str(path) for folder in SOURCES for path in (Path(self.root) / folder).glob("*.c"))
        environment = dict(os.environ, ZIG_GLOBAL_CACHE_DIR=self._folder.name, ZIG_LOCAL_CACHE_DIR=self._folder.name)
        compiler = own_compiler() or [sys.executable, "-m", "ziglang", "cc"]
        done = subprocess.run(
            [*compiler, *FLAGS, "-o", str(library), *sources, "-lm"],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"the drawing kernels could not be compiled with {' '.join(compiler)}:\n{done.stderr}")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
        for kind in ("force_include", "force_include_editable"):
            build_data[kind] = {**build_data.get(kind, {}), str(library): f"{LIBRARY}/kernels.so"}

    def finalize(self, version: str, build_data: dict, artifact_path: str) -> None:
        if self.target_name == "wheel":
            self._folder.cleanup()
