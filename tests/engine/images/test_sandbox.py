"""The sandbox: one process for an image, within limits, without secrets, and one answer of it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import anyio
import numpy as np
import pytest
from PIL import Image

from visavis.engine.errors import EngineError, ImageRefused, Reason, SandboxFailed
from visavis.engine.images import worker
from visavis.engine.images.image_type import MAX_IMAGE_BYTES
from visavis.engine.images.sandbox import Job, run_job, run_job_async

REPOSITORY = Path(__file__).parents[3]


def png() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


def job(*arguments: str, timeout_s: float = 60.0) -> Job:
    return Job(module="tests.engine.images.jobs", arguments=arguments, timeout_s=timeout_s)


@pytest.fixture(autouse=True)
def _jobs_can_be_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))


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
    assert told["RLIMIT_AS"] == [worker.MEMORY_LIMIT_BYTES] * 2
    assert told["RLIMIT_CPU"] == [worker.CPU_LIMIT_S] * 2
    assert told["RLIMIT_FSIZE"] == [worker.FILE_LIMIT_BYTES] * 2
    assert told["RLIMIT_CORE"] == [0, 0]
    assert told["nice"] >= worker.BE_NICE


def test_what_takes_more_than_its_share_fails_alone(tmp_path: Path) -> None:
    for takes in (job("take memory"), job("write much", str(tmp_path / "file"))):
        with pytest.raises(EngineError):
            run_job(png(), takes)
    assert (tmp_path / "file").stat().st_size <= worker.FILE_LIMIT_BYTES


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
        run_job(image, Job(module="tests.no_such_job", timeout_s=1.0))
    with pytest.raises(ImageRefused):
        anyio.run(run_job_async, image, Job(module="tests.no_such_job", timeout_s=1.0))


def test_a_job_that_cannot_start_is_a_fault_of_ours() -> None:
    with pytest.raises(SandboxFailed, match="no_such_job"):
        run_job(png(), Job(module="tests.no_such_job", timeout_s=60.0))
