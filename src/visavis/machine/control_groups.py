"""The control groups that limit this process's processor time, versions 1 and 2, from its own group up to the root.

See cgroups(7), proc_pid_mountinfo(5), the kernel's admin-guide/cgroup-v2.rst and scheduler/sched-bwc.rst.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_NS, _US = 1e-9, 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTime:
    """One group with a quota. `quota_cores`: how many cores it may use. Since the group was made: `used_s` of processor
    time, None if nobody counts it, and `throttled_s`, for which its processes had to wait because the quota was used
    up.
    """

    quota_cores: float
    used_s: float | None
    throttled_s: float


def group_times(root: Path = Path("/")) -> tuple[GroupTime, ...]:
    """Return every group with a quota, the innermost first. `root`: the folder that holds /proc and /sys."""
    paths = dict(_paths(root))
    mounts = _mounts(root)
    found: list[GroupTime] = []
    for mount, kind, mounted_path in mounts:
        if (path := paths.get(kind)) is None:
            continue
        if kind == "cpu":
            found += _version_1(mount, _inside(path, mounted_path), _accounting(mounts, paths))
        elif kind == "":
            found += _version_2(mount, _inside(path, mounted_path))
    return tuple(found)


def _version_1(mount: Path, inside: str, accounting: tuple[Path, str] | None) -> Iterator[GroupTime]:
    """Quota and use may be in two hierarchies. The use of a group is known only if both have it."""
    for folder in _upwards(mount, inside):
        quota_us, period_us = _number(folder / "cpu.cfs_quota_us"), _number(folder / "cpu.cfs_period_us")
        if quota_us is None or quota_us <= 0 or not period_us:
            continue
        used_ns = None
        if accounting is not None and inside == accounting[1]:
            used_ns = _number(accounting[0] / folder.relative_to(mount) / "cpuacct.usage")
        used_s = None if used_ns is None else used_ns * _NS
        throttled_s = _members(folder / "cpu.stat").get("throttled_time", 0) * _NS
        yield GroupTime(quota_cores=quota_us / period_us, used_s=used_s, throttled_s=throttled_s)


def _version_2(mount: Path, inside: str) -> Iterator[GroupTime]:
    for folder in _upwards(mount, inside):
        lines = _lines(folder / "cpu.max")
        quota_us, _, period_us = lines[0].partition(" ") if lines else ("max", "", "")
        if not quota_us.isdigit():
            continue
        stat = _members(folder / "cpu.stat")
        yield GroupTime(
            quota_cores=int(quota_us) / int(period_us or 100_000),
            used_s=stat.get("usage_usec", 0) * _US,
            throttled_s=stat.get("throttled_usec", 0) * _US,
        )


def _accounting(mounts: list[tuple[Path, str, str]], paths: dict[str, str]) -> tuple[Path, str] | None:
    """Return where version 1 counts the use of groups, and the path of this process's group there."""
    for mount, kind, mounted_path in mounts:
        if kind == "cpuacct" and "cpuacct" in paths:
            return mount, _inside(paths["cpuacct"], mounted_path)
    return None


def _inside(path: str, mounted_path: str) -> str:
    """Return the group's path below the mount. In a container the group may be named as the machine sees it, while the
    mount shows only the part below it.
    """
    above = mounted_path.rstrip("/")
    return path[len(above) :] if (path + "/").startswith(above + "/") else "/"


def _upwards(mount: Path, inside: str) -> Iterator[Path]:
    folder = mount / inside.strip("/")
    if ".." in folder.parts or not folder.is_dir():
        folder = mount
    while True:
        yield folder
        if folder == mount:
            return
        folder = folder.parent


def _paths(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the paths of this process's groups: by controller for version 1, with "" for version 2."""
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            yield controller, path


def _mounts(root: Path) -> list[tuple[Path, str, str]]:
    """Return the mounted hierarchies: where, the controller as in `_paths`, and which path of them is mounted there."""
    found = []
    for line in _lines(root / "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        file_system, _, options = after.split(" ", 2)
        path, mount = before.split(" ")[3:5]
        if file_system == "cgroup2":
            found.append((root / mount.lstrip("/"), "", path))
        elif file_system == "cgroup":
            controllers = {"cpu", "cpuacct"}.intersection(options.split(","))
            found += [(root / mount.lstrip("/"), controller, path) for controller in sorted(controllers)]
    return found


def _members(file: Path) -> dict[str, int]:
    pairs = (line.split() for line in _lines(file))
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _number(file: Path) -> int | None:
    lines = _lines(file)
    try:
        return int(lines[0])
    except (IndexError, ValueError):
        return None


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
