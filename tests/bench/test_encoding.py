"""What encoding alone costs, and the figures that benchmarks print beside their own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from visavis.bench.density import prepared
from visavis.bench.encoding import EncodingCost, mean, measure_encoding
from visavis.bench.processes import cpu_s, own_mb, pss_mb, with_descendants
from visavis.engine.pack.avatar_pack import AvatarPack


def test_a_session_is_compared_with_the_encoding_of_what_it_spoke() -> None:
    cost = EncodingCost(speaking_cores=0.04, silent_cores=0.02)
    assert cost.ratio(0.12, spoken=1.0) == 3.0
    assert cost.ratio(0.12, spoken=0.0) == 6.0
    assert cost.ratio(0.12, spoken=0.5) == 4.0


def test_the_mean_of_before_and_after_counts() -> None:
    both = mean(
        EncodingCost(speaking_cores=0.04, silent_cores=0.02), EncodingCost(speaking_cores=0.06, silent_cores=0.03)
    )
    assert (both.speaking_cores, both.silent_cores) == (0.05, 0.025)


def test_more_frames_take_more_to_encode(tmp_path: Path) -> None:
    ref = asyncio.run(prepared(tmp_path))
    pack = AvatarPack.load(ref.folder_in(tmp_path / "avatars"))
    few = measure_encoding(pack, size=(256, 256), fps=5, speech_s=2.0, silent_s=1.0)
    many = measure_encoding(pack, size=(256, 256), fps=25, speech_s=2.0, silent_s=1.0)
    assert 0 < few.speaking_cores < many.speaking_cores < 1
    assert 0 < many.silent_cores < 1


@pytest.mark.skipif(sys.platform != "linux", reason="processes are read from /proc")
def test_processes_are_found_with_what_they_have_started() -> None:
    script = "import subprocess,sys; subprocess.run([sys.executable, '-c', 'input()'], stdin=sys.stdin)"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE) as process:
        while len(found := with_descendants(process.pid)) < 2:
            os.sched_yield()  # polls another process
        assert found[0] == process.pid
        assert pss_mb(found) > pss_mb(found[:1]) > 0
        assert own_mb(found) > own_mb(found[:1]) > 0
        process.communicate(b"\n")
    assert cpu_s([os.getpid()]) > 0
    assert (cpu_s([process.pid]), pss_mb([process.pid])) == (0.0, 0.0)  # gone
