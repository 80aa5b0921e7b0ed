"""The files of a look: it changes in one step, whoever reads it or dies meanwhile, and nothing that is needed goes."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import anyio
import pytest
from anyio.to_thread import run_sync

from tests.fakes import fake_prepare
from visavis.avatars.look_files import IMAGE, PHOTO, POINTS, PREVIEW, LookFiles
from visavis.engine.pack.version import FORMAT_VERSION
from visavis.engine.pack_ref import PackRef, digest_of
from visavis.errors import NoFace, NotFound, PackUnreadable

pytestmark = pytest.mark.anyio

LOOK = "avat_1"


async def prepare(files: LookFiles, image: bytes, look_id: str = LOOK) -> PackRef:
    async with files.staging(look_id) as staged:
        await fake_prepare(image, staged)
        return await files.publish(look_id, staged, photo=image)


async def contents(files: LookFiles, look_id: str = LOOK) -> set[bytes]:
    """Return what the look's pack and portrait hold; they are all made of one photo, and hold that photo."""
    pack = files.pack_folder(await files.pack_ref(look_id))
    portrait = {await files.read(look_id, name) for name in (PHOTO, IMAGE, PREVIEW)}
    return {(pack / "pack.npz").read_bytes()} | {content for content in portrait if content is not None}


def names(folder: Path) -> list[str]:
    """Return what lies in the folder, but for the names of portraits, which are drawn by lot."""
    return sorted(re.sub("portraits/[0-9a-f]+", "portraits/…", str(p.relative_to(folder))) for p in folder.rglob("*"))


async def test_a_look_is_read_as_it_was_prepared(tmp_path: Path) -> None:
    files = LookFiles(tmp_path)
    ref = await prepare(files, b"a face")
    pack = files.pack_folder(ref)
    assert await files.pack_ref(LOOK) == ref == PackRef(avatar_id=LOOK, version=FORMAT_VERSION, digest=digest_of(pack))
    assert os.listdir(pack) == ["pack.npz"]  # what a stage gets holds no photo
    assert await contents(files) == {b"a face"}
    assert await files.read(LOOK, POINTS) is None
    assert await files.source(LOOK) == (b"a face", None)


async def test_what_is_not_there_is_told_apart_from_what_must_be_made_again(tmp_path: Path) -> None:
    files = LookFiles(tmp_path)
    with pytest.raises(NotFound):
        await files.pack_ref(LOOK)
    pack = files.pack_folder(await prepare(files, b"a face"))
    (pack / "pack.npz").unlink()
    with pytest.raises(PackUnreadable):
        await files.pack_ref(LOOK)
    assert await files.source(LOOK) == (b"a face", None)


async def test_a_pack_of_another_format_must_be_made_again(tmp_path: Path) -> None:
    files = LookFiles(tmp_path)
    await prepare(files, b"a face")
    current = tmp_path / LOOK / "current.json"
    current.write_text(json.dumps(json.loads(current.read_text()) | {"version": FORMAT_VERSION - 1}))
    with pytest.raises(PackUnreadable, match=f"format {FORMAT_VERSION - 1}"):
        await files.pack_ref(LOOK)


@pytest.mark.parametrize(
    "spoilt", [b"", b"{", b"[]", b"{}", b'{"version": 3, "digest": "../..", "portrait": "x"}', None]
)
async def test_without_its_pointer_a_look_can_still_be_made_again(tmp_path: Path, spoilt: bytes | None) -> None:
    files = LookFiles(tmp_path)
    await prepare(files, b"a face")
    current = tmp_path / LOOK / "current.json"
    current.unlink() if spoilt is None else current.write_bytes(spoilt)
    with pytest.raises(PackUnreadable):
        await files.pack_ref(LOOK)
    for _ in range(2):
        await files.sweep(spared=set())
    assert await files.source(LOOK) == (b"a face", None)
    await prepare(files, b"a face")
    assert await contents(files) == {b"a face"}


async def test_a_folder_of_an_older_version_can_be_made_again_and_is_then_tidied(tmp_path: Path) -> None:
    look = tmp_path / LOOK
    (look / "pack").mkdir(parents=True)
    for name in ("pack/pack.npz", "photo", "points.json", "image.jpg"):
        (look / name).write_bytes(name.encode())
    files = LookFiles(tmp_path)
    with pytest.raises(PackUnreadable):
        await files.pack_ref(LOOK)
    assert await files.source(LOOK) == (b"photo", b"points.json")
    assert await files.read(LOOK, IMAGE) == b"image.jpg"
    await prepare(files, b"a face")
    assert await files.source(LOOK) == (b"a face", None)
    for _ in range(2):
        await files.sweep(spared=set())
    assert sorted(os.listdir(look)) == ["current.json", "packs", "portraits"]


async def test_whoever_holds_the_old_pack_reads_it_until_the_second_sweep(tmp_path: Path) -> None:
    files = LookFiles(tmp_path)
    old = files.pack_folder(await prepare(files, b"before"))
    await files.sweep(spared=set())
    with (old / "pack.npz").open("rb") as held:
        new = files.pack_folder(await prepare(files, b"after"))
        assert new != old and await contents(files) == {b"after"}
        await files.sweep(spared=set())
        assert (old / "pack.npz").read_bytes() == b"before"  # a session that is starting was told of it
        for _ in range(3):
            await files.sweep(spared={LOOK})
        assert (old / "pack.npz").read_bytes() == b"before"  # its avatar is being prepared for a session
        await files.sweep(spared=set())
        assert not old.exists() and await contents(files) == {b"after"}
        assert held.read() == b"before"
    assert len(os.listdir(tmp_path / LOOK / "portraits")) == 1


async def test_a_damaged_pack_of_the_same_content_is_put_right_where_it_is(tmp_path: Path) -> None:
    files = LookFiles(tmp_path)
    ref = await prepare(files, b"a face")
    pack = files.pack_folder(ref)
    (pack / "pack.npz").write_bytes(b"a f")
    (pack / "teeth.png").write_bytes(b"not of this pack")
    assert await prepare(files, b"a face") == ref
    assert digest_of(pack) == ref.digest and await contents(files) == {b"a face"}


async def test_two_preparations_of_one_look_leave_one_of_them_whole(tmp_path: Path) -> None:
    files = LookFiles(tmp_path)
    photos = [b"photo %d" % n for n in range(8)]
    async with anyio.create_task_group() as tasks:
        for photo in photos:
            tasks.start_soon(prepare, files, photo)
    (kept,) = await contents(files)
    assert kept in photos
    for _ in range(2):
        await files.sweep(spared=set())
    assert await contents(files) == {kept}
    assert [len(os.listdir(tmp_path / LOOK / kind)) for kind in ("packs", "portraits")] == [1, 1]


async def test_readers_meet_whole_looks_while_they_are_replaced(tmp_path: Path) -> None:
    files = LookFiles(tmp_path)
    await prepare(files, b"0")
    over = False

    async def read() -> None:
        while not over:
            ref = await files.pack_ref(LOOK)
            assert digest_of(files.pack_folder(ref)) == ref.digest
            assert await files.source(LOOK) is not None and await files.read(LOOK, PREVIEW) is not None

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(read)
        for n in range(1, 40):
            await prepare(files, b"%d" % n)
        over = True
    assert await contents(files) == {b"39"}


async def test_a_refused_photo_leaves_nothing_of_a_new_look_and_a_known_one_as_it_was(tmp_path: Path) -> None:
    files = LookFiles(tmp_path)

    async def refuse(look_id: str) -> None:
        async with files.staging(look_id) as staged:
            (staged / "half").write_bytes(b"x")
            raise NoFace("No face")

    with pytest.raises(NoFace):
        await refuse(LOOK)
    assert os.listdir(tmp_path) == []
    await prepare(files, b"a face")
    before = names(tmp_path)
    with pytest.raises(NoFace):
        await refuse(LOOK)
    assert names(tmp_path) == before


async def test_a_preparation_that_is_being_written_is_not_swept_and_one_of_a_dead_server_is(tmp_path: Path) -> None:
    dead = tmp_path / LOOK / ".staged-0123456789abcdef"
    dead.mkdir(parents=True)
    (dead / "picture.jpg").write_bytes(b"half")
    files = LookFiles(tmp_path)
    async with files.staging(LOOK) as staged:
        for _ in range(3):
            await files.sweep(spared=set())
        assert staged.exists() and not dead.exists()


async def test_a_pack_that_comes_back_and_goes_again_has_its_grace_again(tmp_path: Path) -> None:
    files = LookFiles(tmp_path)
    first = files.pack_folder(await prepare(files, b"one"))
    await files.sweep(spared=set())
    for photo in (b"other", b"one", b"other"):
        await prepare(files, photo)
        if photo == b"other":
            await files.sweep(spared=set())
            assert first.exists()
    await files.sweep(spared=set())
    assert not first.exists()


async def test_a_photo_and_its_points_are_replaced_together(tmp_path: Path) -> None:
    files = LookFiles(tmp_path)
    for photo, points in ((b"one", '{"chin": [0.5, 0.9]}'), (b"other", None)):
        async with files.staging(LOOK) as staged:
            await fake_prepare(photo, staged)
            await files.publish(LOOK, staged, photo=photo, points=points)
        assert await files.source(LOOK) == (photo, None if points is None else points.encode())


async def test_a_removed_look_is_not_there(tmp_path: Path) -> None:
    files = LookFiles(tmp_path)
    await prepare(files, b"a face")
    for _ in range(2):
        await files.remove(LOOK)
    assert os.listdir(tmp_path) == []
    with pytest.raises(NotFound):
        await files.pack_ref(LOOK)


DYING = """
import os, sys, anyio
from pathlib import Path
from tests.avatars.test_look_files import LOOK, LookFiles, prepare

def die_at(last):
    count = 0
    def dying(step):
        def do(*arguments, **named):
            nonlocal count
            count += 1
            if count == last:
                os._exit(9)
            return step(*arguments, **named)
        return do
    for name in ("mkdir", "rename", "replace", "unlink", "fsync", "rmdir"):
        setattr(os, name, dying(getattr(os, name)))

async def replace(files, step):
    pack = files.pack_folder(await prepare(files, b"before"))
    if sys.argv[2] == "before":
        (pack / "pack.npz").write_bytes(b"bef")
    die_at(step)
    await prepare(files, sys.argv[2].encode())

step = status = 9
for step in range(1, 100):
    child = os.fork()
    if child == 0:
        anyio.run(replace, LookFiles(Path(sys.argv[1]) / str(step)), step)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status != 9:
        break
sys.exit(status)
"""


@pytest.mark.parametrize("photo", [b"after", b"before"], ids=["another pack", "the same pack, damaged"])
async def test_a_server_killed_between_two_steps_leaves_the_old_or_the_new_whole(tmp_path: Path, photo: bytes) -> None:
    """The process that replaces a look is gone before its first change of the folder, before its second, and so on."""
    command = [sys.executable, "-c", DYING, str(tmp_path), photo.decode()]
    done = await anyio.run_process(command, check=False)
    assert done.returncode == 0, done.stderr.decode()
    folders = [tmp_path / str(step + 1) for step in range(len(os.listdir(tmp_path)))]
    assert len(folders) > 10
    old = b"bef" if photo == b"before" else b"before"  # what the pack held; the portrait held the photo itself
    found: list[bytes] = []
    left: list[list[str]] = []
    for folder in folders:
        files = LookFiles(folder)
        ref = await files.pack_ref(LOOK)
        pack = files.pack_folder(ref) / "pack.npz"
        found.append(await run_sync(pack.read_bytes))
        assert await files.source(LOOK) == ((b"before" if found[-1] == old else photo), None)
        assert found[-1] == b"bef" or digest_of(pack.parent) == ref.digest
        await prepare(files, photo)  # what was left half-made stands in nobody's way
        assert await contents(files) == {photo}
        for _ in range(2):
            await files.sweep(spared=set())
        left.append(names(folder))
    changed = found.index(photo)
    assert found == [old] * changed + [photo] * (len(found) - changed) and 0 < changed < len(found) - 1
    assert all(files == left[0] for files in left) and len(left[0]) == 10  # nothing of the old look, or half-made
