"""Trees like those of real machines: /proc and control groups, with the figures that a test needs."""

from __future__ import annotations

from pathlib import Path

# 31 23 …: the lines of the machine on which they were recorded, shortened to what is read
_V1_MOUNTS = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 {shown} /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
33 31 0:30 {shown} /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct
35 31 0:32 {shown} /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
_V1_JOINED_MOUNTS = """\
33 24 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid,nodev,noexec,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
"""
_V2_MOUNTS = """\
24 23 0:22 / /proc rw,nosuid,nodev,noexec,relatime shared:13 - proc proc rw
35 24 0:30 {shown} /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate
"""


def write(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def proc_stat(*cores: tuple[int, ...]) -> str:
    """/proc/stat of these processors: user, nice, system, idle, iowait, irq, softirq, steal; hundredths of a second"""
    rows = [f"cpu{number} {' '.join(map(str, figures))} 0 0" for number, figures in enumerate(cores)]
    total = " ".join(str(sum(column)) for column in zip(*cores, strict=True))
    return "\n".join([f"cpu  {total} 0 0", *rows, "intr 16788634 0 0", "ctxt 1", "btime 1764310000", ""])


def version_1(
    root: Path, *, path: str = "/", shown: str = "/", joined: bool = False, accounting: str | None = None
) -> Path:
    """`accounting`: the path in the hierarchy that counts what groups use, if it is another one."""
    controllers = "4:cpu,cpuacct" if joined else "2:cpuacct:" + (accounting or "{0}") + "\n1:cpu"
    lines = f"4:memory:/elsewhere\n{controllers.format(path)}:{path}\n0::/\n"
    mounts = _V1_JOINED_MOUNTS if joined else _V1_MOUNTS.format(shown=shown)
    return write(root, {"proc/self/cgroup": lines, "proc/self/mountinfo": mounts})


def version_2(root: Path, *, path: str = "/", shown: str = "/") -> Path:
    mounts = _V2_MOUNTS.format(shown=shown)
    return write(root, {"proc/self/cgroup": f"0::{path}\n", "proc/self/mountinfo": mounts})


def v1_group(folder: str, *, quota_us: int, used_s: float = 0.0, throttled_s: float = 0.0) -> dict[str, str]:
    stat = f"nr_periods 10\nnr_throttled 1\nthrottled_time {int(throttled_s * 1e9)}\n"
    return {
        f"sys/fs/cgroup/cpu/{folder}/cpu.cfs_quota_us": f"{quota_us}\n",
        f"sys/fs/cgroup/cpu/{folder}/cpu.cfs_period_us": "100000\n",
        f"sys/fs/cgroup/cpu/{folder}/cpu.stat": stat,
        f"sys/fs/cgroup/cpuacct/{folder}/cpuacct.usage": f"{int(used_s * 1e9)}\n",
    }


def v2_group(folder: str, *, maximum: str, used_s: float = 0.0, throttled_s: float = 0.0) -> dict[str, str]:
    stat = (
        f"usage_usec {int(used_s * 1e6)}\nuser_usec 1\nsystem_usec 1\nnr_periods 10\nnr_throttled 1\n"
        f"throttled_usec {int(throttled_s * 1e6)}\n"
    )
    return {f"sys/fs/cgroup/{folder}/cpu.max": f"{maximum}\n", f"sys/fs/cgroup/{folder}/cpu.stat": stat}
