"""The unattended demo: a whole session by the public API, judged; and a judge that can say no."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from tests.e2e.conftest import LiveServer
from visavis.demo.findings import DemoFailed, find
from visavis.demo.reception import Reception, write_film
from visavis.demo.session_run import SIZE_PX, Run, perform
from visavis.library import SAMPLE
from visavis.rooms.watch import SeenPicture

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def run(server: LiveServer, anyio_backend: str) -> Run:
    return await perform(server.base_url, server.key, SAMPLE)


def doctored(run: Run, **changes: object) -> Run:
    return replace(run, **changes)  # type: ignore[arg-type]


async def test_a_session_is_seen_and_heard_in_time(run: Run) -> None:
    found = find(run)
    assert found.sound_likeness > 0.8 and found.lips_likeness > 0.5 and found.mouth_moved > 3
    assert abs(found.av_offset_s) < 0.04  # what a viewer notices
    assert found.start_to_first_picture_s > 0 and found.pictures > 300


async def test_a_still_picture_is_no_face_that_moves(run: Run) -> None:
    first = run.reception.pictures_of_size(*SIZE_PX)[0]
    frozen = [SeenPicture(media_time_s=seen.media_time_s, arrived_s=seen.arrived_s, frame=first.frame) for seen in run.reception.pictures]
    with pytest.raises(DemoFailed, match="did not move"):
        find(doctored(run, reception=Reception(pictures=frozen, blocks=run.reception.blocks)))


async def test_a_black_picture_is_no_face(run: Run) -> None:
    black = av.VideoFrame.from_ndarray(np.full((SIZE_PX[1] * 3 // 2, SIZE_PX[0]), 16, np.uint8), format="yuv420p")
    pictures = [SeenPicture(media_time_s=seen.media_time_s, arrived_s=seen.arrived_s, frame=black) for seen in run.reception.pictures]
    with pytest.raises(DemoFailed, match="no face"):
        find(doctored(run, reception=Reception(pictures=pictures, blocks=run.reception.blocks)))


async def test_silence_is_no_speech(run: Run) -> None:
    silent = [replace(block, samples=block.samples * 0) for block in run.reception.blocks]
    with pytest.raises(DemoFailed, match="not heard"):
        find(doctored(run, reception=Reception(pictures=run.reception.pictures, blocks=silent)))
    with pytest.raises(DemoFailed, match="No sound"):
        find(doctored(run, reception=Reception(pictures=run.reception.pictures, blocks=[])))


async def test_lips_that_move_at_other_times_do_not_follow_the_speech(run: Run) -> None:
    late = [replace(seen, media_time_s=seen.media_time_s + 2.0) for seen in run.reception.pictures]
    with pytest.raises(DemoFailed, match="do not follow"):
        find(doctored(run, reception=Reception(pictures=late, blocks=run.reception.blocks)))


async def test_speech_that_goes_on_is_not_flushed(run: Run) -> None:
    with pytest.raises(DemoFailed, match="did not flush"):
        find(doctored(run, interrupted_s=run.interrupted_s - 2.0))


async def test_the_film_holds_what_was_received(run: Run, tmp_path: Path) -> None:
    sound = run.reception.sound()
    assert sound is not None
    pictures = run.reception.pictures_of_size(*SIZE_PX)
    write_film(tmp_path / "seen.mp4", pictures, sound)
    with av.open(str(tmp_path / "seen.mp4")) as film:
        video, audio = film.streams.video[0], film.streams.audio[0]
        assert (video.codec.canonical_name, audio.codec.canonical_name) == ("h264", "aac")
        assert (video.width, video.height, video.frames) == (*SIZE_PX, len(pictures))
        assert film.duration / av.time_base == pytest.approx(pictures[-1].media_time_s - pictures[0].media_time_s, abs=0.5)


def test_the_demo_runs_unattended(tmp_path: Path) -> None:
    out = tmp_path / "demo.mp4"
    command = [sys.executable, "-m", "visavis.cli", "demo", "--once", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    assert "A/V offset" in done.stdout and "first picture" in done.stdout
    assert out.stat().st_size > 100_000
