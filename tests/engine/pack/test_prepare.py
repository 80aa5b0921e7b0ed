"""A photo becomes a whole avatar pack or nothing, in a process that dies with its work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import anyio
import numpy as np
import pytest
from PIL import Image

from tests.engine.portrait.photos import REFUSED_BEFORE_LOOKING, cat, encoded, portrait
from visavis.engine.errors import EngineError, ImageRefused, Reason, SandboxFailed
from visavis.engine.images import sandbox
from visavis.engine.pack.avatar_pack import AvatarPack
from visavis.engine.pack.prepare import prepare_avatar, prepare_avatar_async
from visavis.engine.portrait.report import IMAGE_NAME, PREVIEW_NAME, REPORT_NAME, read_report


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_photo_becomes_a_whole_pack(tmp_path: Path) -> None:
    report = prepare_avatar(encoded(portrait()), tmp_path / "avatar")
    assert left_behind(tmp_path) == ["avatar"]
    pack = AvatarPack.load(tmp_path / "avatar")
    assert pack.landmarks.shape == (478, 3)
    with Image.open(tmp_path / "avatar" / IMAGE_NAME) as image:
        assert image.size == (report.width_px, report.height_px) and image.width <= 1200
    with Image.open(tmp_path / "avatar" / PREVIEW_NAME) as preview:
        assert preview.size == (500, 500) and np.asarray(preview).std() > 30
    assert read_report((tmp_path / "avatar" / REPORT_NAME).read_text()) == report
    assert (
        report.eye_distance_px > 80
        and abs(report.yaw_deg) < 10
        and report.steps_ms.keys() >= {"decode", "find_face", "matte", "bake"}
    )


def test_a_refusal_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    for photo, reason in (
        (encoded(cat()), Reason.NO_FACE),
        (encoded(portrait(100)), Reason.FACE_TOO_SMALL),
        (encoded(portrait())[:9000], Reason.UNREADABLE),
    ):
        with pytest.raises(ImageRefused) as refused:
            prepare_avatar(photo, tmp_path / "avatar")
        assert refused.value.reason == reason and refused.value.message and refused.value.suggestion
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("name", ["nothing", "svg", "too_many_bytes"])
def test_what_is_no_photo_at_all_starts_no_process(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_command", lambda job, memory_bytes: pytest.fail("started"))
    make, reason = REFUSED_BEFORE_LOOKING[name]
    with pytest.raises(ImageRefused) as refused:
        prepare_avatar(make(), tmp_path / "avatar")
    assert refused.value.reason == reason
    assert left_behind(tmp_path) == []


def test_bombs_are_refused_through_the_worker_too(tmp_path: Path) -> None:
    with pytest.raises(ImageRefused) as refused:
        prepare_avatar(REFUSED_BEFORE_LOOKING["png_bomb"][0](), tmp_path / "avatar")
    assert refused.value.reason == Reason.TOO_LARGE


def test_a_folder_that_holds_something_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "avatar").mkdir()
    (tmp_path / "avatar" / "mine").write_text("kept")
    with pytest.raises(FileExistsError):
        prepare_avatar(encoded(portrait()), tmp_path / "avatar")
    assert left_behind(tmp_path / "avatar") == ["mine"]


def worker_that(does: str) -> object:
    """A worker of another mind, started like the real one; it may use `folder` and `photo`."""
    program = f"import os, sys, signal, time\nfrom pathlib import Path\nfolder = Path(sys.argv[1])\n{does}"
    return lambda job, memory_bytes: [sys.executable, "-c", program, job.arguments[0]]


HANGS = "(folder / 'half').write_text('x'); Path(sys.argv[1] + '.pid').write_text(str(os.getpid())); time.sleep(600)"
FAULTS = [
    pytest.param("os.kill(os.getpid(), signal.SIGKILL)", ImageRefused, id="killed"),
    pytest.param("raise RuntimeError('boom')", SandboxFailed, id="a bug of ours"),
    pytest.param("sys.exit(3)", SandboxFailed, id="a refusal without a reason"),
    pytest.param("print('{}'); sys.exit(3)", SandboxFailed, id="a refusal of nothing"),
    pytest.param("print('not an answer')", SandboxFailed, id="babble"),
    pytest.param("print('[]')", SandboxFailed, id="another answer"),
]


@pytest.mark.parametrize(("does", "error"), FAULTS)
def test_a_worker_that_falls_over_is_an_answer(
    does: str, error: type[EngineError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox, "_command", worker_that(does))
    with pytest.raises(error):
        prepare_avatar(encoded(portrait()), tmp_path / "avatar")
    with pytest.raises(error):
        anyio.run(prepare_avatar_async, encoded(portrait(4000), quality=95), tmp_path / "avatar")
    assert left_behind(tmp_path) == []


def process_is_gone(tmp_path: Path) -> bool:
    (pid_file,) = tmp_path.glob("avatar.pid")
    pid = pid_file.read_text()
    pid_file.unlink()
    return (
        not Path(f"/proc/{pid}").exists()
        if Path("/proc").exists()
        else subprocess.run(["kill", "-0", pid], check=False).returncode != 0
    )


def test_a_worker_that_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_command", worker_that(HANGS))
    with pytest.raises(ImageRefused) as refused:
        prepare_avatar(encoded(portrait()), tmp_path / "avatar", timeout_s=1.5)
    assert refused.value.reason == Reason.UNREADABLE and "too long" in refused.value.message
    assert process_is_gone(tmp_path) and left_behind(tmp_path) == []


def test_a_hanging_worker_is_killed_without_blocking_the_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_command", worker_that(HANGS))
    with pytest.raises(ImageRefused, match="too long"):
        anyio.run(lambda: prepare_avatar_async(encoded(portrait()), tmp_path / "avatar", timeout_s=1.5))
    assert process_is_gone(tmp_path) and left_behind(tmp_path) == []


def test_cancelling_kills_the_worker_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_command", worker_that(HANGS))

    async def cancelled() -> bool:
        with anyio.move_on_after(1.5) as scope:
            await prepare_avatar_async(encoded(portrait()), tmp_path / "avatar")
        return scope.cancelled_caught

    assert anyio.run(cancelled)
    assert process_is_gone(tmp_path) and left_behind(tmp_path) == []


def test_the_loop_goes_on_while_a_photo_is_prepared(tmp_path: Path) -> None:
    async def main() -> int:
        beats = 0

        async def beat() -> None:
            nonlocal beats
            while True:
                await anyio.sleep(0.01)
                beats += 1

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(beat)
            (tmp_path / "avatar").mkdir()  # an empty folder is taken
            await prepare_avatar_async(encoded(portrait()), tmp_path / "avatar")
            tasks.cancel_scope.cancel()
        return beats

    assert anyio.run(main) > 5
    assert AvatarPack.load(tmp_path / "avatar").landmarks.shape == (478, 3)


def test_the_worker_sees_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISAVIS_SECRET", "hush")
    monkeypatch.setattr(sandbox, "_command", worker_that("raise SystemExit('|'.join(os.environ))"))
    with pytest.raises(SandboxFailed) as failed:
        prepare_avatar(encoded(portrait()), tmp_path / "avatar")
    assert "PATH" in failed.value.message and "SECRET" not in failed.value.message


def test_the_worker_loads_no_network_and_no_service() -> None:
    modules = ("images.worker", "images.picture_job", "pack.prepare_job", "pack.bake")
    program = "import sys, " + ", ".join(f"visavis.engine.{name}" for name in modules)
    program += "; print('\\n'.join(sys.modules))"
    loaded = set(
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    )
    ours = {name for name in loaded if name.startswith("visavis.")}
    assert all(name.startswith("visavis.engine") for name in ours), ours
    assert not loaded & {"asyncio", "anyio", "fastapi", "httpx", "sqlalchemy", "aiortc", "uvicorn", "matplotlib", "jax"}
