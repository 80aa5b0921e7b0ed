"""How much memory is left, read from trees as they were found on machines and in containers."""

from __future__ import annotations

from pathlib import Path

import pytest

from visavis.engine.images.memory_left import memory_left_bytes

GIB, MIB = 1 << 30, 1 << 20
MEMINFO = "MemTotal:       24683520 kB\nMemFree:        19399680 kB\nMemAvailable:   23087104 kB\nBuffers: 1 kB\n"
ON_THE_MACHINE = 23087104 << 10


def write_tree(root: Path, files: dict[str, str]) -> Path:
    for name, content in ({"proc/meminfo": MEMINFO} | files).items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return root


def group_v2(
    folder: str, *, limit: str, high: str = "max", used: int, inactive: int, active: int, mapped: int
) -> dict[str, str]:
    stat = (
        f"anon 104857600\nfile {inactive + active}\nfile_mapped {mapped}\ninactive_anon 4096\nactive_anon 104853504\n"
    )
    stat += f"inactive_file {inactive}\nactive_file {active}\nunevictable 0\nworkingset_refault_file 12\n"
    return {
        f"{folder}/memory.max": limit + "\n",
        f"{folder}/memory.high": high + "\n",
        f"{folder}/memory.current": f"{used}\n",
        f"{folder}/memory.stat": stat,
    }


def group_v1(folder: str, *, limit: int, used: int, inactive: int, active: int, mapped: int) -> dict[str, str]:
    stat = f"cache {inactive + active}\nrss 104857600\nmapped_file {mapped}\ninactive_file 1\nactive_file 1\n"
    stat += f"hierarchical_memory_limit {limit}\ntotal_cache {inactive + active}\ntotal_mapped_file {mapped}\n"
    stat += f"total_inactive_file {inactive}\ntotal_active_file {active}\n"
    return {
        f"{folder}/memory.limit_in_bytes": f"{limit}\n",
        f"{folder}/memory.usage_in_bytes": f"{used}\n",
        f"{folder}/memory.stat": stat,
    }


NO_LIMIT_V1 = 9223372036854771712

# A container of Docker on a machine with version 2: it has a namespace of its own.
DOCKER_V2 = {
    "proc/self/cgroup": "0::/\n",
    "proc/self/mountinfo": (
        "1210 1101 0:57 / / rw,relatime master:307 - overlay overlay rw,lowerdir=/x\n"
        "1217 1216 0:29 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate\n"
    ),
} | group_v2("sys/fs/cgroup", limit=f"{2 * GIB}", used=900 * MIB, inactive=200 * MIB, active=150 * MIB, mapped=50 * MIB)

# A service of systemd, whose slice has a limit too, and hardly anything left below it.
SYSTEMD_V2 = (
    {
        "proc/self/cgroup": "0::/visavis.slice/visavis.service\n",
        "proc/self/mountinfo": "35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
    }
    | group_v2("sys/fs/cgroup/visavis.slice/visavis.service", limit="max", used=GIB, inactive=0, active=0, mapped=0)
    | group_v2(
        "sys/fs/cgroup/visavis.slice",
        limit=f"{4 * GIB}",
        high=f"{3 * GIB}",
        used=2 * GIB,
        inactive=0,
        active=0,
        mapped=0,
    )
)

# A container of Docker on a machine with version 1: the machine's name for its group, and a mount of that group alone.
DOCKER_V1 = {
    "proc/self/cgroup": (
        "12:cpuset:/docker/4f1a\n9:memory:/docker/4f1a\n3:cpu,cpuacct:/docker/4f1a\n"
        "1:name=systemd:/docker/4f1a\n0::/system.slice/containerd.service\n"
    ),
    "proc/self/mountinfo": (
        "1433 1432 0:28 /docker/4f1a /sys/fs/cgroup/systemd ro,nosuid master:11 - cgroup cgroup rw,xattr,name=systemd\n"
        "1441 1432 0:36 /docker/4f1a /sys/fs/cgroup/memory ro,nosuid master:19 - cgroup cgroup rw,memory\n"
        "1442 1432 0:37 /docker/4f1a /sys/fs/cgroup/cpu,cpuacct ro,nosuid master:20 - cgroup cgroup rw,cpu,cpuacct\n"
    ),
} | group_v1("sys/fs/cgroup/memory", limit=2 * GIB, used=700 * MIB, inactive=100 * MIB, active=0, mapped=30 * MIB)

# A machine with version 1 for memory, and version 2 mounted beside it without it.
HYBRID = (
    {
        "proc/self/cgroup": "5:devices:/\n4:memory:/work/4a86\n1:cpu:/\n0::/\n",
        "proc/self/mountinfo": (
            "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
            "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
        ),
        "sys/fs/cgroup/unified/cgroup.controllers": "hugetlb\n",
    }
    | group_v1("sys/fs/cgroup/memory/work/4a86", limit=NO_LIMIT_V1, used=100 * MIB, inactive=0, active=0, mapped=0)
    | group_v1("sys/fs/cgroup/memory/work", limit=8 * GIB, used=5 * GIB, inactive=GIB, active=0, mapped=0)
    | group_v1("sys/fs/cgroup/memory", limit=NO_LIMIT_V1, used=20 * GIB, inactive=0, active=0, mapped=0)
)


@pytest.mark.parametrize(
    ("tree", "left_bytes"),
    [
        pytest.param(DOCKER_V2, (2048 - 900 + 300) * MIB, id="version 2 in a container"),
        pytest.param(SYSTEMD_V2, GIB, id="version 2, a slice that is held back above 3 GB"),
        pytest.param(DOCKER_V1, (2048 - 700 + 70) * MIB, id="version 1 in a container"),
        pytest.param(HYBRID, 4 * GIB, id="version 1, with the limit further out"),
        pytest.param({}, ON_THE_MACHINE, id="no control groups"),
        pytest.param({"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": ""}, ON_THE_MACHINE, id="none mounted"),
        pytest.param(DOCKER_V2 | {"sys/fs/cgroup/memory.max": "max\n"}, ON_THE_MACHINE, id="a group without a limit"),
        pytest.param(
            DOCKER_V2 | {"proc/self/cgroup": "0::/../elsewhere\n"}, (2048 - 900 + 300) * MIB, id="a group outside ours"
        ),
        pytest.param(DOCKER_V2 | {"sys/fs/cgroup/memory.current": f"{3 * GIB}\n"}, 0, id="over its limit"),
    ],
)
def test_the_least_that_is_left_counts(tree: dict[str, str], left_bytes: int, tmp_path: Path) -> None:
    assert memory_left_bytes(write_tree(tmp_path, tree)) == left_bytes


def test_a_system_that_tells_nothing_has_no_limit(tmp_path: Path) -> None:
    assert memory_left_bytes(tmp_path) is None
