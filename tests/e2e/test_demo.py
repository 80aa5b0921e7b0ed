"""The unattended demo: a whole session through the public API and its measurement, which also detects faults."""

from __future__ import annotations

import contextlib
import io
import signal
import sys
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

import visavis.demo
from visavis.cli import main
from visavis.demo.findings import find
from visavis.demo.reception import Reception
from visavis.demo.session_run import SIZE_PX, Run
from visavis.errors import DemoFailed
from visavis.rooms.watch import ReceivedPicture


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "demo.mp4"


@pytest.fixture(scope="module")
def table() -> io.StringIO:
    return io.StringIO()


@pytest.fixture(scope="module")
def run(film: Path, table: io.StringIO) -> Run:
    """A complete run of `visavis demo --once`, with a server process and a WebRTC viewer."""
    with contextlib.redirect_stdout(table):
        return visavis.demo.perform_once(film)


def changed(run: Run, **changes: object) -> Run:
    return replace(run, **changes)  # type: ignore[arg-type]


def test_a_session_passes_with_sound_and_lips_in_sync(run: Run) -> None:
    found = find(run)
    assert found.sound_likeness > 0.8 and found.lips_likeness > 0.5 and found.mouth_moved > 3
    assert abs(found.av_offset_s) < 0.04  # what a viewer notices
    assert found.start_to_first_picture_s > 0
    assert found.pictures > 150, "ten a second is the least that a busy machine shows"


def test_a_still_picture_fails_because_the_face_does_not_move(run: Run) -> None:
    first = run.reception.pictures_of_size(*SIZE_PX)[0]
    frozen = [
        ReceivedPicture(media_time_s=picture.media_time_s, arrived_s=picture.arrived_s, frame=first.frame)
        for picture in run.reception.pictures
    ]
    with pytest.raises(DemoFailed, match="did not move"):
        find(changed(run, reception=Reception(pictures=frozen, blocks=run.reception.blocks)))


def test_a_black_picture_fails_because_it_has_no_face(run: Run) -> None:
    black = av.VideoFrame.from_ndarray(np.full((SIZE_PX[1] * 3 // 2, SIZE_PX[0]), 16, np.uint8), format="yuv420p")
    pictures = [
        ReceivedPicture(media_time_s=picture.media_time_s, arrived_s=picture.arrived_s, frame=black)
        for picture in run.reception.pictures
    ]
    with pytest.raises(DemoFailed, match="no face"):
        find(changed(run, reception=Reception(pictures=pictures, blocks=run.reception.blocks)))


def test_silence_fails_because_the_speech_is_missing(run: Run) -> None:
    silent = [replace(block, samples=block.samples * 0) for block in run.reception.blocks]
    with pytest.raises(DemoFailed, match="not heard"):
        find(changed(run, reception=Reception(pictures=run.reception.pictures, blocks=silent)))
    with pytest.raises(DemoFailed, match="No sound"):
        find(changed(run, reception=Reception(pictures=run.reception.pictures, blocks=[])))


def test_lips_that_move_at_other_times_fail(run: Run) -> None:
    late = [replace(picture, media_time_s=picture.media_time_s + 2.0) for picture in run.reception.pictures]
    with pytest.raises(DemoFailed, match="do not follow"):
        find(changed(run, reception=Reception(pictures=late, blocks=run.reception.blocks)))


def test_speech_that_goes_on_after_the_interrupt_fails(run: Run) -> None:
    with pytest.raises(DemoFailed, match="did not flush"):
        find(changed(run, interrupted_s=run.interrupted_s - 2.0))


def test_the_film_contains_the_received_pictures_and_sound(run: Run, film: Path, table: io.StringIO) -> None:
    pictures = run.reception.pictures_of_size(*SIZE_PX)
    with av.open(str(film)) as box:
        video, audio = box.streams.video[0], box.streams.audio[0]
        assert (video.codec.canonical_name, audio.codec.canonical_name) == ("h264", "aac")
        assert (video.width, video.height, video.frames) == (*SIZE_PX, len(pictures))
        assert box.duration is not None and box.duration / av.time_base == pytest.approx(
            pictures[-1].media_time_s - pictures[0].media_time_s, abs=0.5
        )
    assert "A/V offset" in table.getvalue() and str(film) in table.getvalue().replace("\n", "")


def test_a_failed_demo_prints_one_line_and_exits_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fail(out: Path) -> Run:
        raise DemoFailed("No sound reached the viewer")

    monkeypatch.setattr(visavis.demo, "perform_once", fail)
    monkeypatch.setattr(sys, "argv", ["visavis", "demo", "--once", "--out", str(tmp_path / "demo.mp4")])
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    try:
        with pytest.raises(SystemExit) as exit_:
            main()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert exit_.value.code == 1
    assert capsys.readouterr().err == "visavis: No sound reached the viewer [DEMO_FAILED]\n"
