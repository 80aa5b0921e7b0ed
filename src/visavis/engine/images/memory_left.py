"""Tells how much memory another process may take before the kernel kills something: the least of what is left in this
process's control groups, version 1 or 2, and on the machine.

What can be taken back at once (cached files that no process has mapped) counts as left. See cgroups(7),
proc_pid_mountinfo(5), and the kernel's admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

UNLIMITED_FROM = 1 << 60  # version 1 writes a number close to 2^63 for "no limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """How a version of control groups names its files and figures."""

    limits: tuple[str, ...]
    usage: str
    inactive_file: str
    active_file: str
    mapped_file: str


VERSION_1 = Version(
    limits=("memory.limit_in_bytes",),
    usage="memory.usage_in_bytes",
    inactive_file="total_inactive_file",
    active_file="total_active_file",
    mapped_file="total_mapped_file",
)
# Above memory.high nothing is killed, but every process of the group is held back.
VERSION_2 = Version(
    limits=("memory.max", "memory.high"),
    usage="memory.current",
    inactive_file="inactive_file",
    active_file="active_file",
    mapped_file="file_mapped",
)


def memory_left_bytes(root: Path = Path("/")) -> int | None:
    """Return how many bytes are left, None if nothing tells. `root`: the folder that holds /proc and /sys."""
    found = [_left_in(folder, version) for folder, version in _groups(root)]
    found.append(_left_on_machine(root))
    return min((max(0, left) for left in found if left is not None), default=None)


def _groups(root: Path) -> Iterator[tuple[Path, Version]]:
    """Yield the folders of the control groups that limit this process, the innermost first."""
    paths = dict(_paths(root))
    for mount, kind, mounted_path in _mounts(root):
        path = paths.get(kind)
        if path is None:
            continue
        # In a container the group may be named as the machine sees it, while the mount shows only the part below it.
        inside = (
            path[len(mounted_path.rstrip("/")) :] if (path + "/").startswith(mounted_path.rstrip("/") + "/") else "/"
        )
        folder = mount / inside.strip("/")
        if ".." in folder.parts or not folder.is_dir():
            folder = mount
        while True:
            yield folder, VERSION_1 if kind == "memory" else VERSION_2
            if folder == mount:
                break
            folder = folder.parent


def _paths(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the path of this process's group: ("memory", path) for version 1, ("", path) for version 2."""
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers == "" or "memory" in controllers.split(","):
            yield ("memory" if controllers else ""), path


def _mounts(root: Path) -> Iterator[tuple[Path, str, str]]:
    """Yield the mounted hierarchies: where, "memory" or "" as in `_paths`, and which path of them is mounted there."""
    for line in _lines(root / "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        file_system, _, options = after.split(" ", 2)
        if file_system == "cgroup2" or (file_system == "cgroup" and "memory" in options.split(",")):
            path, mount = before.split(" ")[3:5]
            yield root / mount.lstrip("/"), "" if file_system == "cgroup2" else "memory", path


def _left_in(folder: Path, version: Version) -> int | None:
    """Return how many bytes are left in one group, None if it has no limit."""
    limits = [_number(folder / name) for name in version.limits]
    limit = min((limit for limit in limits if limit is not None), default=UNLIMITED_FROM)
    usage = _number(folder / version.usage)
    if limit >= UNLIMITED_FROM or usage is None:
        return None
    cached = dict(line.split(" ", 1) for line in _lines(folder / "memory.stat") if " " in line)
    files, mapped = (
        sum(int(cached.get(name, 0)) for name in names)
        for names in ((version.inactive_file, version.active_file), (version.mapped_file,))
    )
    return limit - usage + max(0, files - mapped)


def _left_on_machine(root: Path) -> int | None:
    for line in _lines(root / "proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) << 10
    return None


def _number(file: Path) -> int | None:
    """Return the number in a file, None for "max" or for no such file."""
    lines = _lines(file)
    return int(lines[0]) if lines and lines[0].isdigit() else None


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
