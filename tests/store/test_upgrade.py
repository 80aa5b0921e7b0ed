"""A data folder of an earlier build: the server starts with it, and keeps its keys, avatars and sessions.

`tests/data/data-folder-0003.tar.xz` was made by the build of the commit 4520019, before accounts, usage and webhooks: a
key (`key.txt`), an avatar of a photo, a session that has ended and one that was not started.
"""

from __future__ import annotations

import os
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes import FakeFleet, fake_prepare
from visavis.errors import DatabaseUnusable
from visavis.server import RunningServer
from visavis.settings import Settings
from visavis.store.database import Database
from visavis.store.migrations import FOLDER, newest_revision

KEPT = Path(__file__).parents[1] / "data/data-folder-0003.tar.xz"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with tarfile.open(KEPT) as archive:
        archive.extractall(tmp_path / "data", filter="data")
    return tmp_path / "data"


def revision_of(folder: Path) -> str:
    with closing(sqlite3.connect(folder / "visavis.db")) as database:
        found: str = database.execute("SELECT version_num FROM alembic_version").fetchone()[0]
    return found


def copies(folder: Path) -> list[Path]:
    return [one for one in folder.iterdir() if "before" in one.name or one.suffix == ".part"]


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        return list(database.iterdump())


@pytest.mark.anyio
async def test_the_database_is_copied_before_its_migration_and_the_copy_goes_after_its_time(folder: Path) -> None:
    path, url = folder / "visavis.db", f"sqlite+aiosqlite:///{folder / 'visavis.db'}"
    (folder / "visavis.db.before-0002").touch()
    before = dump(path)
    database = await Database.open(url)
    (copy,) = copies(folder)
    assert copy.name == f"visavis.db.before-{newest_revision()}" and copy.stat().st_mode & 0o777 == 0o600
    assert dump(copy) == before != dump(path)
    await database.forget_old_copies()
    assert copies(folder) == [copy]
    os.utime(copy, (0, 0))
    await database.forget_old_copies()
    await database.aclose()
    assert copies(folder) == []
    await (await Database.open(url)).aclose()  # it is up to date now
    assert copies(folder) == []


@pytest.mark.anyio
async def test_a_database_that_cannot_be_copied_is_not_migrated(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(source: Path, target: Path) -> None:
        target.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("visavis.store.kept_copy.copy_database", no_room)
    with pytest.raises(DatabaseUnusable, match="No space left"):
        await Database.open(f"sqlite+aiosqlite:///{folder / 'visavis.db'}")
    assert revision_of(folder) == "0003" and copies(folder) == []


def test_a_data_folder_of_an_earlier_build_keeps_its_keys_avatars_and_sessions(folder: Path) -> None:
    assert revision_of(folder) == "0003"
    key = (folder / "key.txt").read_text().strip()
    photo = next((folder / "avatars").glob("*/portraits/*/photo")).read_bytes()
    with (
        RunningServer(Settings(data_dir=folder), fleet=FakeFleet(), prepare=fake_prepare) as server,
        httpx.Client(base_url=server.base_url, headers={"x-api-key": key}) as http,
    ):

        def get(path: str) -> dict[str, Any]:
            answer = http.get(path)
            assert answer.status_code == 200, answer.text
            shown: dict[str, Any] = answer.json()
            return shown

        ended, created = sorted(get("/v1/sessions")["sessions"], key=lambda one: str(one["created_at"]))
        assert (ended["status"], created["status"]) == ("ended", "created")
        assert ended["metadata"] == {"user": "ann"}
        character = next(one for one in get("/v1/avatars")["avatars"] if not one["is_public"])
        assert character["name"] == "My avatar" and character["looks_count"] == 1
        picture = http.get(character["preview_img_url"])
        assert picture.status_code == 200 and picture.headers["content-type"] == "image/jpeg"
        assert get("/v1/usage")["usage"]["concurrency"]["current"] == 0
        look = ended["avatar"]["avatar_id"]
        begun = http.post("/v1/sessions", json={"avatar_id": look}).json()["session"]["session_id"]
        assert http.post(f"/v1/sessions/{begun}/start").status_code == 200
        assert get(f"/v1/sessions/{begun}")["session"]["status"] == "started"
    assert revision_of(folder) == newest_revision()
    assert next((folder / "avatars" / look / "portraits").glob("*/photo")).read_bytes() == photo


def test_no_two_migrations_have_one_number() -> None:
    """Alembic would run one of them, and say so in a warning."""
    numbers = sorted(path.name.partition("_")[0] for path in (FOLDER / "versions").glob("[0-9]*.py"))
    assert numbers == sorted(set(numbers))
