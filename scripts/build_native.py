"""The build hook of the package, called by hatchling: compiles the C files of SOURCES into one shared library, and
refuses to build a wheel without the networks that read photos.

It uses the compiler named by CC, or else the machine's C compiler, or else the one in the wheel `ziglang`, which it
then adds to the requirements of the build. Python calls the library through ctypes, so that no Python headers are
needed and one wheel fits every Python 3.

VISAVIS_WHEEL_FOR names another platform, one of PLATFORMS (`make wheels`): ziglang compiles for it.
"""

from __future__ import annotations

import os
import platform
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
ENGINE_SOURCES = SOURCES[:1]  # all that Windows gets: it has no server
NETWORKS = "src/visavis/engine/portrait/networks/files"  # scripts/fetch_networks.py puts them there
LIBRARY = "visavis_native"  # a folder beside the package, so that sources and built files are apart
# The target as ziglang names it, with the oldest glibc or macOS, and the tag of the wheel.
PLATFORMS = {
    "linux-x86_64": ("x86_64-linux-gnu.2.28", "manylinux_2_28_x86_64"),
    "linux-arm64": ("aarch64-linux-gnu.2.28", "manylinux_2_28_aarch64"),
    "macos-arm64": ("aarch64-macos.12.0", "macosx_12_0_arm64"),
    "windows-x86_64": ("x86_64-windows-gnu", "win_amd64"),
}
ZIG_MACHINES = {"x86_64", "amd64", "aarch64", "arm64"}  # ziglang has wheels for more, which nobody has tried
ADVICE = (
    "the drawing kernels need a C compiler, and this machine has none: install gcc and the headers of C "
    "(Debian, Ubuntu: apt-get install gcc libc6-dev; Fedora: dnf install gcc; Alpine: apk add gcc musl-dev; "
    "Mac: xcode-select --install), or name one in CC"
)


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


def _own_tag() -> str:
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")


def _needs_zig() -> bool:
    if os.environ.get("VISAVIS_WHEEL_FOR"):
        return True
    return own_compiler() is None and platform.machine().lower() in ZIG_MACHINES


def _compiler(target: str | None) -> list[str]:
    """Return the compiler and what it needs to compile for `target`; None is this machine."""
    if not _needs_zig():
        own = own_compiler()
        if own is None:
            raise RuntimeError(ADVICE)
        return own
    zig = [sys.executable, "-m", "ziglang", "cc", "-g0"]  # by default it writes the paths of this machine
    if target is None:
        return zig
    if "windows" in target:
        return [*zig, "-target", target]
    # The memory of Linux on arm64 may have pages of 64 KB.
    pages = "-Wl,-z,max-page-size=65536"
    return [*zig, "-target", target, pages if "linux" in target else "-Wl,-install_name,kernels.so"]


class NativeBuildHook(BuildHookInterface):
    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        return [ZIG] if _needs_zig() else []

    def initialize(self, version: str, build_data: dict) -> None:
        is_editable = version == "editable"  # a checkout gets them after this
        if not is_editable and not (Path(self.root) / NETWORKS / "mesh.json").is_file():
            raise RuntimeError(f"{NETWORKS} is empty: run `make setup`, which fetches the networks that read photos")
        if self.target_name != "wheel":
            return
        if sys.platform == "win32":
            raise RuntimeError("on Windows, Visavis installs from its wheel alone; its server runs in WSL")
        named = os.environ.get("VISAVIS_WHEEL_FOR")
        if named and named not in PLATFORMS:
            raise RuntimeError(f"VISAVIS_WHEEL_FOR is {named}, and has to be one of {', '.join(PLATFORMS)}")
        target, tag = PLATFORMS[named] if named else (None, _own_tag())
        compiler = _compiler(target)
        self._folder = tempfile.TemporaryDirectory(prefix="visavis-build-")
        library = Path(self._folder.name) / "kernels.so"
        folders = ENGINE_SOURCES if target and "windows" in target else SOURCES
        sources = sorted(str(path) for folder in folders for path in (Path(self.root) / folder).glob("*.c"))
        environment = dict(os.environ, ZIG_GLOBAL_CACHE_DIR=self._folder.name, ZIG_LOCAL_CACHE_DIR=self._folder.name)
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
        build_data["tag"] = f"py3-none-{tag}"
        for kind in ("force_include", "force_include_editable"):
            build_data[kind] = {**build_data.get(kind, {}), str(library): f"{LIBRARY}/kernels.so"}

    def finalize(self, version: str, build_data: dict, artifact_path: str) -> None:
        if self.target_name == "wheel":
            self._folder.cleanup()
