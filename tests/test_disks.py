"""Full and read-only disks, foreign and missing databases: every command says so in one line, and leaves no part of a
file.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import av
import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.certificates import write_certificate
from tests.disks import WITHIN_S, Disks, why_unavailable
from tests.faults.scale import some
from visavis.demo.server_process import ServerProcess
from visavis.errors import FileUnusable
from visavis.film import FilmWriter
from visavis.library import DEFAULT_PORTRAIT, GREETING

UNAVAILABLE = why_unavailable()
needs_disks = pytest.mark.skipif(UNAVAILABLE is not None, reason=str(UNAVAILABLE))
CHECKOUT = Path(__file__).resolve().parents[1]
ABSENT = "avat_01ARZ3NDEKTSV4RRFFQ69G5FAV"
FULL, READ_ONLY = "No space left on device", "Read-only file system"


@pytest.fixture
def disks(tmp_path: Path) -> Disks:
    return Disks(tmp_path)


@needs_disks
@pytest.mark.parametrize(
    ("command", "disk"),
    some(
        [
            (f"motion --speech {GREETING} --out DISK/motion.jsonl", "full"),
            (f"motion --speech {GREETING} --out DISK/motion.csv", "read_only"),
            (f"render --avatar iris --speech {GREETING} --size 64x64 --fps 5 --out DISK/film.mp4", "full"),
            (f"render --avatar iris --speech {GREETING} --out DISK/film.mp4", "read_only"),
            ("inspect iris --only lids --size 128x128 --out DISK/sheet.png", "full"),
            ("inspect iris --only lids --size 128x128 --out DISK/sheet.jpg", "read_only"),
        ],
        3,
    ),
)
def test_a_file_that_cannot_be_written_is_one_line_and_leaves_nothing(command: str, disk: str, disks: Disks) -> None:
    folder = getattr(disks, disk)
    done = disks.run(f"$VISAVIS {command}".replace("DISK", str(folder)))
    assert done.status == 1 and done.left == set()
    assert done.line.startswith(f"visavis: {folder}/") and done.line.endswith("[FILE_UNUSABLE]")
    assert (FULL if disk == "full" else "its folder is read-only") in done.line


@needs_disks
@pytest.mark.parametrize(
    "command",
    [
        "watch --whep http://127.0.0.1:9/rooms/x/whep --seconds 1 --out DISK/seen.mp4",
        "demo --once --out DISK/demo.mp4",
    ],
)
def test_a_film_on_a_read_only_disk_is_refused_before_the_work(command: str, disks: Disks) -> None:
    done = disks.run(f"$VISAVIS {command}".replace("DISK", str(disks.read_only)))
    assert (done.status, done.output) == (1, "") and "cannot be written" in done.line


@needs_disks
def test_the_playground_needs_no_film_and_so_no_folder_for_it(disks: Disks) -> None:
    done = disks.run(f"cd {disks.read_only} && $VISAVIS demo --port 0", VISAVIS_DATA_DIR=str(disks.read_only / "data"))
    assert done.status == 1 and "demo.mp4" not in done.errors
    assert "[DATA_FOLDER_UNUSABLE]" in done.errors and "[SERVER_FAILED]" in done.errors


@needs_disks
@pytest.mark.parametrize(
    ("command", "disk", "code"),
    some(
        [
            ("serve --port 0", "full", "DATA_FOLDER_UNUSABLE"),
            ("serve --port 0", "read_only", "DATA_FOLDER_UNUSABLE"),
            ("keys create --name one", "full", "DATABASE_UNUSABLE"),
            ("keys create --name one", "read_only", "DATABASE_UNUSABLE"),
            ("keys revoke key_1", "read_only", "DATABASE_UNUSABLE"),
            (f"render --avatar {ABSENT} --speech {GREETING} --out film.mp4", "full", "AVATAR_NOT_FOUND"),
            (f"inspect {ABSENT} --out sheet.png", "read_only", "AVATAR_NOT_FOUND"),
        ],
        4,
    ),
)
def test_a_data_folder_that_cannot_be_written_is_one_line(command: str, code: str, disk: str, disks: Disks) -> None:
    folder = disks.full / "new" if disk == "full" else disks.read_only / "data"
    done = disks.run(f"$VISAVIS {command}", VISAVIS_DATA_DIR=str(folder))
    assert (done.status, done.output) == (1, "")
    assert f" [{code}]" in done.line
    if code != "AVATAR_NOT_FOUND":
        assert str(folder) in done.line


@needs_disks
def test_a_stage_whose_cache_cannot_be_written_does_not_start(disks: Disks) -> None:
    certificate, key = write_certificate(disks.folder, "127.0.0.1")
    (disks.folder / "token").write_text("0123456789abcdef")
    done = disks.run(
        f"$VISAVIS stage --listen wss://127.0.0.1:0 --token-file token --tls-cert {certificate} --tls-key {key} "
        f"--cache {disks.full}/cache"
    )
    assert (done.status, done.output) == (1, "") and "[FILE_UNUSABLE]" in done.line
    assert done.left <= {"cache"}


@needs_disks
@pytest.mark.parametrize(
    "command",
    some(
        [
            f"photo {DEFAULT_PORTRAIT.path}",
            f"render --avatar {DEFAULT_PORTRAIT.path} --speech {GREETING} --out {{0}}/film.mp4",
            "bench pipeline",
            "bench density --first 1 --most 1",
            "demo --once --out {0}/demo.mp4",
        ],
        2,
    ),
)
def test_no_room_for_temporary_files_is_one_line(command: str, disks: Disks) -> None:
    """Every folder that could take them is the full disk."""
    mounts = "cd full && mount --bind . /var/tmp && mount --bind /var/tmp /tmp && cd /tmp"
    kept: set[str] = set()
    if CHECKOUT.is_relative_to("/tmp"):  # it must stay where it is
        below = CHECKOUT.relative_to("/tmp")
        kept = {below.parts[0]}
        mounts = f"mount --bind {CHECKOUT} /mnt && mkdir -p full/{below} && {mounts} && mount --bind /mnt {CHECKOUT}"
    done = disks.run(f"unshare --mount bash -c '{mounts} && $VISAVIS {command.format('/dev/shm')}'")
    assert done.status == 1 and done.left == kept
    assert done.line.startswith("visavis: No usable temporary directory") and done.line.endswith("[FILE_UNUSABLE]")


@pytest.mark.parametrize(
    ("command", "unbuffered"),
    some(
        [
            ("keys list", "1"),
            ("keys create --name one", ""),
            ("keys create --name one", "1"),
            (f"motion --speech {GREETING} --out {{0}}/motion.csv", ""),
        ],
        2,
    ),
)
def test_output_that_cannot_be_written_is_one_line(command: str, unbuffered: str, tmp_path: Path) -> None:
    environment = os.environ | {"VISAVIS_DATA_DIR": str(tmp_path / "data"), "PYTHONUNBUFFERED": unbuffered}
    visavis = [sys.executable, "-m", "visavis"]
    subprocess.run([*visavis, "keys", "create", "--name", "known"], env=environment, check=True, capture_output=True)
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*visavis, *command.format(tmp_path).split()],
            env=environment,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, f"visavis: The output cannot be written: {FULL} [FILE_UNUSABLE]\n")
    listed = subprocess.run([*visavis, "keys", "list"], env=environment, check=True, capture_output=True, text=True)
    states = [re.sub(r".*  (active|revoked)\b.*", r"\1", line) for line in listed.stdout.splitlines()[1:]]
    assert states == ["active", *["revoked"] * ("create" in command)]


def foreign_text(path: Path) -> None:
    path.write_text("by no means a database, but a text that somebody keeps here\n" * 40)


def foreign_tables(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE songs (title TEXT)")
        database.execute("INSERT INTO songs VALUES ('one')")


def newer_schema(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
        database.execute("INSERT INTO alembic_version VALUES ('9999')")


FOREIGN: dict[Callable[[Path], None], str] = {
    foreign_text: "cannot be used: file is not a database",
    foreign_tables: "belongs to another program: it has the table songs",
    newer_schema: "has the schema 9999, which this version of Visavis does not know",
    Path.mkdir: "cannot be used: unable to open database file",
}
LIST = "keys list"
COMMANDS = (
    "serve --port 0",
    "keys create --name one",
    "keys revoke key_1",
    f"inspect {ABSENT} --out sheet.png",
    f"render --avatar {ABSENT} --speech {GREETING} --out film.mp4",
)


@pytest.mark.parametrize(
    ("prepare", "command"),
    [
        *[(prepare, "serve --port 0" if prepare is newer_schema else LIST) for prepare in FOREIGN],
        *[(foreign_tables, command) for command in some(COMMANDS, 2)],
    ],
)
def test_a_foreign_database_is_one_line_and_stays_as_it_is(
    prepare: Callable[[Path], None], command: str, tmp_path: Path
) -> None:
    database = tmp_path / "visavis.db"
    prepare(database)
    before = database.read_bytes() if database.is_file() else None
    done = subprocess.run(
        [sys.executable, "-m", "visavis", *command.split()],
        env=os.environ | {"VISAVIS_DATA_DIR": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith(f"visavis: The database {database} {FOREIGN[prepare]} [DATABASE_UNUSABLE]")
    assert ("A newer version has used it" in done.stderr) == (prepare is newer_schema)
    if before is not None:
        assert database.read_bytes() == before
    assert not list(tmp_path.glob("film*")) + list(tmp_path.glob("sheet*"))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"VISAVIS_DATA_DIR": "nowhere"}, "There is no database at "),
        (
            {"VISAVIS_DATABASE_URL": "nonsense"},
            "VISAVIS_DATABASE_URL is not the address of a database [SETTING_INVALID]",
        ),
        ({"VISAVIS_DATABASE_URL": "nodriver://host/x"}, "VISAVIS_DATABASE_URL is not the address of a database"),
        ({"VISAVIS_DATABASE_URL": "postgresql+asyncpg://u:secret@127.0.0.1:1/x"}, "Connection refused"),
    ],
)
def test_a_database_that_is_not_there_is_one_line_and_is_not_made(
    settings: dict[str, str], said: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "visavis", "keys", "list"],
        env=os.environ | {"VISAVIS_DATA_DIR": str(tmp_path / "data")} | settings,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1 and said in done.stderr and "secret" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def until_refused(request: Callable[[], httpx.Response]) -> httpx.Response:
    """Repeat a request until it is refused: the database may have a little space in its own files."""
    return next(answer for answer in (request() for _ in range(200)) if not answer.is_success)


@needs_disks
def test_a_server_whose_disk_fills_goes_on_and_says_why_it_stores_nothing(tmp_path: Path) -> None:
    data, log = tmp_path / "data", tmp_path / "log"
    data.mkdir()
    mount = f'mount -t tmpfs -o size=24m tmpfs {data}; exec "$@"'
    prefix = ["unshare", "--mount", "bash", "-c", mount, "bash"]
    settings = {"VISAVIS_STAGES": "1", "VISAVIS_MIN_FREE_DISK_MB": "0"}
    with ServerProcess(data_dir=data, log=log, settings=settings, prefix=prefix) as server:
        server.wait_ready()
        disk = Path(f"/proc/{server.pid}/root{data}")
        inside = ["nsenter", "--target", str(server.pid), "--mount", sys.executable, "-m", "visavis"]
        made = subprocess.run(
            [*inside, "keys", "create", "--name", "tests"],
            env=os.environ | {"VISAVIS_DATA_DIR": str(data)},
            capture_output=True,
            text=True,
            check=True,
        )
        headers = {"x-api-key": made.stdout.strip()}
        with httpx.Client(base_url=server.base_url, headers=headers, timeout=WITHIN_S) as client:
            listed = client.get("/v1/avatars?view=flat")
            assert listed.is_success, listed.text
            look = listed.json()["public_avatars"][0]["avatar_id"]
            started = client.post("/v1/sessions", json={"avatar": look}).json()["session"]
            with (disk / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError, match=FULL):
                while True:
                    filler.write(bytes(4096))
            photo = {"file": ("photo.jpg", DEFAULT_PORTRAIT.path.read_bytes(), "image/jpeg")}
            for request in (
                lambda: client.post("/v1/sessions", json={"avatar_id": look}),
                lambda: client.post("/v1/avatars/upload-face", files=photo),
            ):
                answer = until_refused(request)
                assert (answer.status_code, answer.json()["error"]["code"]) == (503, "STORAGE_UNUSABLE"), answer.text
                assert answer.headers["retry-after"] == "10"
            assert client.get("/v1/avatars").is_success and client.get("/healthz").is_success
            left = {path.name for look in (disk / "avatars").iterdir() for path in look.iterdir()}
            assert left == {"current.json", "packs", "portraits"}, "no part of an avatar is left"
            assert client.post(f"/v1/sessions/{started['session_id']}/end").is_success, "the row is written later"
            (disk / "filler").unlink()
            assert client.post("/v1/sessions", json={"avatar_id": look}).status_code == 201
    said = log.read_text()
    assert "Traceback" not in said and "STORAGE_UNUSABLE" in said


def noise(n: int) -> NDArray[np.uint8]:
    return np.random.default_rng(n).integers(0, 255, (96, 64)).astype(np.uint8)


def write_film(path: Path) -> None:
    with FilmWriter(path, width_px=64, height_px=64, ticks_hz=25) as film:
        film.write_sound((8000 * np.sin(np.arange(24_000) / 7)).astype(np.int16), 48_000)
        for n in range(12):
            film.write_picture(noise(n), at=n)


def test_a_film_is_whole_or_not_there_wherever_the_disk_ends(tmp_path: Path) -> None:
    """Every size that a file may have ends the film at another point of its writing."""
    write_film(tmp_path / "whole.mp4")
    size = (tmp_path / "whole.mp4").stat().st_size
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        for limit in [0, 40, 1_000, *range(4_000, size, 6_000), size - 1_000, size - 1]:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
            with pytest.raises(FileUnusable, match="cannot be written: File too large"):
                write_film(tmp_path / "film.mp4")
            assert [path.name for path in tmp_path.iterdir()] == ["whole.mp4"], limit
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 * size, before[1]))
        write_film(tmp_path / "film.mp4")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    with av.open(str(tmp_path / "film.mp4")) as film:
        assert sum(1 for _ in film.decode(video=0)) == 12
