"""How many cores there are and what is taken of them, from trees like those of real machines and containers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.machine import trees
from visavis.machine.control_groups import GroupTime
from visavis.machine.cores import CoreCounters, cores, processes_for, read_counters, use_between

TWO, EIGHT = frozenset(range(2)), frozenset(range(8))
IDLE = (0, 0, 0, 1000, 0, 0, 0, 0)


def counters(root: Path, processors: frozenset[int] = TWO) -> CoreCounters:
    return read_counters(root, processors=processors, yielding=False)


# --- cores


def test_this_machine_gives_some_core() -> None:
    assert 0 < cores() <= 4096


@pytest.mark.parametrize(
    ("given", "processes"), [(0.25, 1), (0.5, 1), (1.0, 1), (1.005, 1), (1.5, 2), (2.0, 2), (7.2, 8)]
)
def test_as_many_processes_as_can_use_the_cores(given: float, processes: int) -> None:
    assert processes_for(given) == processes


def test_without_control_groups_every_processor_of_the_affinity_counts(tmp_path: Path) -> None:
    trees.write(tmp_path, {"proc/stat": trees.proc_stat(*[IDLE] * 8)})
    assert counters(tmp_path, EIGHT).cores == 8
    assert counters(tmp_path, frozenset({1, 5})).cores == 2


def test_version_1_takes_the_smallest_quota_up_the_tree(tmp_path: Path) -> None:
    trees.version_1(tmp_path, path="/system/visavis")
    trees.write(
        tmp_path,
        trees.v1_group("", quota_us=-1)
        | trees.v1_group("system", quota_us=150_000)
        | trees.v1_group("system/visavis", quota_us=300_000),
    )
    assert counters(tmp_path, EIGHT).cores == 1.5


def test_version_1_without_a_quota_limits_nothing(tmp_path: Path) -> None:
    trees.version_1(tmp_path)
    trees.write(tmp_path, trees.v1_group("", quota_us=-1))
    assert counters(tmp_path).cores == 2 and counters(tmp_path).groups == ()


def test_version_1_in_a_container_that_sees_only_its_own_group(tmp_path: Path) -> None:
    """Docker without a name space for groups: the path is the machine's, the mount shows the part below it."""
    trees.version_1(tmp_path, path="/docker/31c7", shown="/docker/31c7")
    trees.write(tmp_path, trees.v1_group("", quota_us=50_000, used_s=7.0))
    (group,) = counters(tmp_path, EIGHT).groups
    assert (group.quota_cores, group.used_s) == (0.5, 7.0)


def test_version_1_whose_accounting_has_another_group_does_not_know_what_was_used(tmp_path: Path) -> None:
    """The use of the whole machine is not the use of the group."""
    trees.version_1(tmp_path, path="/limited", accounting="/")
    trees.write(tmp_path, trees.v1_group("limited", quota_us=60_000) | trees.v1_group("", quota_us=-1, used_s=1e6))
    before = replace(counters(tmp_path), at_s=0.0)
    trees.write(tmp_path, trees.v1_group("", quota_us=-1, used_s=2e6))
    after = replace(counters(tmp_path), at_s=10.0)
    assert after.groups == (GroupTime(quota_cores=0.6, used_s=None, throttled_s=0.0),)
    assert use_between(before, after).unused == 0.6


def test_version_1_with_both_controllers_in_one_hierarchy(tmp_path: Path) -> None:
    trees.version_1(tmp_path, path="/a", joined=True)
    files = trees.v1_group("a", quota_us=100_000, used_s=3.0)
    trees.write(
        tmp_path, {name.replace("/cpuacct/", "/cpu,cpuacct/").replace("/cpu/", "/cpu,cpuacct/"): content
                   for name, content in files.items()}
    )  # fmt: skip
    (group,) = counters(tmp_path, EIGHT).groups
    assert (group.quota_cores, group.used_s) == (1.0, 3.0)


def test_version_2_takes_the_smallest_quota_up_the_tree(tmp_path: Path) -> None:
    """Kubernetes without a name space: the pod has the limit, the container within it none."""
    trees.version_2(tmp_path, path="/kubepods.slice/pod1.slice/container")
    trees.write(
        tmp_path,
        trees.v2_group("kubepods.slice", maximum="max 100000")
        | trees.v2_group("kubepods.slice/pod1.slice", maximum="125000 50000", used_s=11.0, throttled_s=2.0)
        | trees.v2_group("kubepods.slice/pod1.slice/container", maximum="max 100000"),
    )
    read = counters(tmp_path, EIGHT)
    assert read.cores == 2.5
    assert read.groups == (GroupTime(quota_cores=2.5, used_s=11.0, throttled_s=2.0),)


def test_version_2_in_a_container_with_a_name_space(tmp_path: Path) -> None:
    trees.version_2(tmp_path, path="/")
    trees.write(tmp_path, trees.v2_group("", maximum="50000 100000"))
    assert counters(tmp_path, EIGHT).cores == 0.5


def test_a_group_whose_folder_is_not_shown_counts_as_the_mounts_root(tmp_path: Path) -> None:
    trees.version_2(tmp_path, path="/../../elsewhere")
    trees.write(tmp_path, trees.v2_group("", maximum="150000 100000"))
    assert counters(tmp_path, EIGHT).cores == 1.5


def test_damaged_files_limit_nothing(tmp_path: Path) -> None:
    trees.version_2(tmp_path)
    trees.write(tmp_path, {"sys/fs/cgroup/cpu.max": "rubbish\n", "proc/stat": "cpu\n"})
    assert counters(tmp_path).cores == 2


# --- use


def test_only_the_processors_of_the_affinity_count(tmp_path: Path) -> None:
    before, after = trees.proc_stat(*[IDLE] * 4), trees.proc_stat(*[IDLE] * 2, *[(500, 0, 500, 1000, 0, 0, 0, 0)] * 2)
    trees.write(tmp_path, {"proc/stat": before})
    earlier = read_counters(tmp_path, processors=TWO, yielding=False), counters(tmp_path, frozenset({2, 3}))
    trees.write(tmp_path, {"proc/stat": after})
    later = read_counters(tmp_path, processors=TWO, yielding=False), counters(tmp_path, frozenset({2, 3}))
    uses = [
        use_between(replace(one, at_s=100.0), replace(other, at_s=110.0))
        for one, other in zip(earlier, later, strict=True)
    ]
    assert [use.unused for use in uses] == [2.0, 0.0]


def between(**figures: float) -> CoreCounters:
    return CoreCounters(at_s=10.0, processors=2, **figures)  # type: ignore[arg-type]


START = CoreCounters(at_s=0.0, processors=2)


def test_neighbours_take_what_they_use_and_little_if_they_yield() -> None:
    assert use_between(START, between(busy_s=10.0)).unused == 1.0
    assert use_between(START, between(yielding_s=8.0)).unused == pytest.approx(1.8)
    assert use_between(START, between(busy_s=30.0)).unused == 0.0


def test_a_process_of_a_lower_priority_has_nobody_who_yields_to_it(tmp_path: Path) -> None:
    trees.write(tmp_path, {"proc/stat": trees.proc_stat((0, 700, 0, 300, 0, 0, 0, 0), IDLE)})
    assert read_counters(tmp_path, processors=TWO, yielding=True).busy_s == 7.0
    assert read_counters(tmp_path, processors=TWO, yielding=False).yielding_s == 7.0


def test_stolen_time_is_lost(tmp_path: Path) -> None:
    """The second reading has the steal of a machine whose host gave a third of one core to others."""
    trees.write(tmp_path, {"proc/stat": trees.proc_stat((1000, 0, 0, 0, 0, 0, 0, 3639), (0, 0, 0, 0, 0, 0, 0, 3247))})
    before = replace(counters(tmp_path), at_s=0.0)
    trees.write(tmp_path, {"proc/stat": trees.proc_stat((1400, 0, 0, 0, 0, 0, 0, 3969), (0, 0, 0, 0, 0, 0, 0, 3247))})
    use = use_between(before, replace(counters(tmp_path), at_s=10.0))
    assert use.stolen == pytest.approx(0.33)
    assert use.unused == pytest.approx(2 - 0.4 - 0.33)


def quota(used_s: float, throttled_s: float = 0.0) -> tuple[GroupTime, ...]:
    return (GroupTime(quota_cores=0.5, used_s=used_s, throttled_s=throttled_s),)


def test_a_quota_limits_whatever_the_machine_has_left() -> None:
    before = CoreCounters(at_s=0.0, processors=8, groups=quota(100.0))
    use = use_between(before, CoreCounters(at_s=10.0, processors=8, busy_s=3.0, groups=quota(103.0)))
    assert (use.cores, use.throttled) == (0.5, 0.0) and use.unused == pytest.approx(0.2)


def test_a_full_machine_limits_whatever_the_quota_has_left() -> None:
    before = CoreCounters(at_s=0.0, processors=2, groups=quota(0.0))
    use = use_between(before, CoreCounters(at_s=10.0, processors=2, busy_s=19.0, groups=quota(1.0)))
    assert use.unused == pytest.approx(0.1)


def test_throttling_is_lost_and_told() -> None:
    before = CoreCounters(at_s=0.0, processors=8, groups=quota(0.0))
    use = use_between(before, CoreCounters(at_s=10.0, processors=8, busy_s=4.0, groups=quota(4.0, throttled_s=2.0)))
    assert use.throttled == pytest.approx(0.2) and use.unused == 0.0


def test_a_quota_that_comes_or_goes_between_two_readings_is_no_error() -> None:
    before = CoreCounters(at_s=0.0, processors=8, groups=quota(0.0))
    assert use_between(before, CoreCounters(at_s=10.0, processors=8, busy_s=8.0)).cores == 8
    use = use_between(CoreCounters(at_s=0.0, processors=8), replace(before, at_s=10.0))
    assert use.unused == 0.5
