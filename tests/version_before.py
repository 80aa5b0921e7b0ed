"""Visavis as it was before the latest change of the port: its modules, kept in tests/data
(scripts/keep_port_version.py), as a tree that a process runs in place of this one. What is no module (avatars,
networks, pages) is that of this tree. decision 82.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import subprocess
import tarfile
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from visavis.stage.port.messages import OLDEST_PORT_VERSION

ROOT = Path(__file__).parents[1]
ARCHIVE = ROOT / "tests" / "data" / f"visavis-port-{OLDEST_PORT_VERSION}.tar.xz"


@functools.cache
def python_path() -> str:
    """Return the PYTHONPATH of a process that runs it. The first call of all makes the tree, in `build`."""
    digest = hashlib.sha256(ARCHIVE.read_bytes()).hexdigest()[:16]
    tree = ROOT / "build" / f"{ARCHIVE.name.partition('.')[0]}-{digest}"
    tree.parent.mkdir(exist_ok=True)
    with tree.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not tree.exists():
            made = tree.with_suffix(".part")
            with tarfile.open(ARCHIVE) as archive:
                archive.extractall(made, filter="data")
            _compile(made)
            made.rename(tree)
        _link_files(tree)
    return os.pathsep.join([str(tree / "native"), str(tree / "src")])


def _link_files(tree: Path) -> None:
    """Have what is no module beside the modules."""
    links = {tree / "docs" / "reference": ROOT / "docs" / "reference"}
    for path in (ROOT / "src").rglob("*"):
        if path.is_file() and path.suffix not in (".py", ".pyc", ".c", ".h"):
            links[tree / path.relative_to(ROOT)] = path
    for link, path in links.items():
        if not link.exists():
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(path)


def _compile(tree: Path) -> None:
    """Compile its kernels, if they are others than those of this tree, which are compiled already."""
    build = _build_script()
    sources = [one for folder in build.SOURCES for one in sorted((tree / folder).glob("*.[ch]"))]
    own = [one for folder in build.SOURCES for one in sorted((ROOT / folder).glob("*.[ch]"))]
    if [(one.name, one.read_bytes()) for one in sources] == [(one.name, one.read_bytes()) for one in own]:
        return
    library = tree / "native" / build.LIBRARY / "kernels.so"
    library.parent.mkdir(parents=True)
    files = [one for one in sources if one.suffix == ".c"]
    subprocess.run([*build.own_compiler(), *build.FLAGS, "-o", library, *files, "-lm"], check=True, capture_output=True)


def _build_script() -> ModuleType:
    spec = spec_from_file_location("build_native", ROOT / "scripts" / "build_native.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
