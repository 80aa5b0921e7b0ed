"""Looks and pictures in a real S3 server (versitygw, on a folder): shared by two servers, and gone when deleted."""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Service, open_service
from tests.fakes import fake_prepare
from visavis.avatars.look_archive import LookArchive
from visavis.avatars.look_files import IMAGE, PHOTO, LookFiles
from visavis.errors import AvatarNotFound, SettingInvalid, StorageUnusable
from visavis.settings import Settings
from visavis.store import s3
from visavis.store.blobs import Blobs, FolderBlobs
from visavis.store.cached_blobs import CachedBlobs
from visavis.store.object_store import open_object_store

# The first test waits until the gateway is built.
pytestmark = [pytest.mark.anyio, pytest.mark.timeout(900)]

GATEWAY = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
KEY_ID, SECRET_KEY = "visavis", "hush-hush-hush"


def gateway_program() -> Path:
    """Return the S3 server, which is built once for all runs: a minute and a half. Skips where there is no Go."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "visavis-tests"
    program = cache / "versitygw"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            go = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
            if go is None:
                pytest.skip("Go is not installed, which builds the S3 server of these tests")
            subprocess.run([go, "install", GATEWAY], check=True, env=os.environ | {"GOBIN": str(cache)}, timeout=900)
    return program


@dataclass(slots=True)
class Gateway:
    """An S3 server whose objects are files in `folder`."""

    endpoint: str
    folder: Path
    process: subprocess.Popen[bytes]

    def settings(self, data_dir: Path, **others: Any) -> dict[str, Any]:
        return {
            "data_dir": data_dir,
            "s3_url": "s3://visavis/of/tests",
            "s3_endpoint": self.endpoint,
            "s3_access_key_id": KEY_ID,
            "s3_secret_access_key": SECRET_KEY,
        } | others

    def objects(self) -> set[str]:
        top = self.folder / "visavis" / "of" / "tests"
        return {str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    program = gateway_program()
    folder = Path(tempfile.mkdtemp(prefix="visavis-s3-"))
    (folder / "visavis").mkdir()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    arguments = ["--access", KEY_ID, "--secret", SECRET_KEY, "--port", f"127.0.0.1:{port}", "posix", str(folder)]
    process = subprocess.Popen([program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            break
        time.sleep(0.05)  # polls another process; no test asserts how long this takes
    yield Gateway(f"http://127.0.0.1:{port}", folder, process)
    process.kill()
    process.wait()
    shutil.rmtree(folder, ignore_errors=True)


async def open_bucket(gateway: Gateway, folder: Path, prefix: str) -> Blobs:
    url = {"s3_url": f"s3://visavis/of/tests/{prefix}"}
    opened = await open_object_store(Settings(**gateway.settings(folder) | url))
    assert opened is not None
    return opened


@pytest.fixture(params=["folder", "s3", "cached"])
async def blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Blobs:
    """Each implementation of the port."""
    if request.param == "folder":
        return FolderBlobs(tmp_path)
    bucket = await open_bucket(request.getfixturevalue("gateway"), tmp_path, tmp_path.name)
    return bucket if request.param == "s3" else CachedBlobs(shared=bucket, local=FolderBlobs(tmp_path))


async def test_every_store_of_blobs_keeps_the_contract_of_the_port(blobs: Blobs) -> None:
    assert await blobs.get("a/b/c.jpg") is None
    assert await blobs.names("a") == []
    await blobs.put("a/b/c.jpg", b"one")
    assert await blobs.get("a/b/c.jpg") == b"one"
    await blobs.put("a/b/c.jpg", b"two")
    assert await blobs.get("a/b/c.jpg") == b"two"
    await blobs.put("a/b/d.jpg", b"")
    await blobs.put("a/e/f.jpg", bytes(3_000_000))
    assert await blobs.names("a") == ["b", "e"]
    assert await blobs.names("a/b") == ["c.jpg", "d.jpg"]
    assert await blobs.get("a/b/d.jpg") == b""
    assert await blobs.get("a/e/f.jpg") == bytes(3_000_000)
    await blobs.delete("a/b/c.jpg")
    await blobs.delete("a/b/c.jpg")
    assert await blobs.names("a/b") == ["d.jpg"]
    await blobs.delete_all("a")
    await blobs.delete_all("a")
    assert await blobs.names("a") == [] and await blobs.get("a/e/f.jpg") is None
    for name in ("../x", "a/../../x", "/etc/passwd", "a//b", "a\0b", ""):
        with pytest.raises(AssertionError):
            await blobs.put(name, b"")


async def publish(files: LookFiles, look_id: str, photo: bytes) -> None:
    async with files.staging(look_id) as staged:
        await fake_prepare(photo, staged)
        await files.publish(look_id, staged, photo=photo)


async def test_a_look_that_one_server_makes_is_fetched_by_the_other_and_both_forget_it(
    gateway: Gateway, tmp_path: Path
) -> None:
    archive = LookArchive(await open_bucket(gateway, tmp_path, tmp_path.name))
    one, other = (LookFiles(tmp_path / name / "avatars", archive) for name in ("one", "other"))
    await publish(one, "avat_1", b"a photo")
    ref = await other.pack_ref("avat_1")
    assert ref == await one.pack_ref("avat_1")
    assert (other.pack_folder(ref) / "pack.npz").read_bytes() == (one.pack_folder(ref) / "pack.npz").read_bytes()
    assert await other.read("avat_1", PHOTO) == b"a photo"
    assert await other.read("avat_1", IMAGE) == await one.read("avat_1", IMAGE)
    await publish(other, "avat_1", b"another photo")
    await one.pack_ref("avat_1")
    assert await one.source("avat_1") == (b"another photo", None)
    await one.remove("avat_1")
    kept = [name for name in gateway.objects() if name.startswith(tmp_path.name)]
    assert kept == [] and not (tmp_path / "one" / "avatars" / "avat_1").exists()
    with pytest.raises(AvatarNotFound):
        await one.pack_ref("avat_1")


async def test_replaced_files_leave_the_bucket(gateway: Gateway, tmp_path: Path) -> None:
    archive = LookArchive(await open_bucket(gateway, tmp_path, tmp_path.name))
    files = LookFiles(tmp_path / "avatars", archive)
    for number in range(4):
        await publish(files, "avat_1", f"photo {number}".encode())
    folder = f"{tmp_path.name}/avatars/avat_1/portraits/"
    portraits = {name.removeprefix(folder).split("/")[0] for name in gateway.objects() if name.startswith(folder)}
    assert len(portraits) == 2, "the look's, and the one before, which another server may be reading"


async def test_a_damaged_object_is_noticed_by_its_name_and_the_photo_still_comes(
    gateway: Gateway, tmp_path: Path
) -> None:
    bucket = await open_bucket(gateway, tmp_path, tmp_path.name)
    one, other = (LookFiles(tmp_path / name, LookArchive(bucket)) for name in ("one", "other"))
    await publish(one, "avat_1", b"a photo")
    ref = await one.pack_ref("avat_1")
    await bucket.put(f"avatars/avat_1/packs/{ref.digest}/pack.npz", b"damaged")
    assert await other.source("avat_1") == (b"a photo", None)
    assert not (other.pack_folder(ref) / "pack.npz").exists()


async def test_looks_made_before_there_was_a_bucket_come_into_it(gateway: Gateway, tmp_path: Path) -> None:
    await publish(LookFiles(tmp_path / "one"), "avat_1", b"a photo")
    archive = LookArchive(await open_bucket(gateway, tmp_path, tmp_path.name))
    ref = await LookFiles(tmp_path / "one", archive).pack_ref("avat_1")
    other = LookFiles(tmp_path / "other", archive)
    assert await other.pack_ref("avat_1") == ref
    assert await other.read("avat_1", PHOTO) == b"a photo"


async def test_without_the_bucket_what_is_here_works_and_the_rest_is_told(
    gateway: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "RETRIES", 0)
    bucket = await open_bucket(gateway, tmp_path, tmp_path.name)
    files = LookFiles(tmp_path / "one", LookArchive(bucket))
    await publish(files, "avat_1", b"a photo")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        away = Gateway(f"http://127.0.0.1:{nobody.getsockname()[1]}", gateway.folder, gateway.process)
        with pytest.raises(StorageUnusable, match=r"^The object store cannot be used now") as raised:
            await open_bucket(away, tmp_path, tmp_path.name)
    assert "127.0.0.1" not in raised.value.message
    wrong = gateway.settings(tmp_path) | {"s3_secret_access_key": "wrong"}
    with pytest.raises(StorageUnusable):
        await open_object_store(Settings(**wrong))

    async def fail(_name: str) -> bytes | None:
        raise StorageUnusable("The object store cannot be used now")

    monkeypatch.setattr(bucket, "get", fail)
    assert await files.pack_ref("avat_1")
    assert await files.read("avat_1", PHOTO) == b"a photo"
    with pytest.raises(StorageUnusable):
        await files.pack_ref("avat_2")
    with pytest.raises(StorageUnusable):
        await publish(files, "avat_1", b"another photo")
    assert await files.read("avat_1", PHOTO) == b"a photo", "the look has not changed"


def test_an_address_that_is_no_bucket_is_refused() -> None:
    with pytest.raises(ValueError, match="s3_url"):
        Settings(s3_url="https://example.org/bucket")


async def test_a_missing_client_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "obstore.store", None)
    with pytest.raises(SettingInvalid, match="needs a client for S3"):
        await open_object_store(Settings(s3_url="s3://visavis"))


async def start(service: Service, headers: dict[str, str], body: dict[str, Any], other: Service) -> str:
    """Create a session on one server, and start it on the other."""
    made = (await service.client.post("/v1/sessions", json=body, headers=headers)).json()
    session_id: str = made["session"]["session_id"]
    answer = await other.client.put(f"/v1/sessions/{session_id}/start", headers=headers)
    assert answer.status_code == 200, answer.text
    return session_id


async def test_two_servers_share_avatars_and_a_deleted_one_is_gone_from_the_bucket_and_both_folders(
    gateway: Gateway, tmp_path: Path, postgresql_url: str
) -> None:
    shared = {"database_url": postgresql_url, "secret": "s" * 32}
    places = [gateway.settings(tmp_path / name, **shared) for name in ("one", "other")]
    async with open_service(tmp_path, **places[0]) as one, open_service(tmp_path, **places[1]) as other:
        headers = {"x-api-key": one.key}
        session_id = await start(one, headers, {"avatar_id": one.look_id}, other)
        picture = f"/v1/sessions/{session_id}"
        assert (await other.client.get(picture, headers=headers)).json()["session"]["status"] == "started"
        looks = [tmp_path / name / "avatars" / one.look_id for name in ("one", "other")]
        assert [look.exists() for look in looks] == [True, True]
        assert any(one.look_id in name for name in gateway.objects())
        assert (await one.client.delete(f"/v1/avatars/{one.look_id}", headers=headers)).status_code < 300
        for service in (one, other):
            await service.services.avatars.purge(spared=set())
        assert all(look.exists() for look in looks), "a session still uses it"
        assert (await other.client.put(f"{picture}/end", headers=headers)).status_code == 200
        for service in (one, other):
            await service.services.avatars.purge(spared=set())
        assert [look.exists() for look in looks] == [False, False]
        assert not any(one.look_id in name for name in gateway.objects())


if __name__ == "__main__":
    gateway_program()
