"""The sandbox: one process for an image, within limits, without secrets, and one answer of it."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
from PIL import Image

from tests.processes import PYTHON_PATH
from visavis.engine.errors import EngineError, ImageRefused, Reason, SandboxBusy, SandboxFailed
from visavis.engine.images import sandbox, worker
from visavis.engine.images.image_type import MAX_IMAGE_BYTES
from visavis.engine.images.reservations import SPARE_BYTES, Reservations
from visavis.engine.images.sandbox import Job, memory_limit_bytes, run_job, run_job_async

MEMORY_BYTES = 256 << 20


def png() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


def job(*arguments: str, timeout_s: float = 60.0) -> Job:
    return Job(module="tests.engine.images.jobs", arguments=arguments, timeout_s=timeout_s, memory_bytes=MEMORY_BYTES)


@pytest.fixture(autouse=True)
def _jobs_can_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", PYTHON_PATH)


def test_a_job_gets_the_image_and_gives_bytes_whatever_libraries_print() -> None:
    assert run_job(png(), job("give back")) == png()
    largest = png().ljust(MAX_IMAGE_BYTES, b"\0")
    assert anyio.run(run_job_async, largest, job("give back")) == largest


def test_a_refusal_comes_out_as_it_was_raised() -> None:
    with pytest.raises(ImageRefused) as refused:
        run_job(png(), job("refuse"))
    assert (refused.value.reason, refused.value.message) == (Reason.NO_FACE, "Nobody is here")
    assert refused.value.suggestion == "Come back"


def test_the_process_is_bounded_and_gives_way_to_live_sessions() -> None:
    told = json.loads(run_job(png(), job("tell limits")))
    assert told["RLIMIT_DATA"] == [MEMORY_BYTES] * 2
    assert told["RLIMIT_AS"] == [worker.ADDRESS_SPACE_BYTES] * 2
    assert told["RLIMIT_CPU"] == [worker.CPU_LIMIT_S, worker.CPU_LIMIT_S + 1]
    assert told["RLIMIT_FSIZE"] == [worker.FILE_LIMIT_BYTES] * 2
    assert told["RLIMIT_CORE"] in ([1, 1], [0, 0])  # either stands for none: child_process.py
    assert told["nice"] >= worker.BE_NICE
    assert told["nice at import"] == told["nice"], "its libraries give way, too"
    assert told["oom_score_adj"] == worker.KILLED_FIRST
    assert told["threads_mb"] < 8, "eight threads, without the 8 MB that each would have for its stack"


def test_what_takes_more_than_its_share_fails_alone(tmp_path: Path) -> None:
    with pytest.raises(ImageRefused, match="more memory") as refused:
        run_job(png(), job("take memory", str(MEMORY_BYTES)))
    assert refused.value.reason == Reason.TOO_LARGE
    with pytest.raises(EngineError):
        run_job(png(), job("write much", str(tmp_path / "file")))
    assert (tmp_path / "file").stat().st_size <= worker.FILE_LIMIT_BYTES


def test_a_job_that_takes_too_much_processor_time_took_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImageRefused, match="too long"):
        run_job(png(), job("compute without an end"))
    with pytest.raises(ImageRefused, match="too long"):
        anyio.run(run_job_async, png(), job("compute without an end"))


def png_claiming(side_px: int) -> bytes:
    return png()[:16] + side_px.to_bytes(4, "big") * 2 + png()[24:]


@pytest.mark.parametrize(
    ("side_px", "limit_bytes"),
    [
        (8, MEMORY_BYTES),
        (5000, (200 << 20) + 16 * 5000 * 5000),
        (8944, (200 << 20) + 16 * 8944 * 8944),  # as many pixels as are taken
        (9000, MEMORY_BYTES),  # refused before it is decoded
    ],
)
def test_the_limit_follows_what_the_image_claims(side_px: int, limit_bytes: int) -> None:
    assert memory_limit_bytes(png_claiming(side_px), job("give back")) == limit_bytes
    assert limit_bytes < 1.5 * (1 << 30)


def test_without_memory_for_it_no_process_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    left_bytes = MEMORY_BYTES + SPARE_BYTES - 1
    monkeypatch.setattr(sandbox, "_RESERVATIONS", Reservations(lambda: left_bytes))
    monkeypatch.setattr(sandbox, "_command", lambda job, memory_bytes: pytest.fail("started"))
    with pytest.raises(SandboxBusy):
        run_job(png(), job("give back"))
    with pytest.raises(SandboxBusy):
        anyio.run(run_job_async, png(), job("give back"))


def test_a_second_process_waits_for_the_memory_of_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_RESERVATIONS", Reservations(lambda: 2 * MEMORY_BYTES))
    running = most = 0
    open_process = anyio.open_process

    async def count(*arguments: Any, **options: Any) -> Any:
        nonlocal running, most
        running += 1
        most = max(most, running)
        process = await open_process(*arguments, **options)
        wait = process.wait

        async def wait_and_count() -> int:
            nonlocal running
            status: int = await wait()
            running -= 1
            return status

        monkeypatch.setattr(process, "wait", wait_and_count)
        return process

    monkeypatch.setattr(anyio, "open_process", count)

    async def both() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(run_job_async, png(), job("give back"))

    anyio.run(both)
    assert most == 1


def test_the_process_knows_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISAVIS_SECRET", "hush")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "hush")
    told = set(json.loads(run_job(png(), job("tell environment"))))
    assert {"PATH", "PYTHONPATH", "OMP_NUM_THREADS"} <= told
    assert not told & {"VISAVIS_SECRET", "AWS_ACCESS_KEY_ID"}


def test_the_process_can_use_no_network_library_of_ours() -> None:
    loaded = set(json.loads(run_job(png(), job("tell modules"))))
    assert "visavis.engine.images.worker" in loaded or "__main__" in loaded
    assert not loaded & {"asyncio", "anyio", "fastapi", "httpx", "sqlalchemy", "aiortc", "uvicorn", "structlog"}


@pytest.mark.parametrize("image", [b"", b"<svg/>", b"\x89PNG\r\n\x1a\n" + bytes(MAX_IMAGE_BYTES)])
def test_what_is_no_image_or_too_large_starts_no_process(image: bytes) -> None:
    """The job's module does not exist: a process would fail, and not refuse."""
    with pytest.raises(ImageRefused):
        run_job(image, Job(module="tests.no_such_job", timeout_s=1.0, memory_bytes=MEMORY_BYTES))
    with pytest.raises(ImageRefused):
        anyio.run(run_job_async, image, Job(module="tests.no_such_job", timeout_s=1.0, memory_bytes=MEMORY_BYTES))


def test_a_job_that_cannot_start_is_a_fault_of_ours() -> None:
    with pytest.raises(SandboxFailed, match="no_such_job"):
        run_job(png(), Job(module="tests.no_such_job", timeout_s=60.0, memory_bytes=MEMORY_BYTES))
