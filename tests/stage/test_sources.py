"""The sources of packs and pictures: the content matches the name or is an error, and is fetched once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.certificates import write_certificate
from tests.packs import place_pack
from visavis.engine.pack_ref import PackRef, digest_of, picture_id_of
from visavis.errors import BackgroundRefused, PackUnreadable
from visavis.stage.port.archive import MAX_ARCHIVE_BYTES, pack_archive, unpack_archive
from visavis.stage.sources import FolderPackSource, HttpPackSource

pytestmark = pytest.mark.anyio

JPEG = b"a picture"
PICTURE = picture_id_of(JPEG)


@dataclass
class PackServer:
    """Answers each request for a path with the next of its bodies, and repeats the last one."""

    bodies: dict[str, list[bytes]]
    requests: list[tuple[str, str]] = field(default_factory=list)  # path and Authorization of each

    @asynccontextmanager
    async def serving(self, *, certificate: tuple[Path, Path] | None = None) -> AsyncIterator[str]:
        async def answer(request: Request) -> Response:
            self.requests.append((request.url.path, request.headers.get("authorization", "")))
            bodies = self.bodies.get(request.url.path)
            if bodies is None:
                return Response(status_code=404)
            return Response(bodies.pop(0) if len(bodies) > 1 else bodies[0])

        app = Starlette(routes=[Route("/{path:path}", answer)])
        cert, key = certificate or (None, None)
        config = uvicorn.Config(
            app,
            host="127.0.0.1",
            port=0,
            log_level="warning",
            lifespan="off",
            ssl_certfile=cert,
            ssl_keyfile=None if key is None else str(key),
        )
        server = uvicorn.Server(config)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve)
            while not server.started:  # noqa: ASYNC110
                await anyio.sleep(0.01)  # polls until the server has started
            port = server.servers[0].sockets[0].getsockname()[1]
            try:
                yield f"{'http' if cert is None else 'https'}://127.0.0.1:{port}"
            finally:
                server.should_exit = True


def make_archive(folder: Path, content: bytes = b"a pack") -> tuple[PackRef, bytes, str]:
    """Make a pack; return its reference, its archive and its path on the server."""
    ref = place_pack(folder, content=content)
    return ref, pack_archive(ref.folder_in(folder / "avatars")), f"/internal/packs/avat_test/{ref.version}/{ref.digest}"


async def test_a_pack_is_fetched_once_and_kept_by_its_digest(tmp_path: Path) -> None:
    ref, archive, path = make_archive(tmp_path)
    server = PackServer({path: [archive]})
    async with server.serving() as url:
        for _ in range(2):  # the second source uses the same cache, like a stage after a restart
            source = HttpPackSource(url=url, token="the token", cache=tmp_path / "cache")
            folder = await source.pack(ref)
            assert digest_of(folder) == ref.digest and (folder / "pack.npz").read_bytes() == b"a pack"
    assert server.requests == [(path, "Bearer the token")]


async def test_a_service_shows_a_certificate_of_the_authority_that_the_server_has_named(tmp_path: Path) -> None:
    ref, archive, path = make_archive(tmp_path)
    server = PackServer({path: [archive]})
    cert, key = write_certificate(tmp_path, "127.0.0.1")
    async with server.serving(certificate=(cert, key)) as url:
        with pytest.raises(PackUnreadable):  # this machine does not believe it
            await HttpPackSource(url=url, token="t", cache=tmp_path / "cache").pack(ref)
        assert not server.requests, "nor has it been told the token"
        source = HttpPackSource(url=url, token="t", cache=tmp_path / "cache", authority_pem=cert.read_text())
        assert digest_of(await source.pack(ref)) == ref.digest


async def test_sessions_that_need_the_same_pack_at_once_fetch_it_once(tmp_path: Path) -> None:
    ref, archive, path = make_archive(tmp_path)
    server = PackServer({path: [archive]})
    async with server.serving() as url:
        source = HttpPackSource(url=url, token="t", cache=tmp_path / "cache")
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(source.pack, ref)
    assert len(server.requests) == 1


async def test_a_pack_whose_digest_does_not_match_is_fetched_once_more(tmp_path: Path) -> None:
    ref, archive, path = make_archive(tmp_path)
    _, wrong, _ = make_archive(tmp_path, b"another pack")
    server = PackServer({path: [wrong, archive]})
    async with server.serving() as url:
        folder = await HttpPackSource(url=url, token="t", cache=tmp_path / "cache").pack(ref)
        assert digest_of(folder) == ref.digest
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "bodies",
    [
        [b""],
        [b"garbage"],
        [b"\x81\xa8../x.npz\xc4\x01x"],
        [b"\x81\xa8pack.npz\xc4\x05other"],
        [b"x" * (MAX_ARCHIVE_BYTES + 1)],
        None,
    ],
    ids=["empty", "garbage", "another file", "another pack", "too large", "not there"],
)
async def test_a_pack_that_never_matches_is_unreadable_after_two_attempts(
    tmp_path: Path, bodies: list[bytes] | None
) -> None:
    ref, _, path = make_archive(tmp_path)
    server = PackServer({} if bodies is None else {path: bodies})
    async with server.serving() as url:
        with pytest.raises(PackUnreadable):
            await HttpPackSource(url=url, token="t", cache=tmp_path / "cache").pack(ref)
    assert len(server.requests) == 2
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()], "the cache stays empty"
    assert not (tmp_path / "x.npz").exists()


async def test_a_pack_that_is_damaged_in_the_cache_is_fetched_again(tmp_path: Path) -> None:
    ref, archive, path = make_archive(tmp_path)
    server = PackServer({path: [archive]})
    async with server.serving() as url:
        source = HttpPackSource(url=url, token="t", cache=tmp_path / "cache")
        (await source.pack(ref) / "pack.npz").write_bytes(b"damaged")
        assert digest_of(await source.pack(ref)) == ref.digest
    assert len(server.requests) == 2


async def test_the_cache_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visavis.stage.sources.KEPT_ENTRIES", 4)
    source_dir, cache = tmp_path / "service", tmp_path / "cache"
    source_dir.mkdir()
    made = [make_archive(source_dir, b"pack %d" % n) for n in range(7)]
    server = PackServer({path: [archive] for _, archive, path in made})
    async with server.serving() as url:
        source = HttpPackSource(url=url, token="t", cache=cache)
        for ref, _, _ in made:
            await source.pack(ref)
    kept = {folder.name for folder in (cache / "packs").iterdir()}
    assert len(kept) == 4 and made[-1][0].digest in kept


async def test_a_picture_must_match_its_id(tmp_path: Path) -> None:
    good, bad = f"/internal/pictures/sess_1/{PICTURE}", f"/internal/pictures/sess_2/{PICTURE}"
    server = PackServer({good: [b"something else", JPEG], bad: [b"something else"]})
    async with server.serving() as url:
        with pytest.raises(BackgroundRefused):
            await HttpPackSource(url=url, token="t", cache=tmp_path / "other").picture("sess_2", PICTURE)
        source = HttpPackSource(url=url, token="t", cache=tmp_path / "cache")
        assert (await source.picture("sess_1", PICTURE)).read_bytes() == JPEG
        assert (await source.picture("sess_1", PICTURE)).read_bytes() == JPEG
        with pytest.raises(BackgroundRefused):
            await source.picture("sess_1", "../../secret")
    assert [path for path, _ in server.requests] == [bad, bad, good, good]


async def test_a_pack_is_unreadable_if_the_service_cannot_be_reached(tmp_path: Path) -> None:
    ref, _, _ = make_archive(tmp_path)
    with pytest.raises(PackUnreadable):
        await HttpPackSource(url="http://127.0.0.1:9", token="t", cache=tmp_path / "cache").pack(ref)


async def test_a_folder_source_checks_packs_and_pictures_too(tmp_path: Path) -> None:
    source = FolderPackSource(tmp_path)
    ref = place_pack(tmp_path)
    folder = await source.pack(ref)
    assert folder == ref.folder_in(tmp_path / "avatars")
    for wrong in (replace(ref, digest="0" * 64), replace(ref, version=ref.version + 1)):
        with pytest.raises(PackUnreadable):
            await source.pack(wrong)
    (folder / "pack.npz").write_bytes(b"damaged")
    with pytest.raises(PackUnreadable):
        await source.pack(ref)
    (tmp_path / "sessions" / "sess_1").mkdir(parents=True)
    (tmp_path / "sessions" / "sess_1" / f"{PICTURE}.jpg").write_bytes(JPEG)
    assert (await source.picture("sess_1", PICTURE)).read_bytes() == JPEG
    for session_id, picture_id in (("sess_2", PICTURE), ("sess_1", "../pict")):
        with pytest.raises(BackgroundRefused):
            await source.picture(session_id, picture_id)


async def test_an_archive_contains_only_the_files_of_the_pack(tmp_path: Path) -> None:
    ref = place_pack(tmp_path)
    folder = ref.folder_in(tmp_path / "avatars")
    (folder / "photo.jpg").write_bytes(b"private")
    archive = pack_archive(folder)
    assert b"private" not in archive
    out = tmp_path / "out"
    out.mkdir()
    unpack_archive(archive, out)
    assert [path.name for path in out.iterdir()] == ["pack.npz"] and digest_of(out) == ref.digest
