"""A data folder that a group shares: whoever of the group starts the server goes on with what another has left."""

from __future__ import annotations

import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.conftest import wait_until_ready
from visavis.machine import file_modes

FIRST, SECOND, GROUP = 43210, 43211, 0  # users without an entry in /etc/passwd, as OpenShift has them

only_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="becomes other users: needs root and setpriv"
)


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder of root's, which the group may write: as a volume of a container."""
    folder = Path(tempfile.mkdtemp(prefix="visavis-shared-", dir="/tmp"))  # pytest's own is root's alone
    folder.chmod(0o770)
    yield folder
    shutil.rmtree(folder)


def command(user: int, *words: str) -> list[str]:
    """Return the command line that runs Python as another user of the group, who reaches root's Python, too."""
    become = f"exec setpriv --reuid={user} --regid={GROUP} --clear-groups"
    home, base = Path("/root"), Path(sys.base_prefix)
    if base.is_relative_to(home) and not home.stat().st_mode & stat.S_IXOTH:
        show = f"mount --bind {base} /mnt && mount -t tmpfs -o mode=755 home {home} && mkdir -p {base}"
        become = f"{show} && mount --bind /mnt {base} && {become}"
    return ["unshare", "--mount", "sh", "-c", f'{become} "$@"', "sh", sys.executable, "-m", "visavis", *words]


def environment(folder: Path, mode: str) -> dict[str, str]:
    own = {"VISAVIS_DATA_DIR": str(folder), "VISAVIS_DATA_MODE": mode, "VISAVIS_STAGES": "1", "HOME": "/"}
    # What measures coverage writes into the checkout, where these users may not.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHONPATH", "COVERAGE"))}
    return kept | own


def visavis(*words: str, user: int, folder: Path, mode: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(user, *words),
        env=environment(folder, mode),
        cwd="/",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def serving(user: int, folder: Path) -> Iterator[str]:
    """Run a server as a user; yield its address."""
    with subprocess.Popen(
        command(user, "serve", "--port", "0"),
        env=environment(folder, "group"),
        cwd="/",
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            found = re.match(r"Visavis is at (http://\S+)/", process.stdout.readline())
            assert found is not None
            yield found[1]
        finally:
            process.send_signal(signal.SIGTERM)
    assert process.returncode == 0


@only_root
def test_another_user_of_the_group_goes_on(shared: Path) -> None:
    with serving(FIRST, shared) as address:
        wait_until_ready(address)  # the first user's stages have been here, too
    made = visavis("keys", "create", "--name", "a", user=SECOND, folder=shared, mode="group")
    assert made.returncode == 0, made.stderr
    headers = {"x-api-key": made.stdout.strip()}
    with serving(SECOND, shared) as address:
        wait_until_ready(address)
        avatars = httpx.get(address + "/v1/avatars?view=flat", headers=headers).json()["public_avatars"]
        wanted = {"avatar": avatars[0]["avatar_id"]}
        started = httpx.post(address + "/v1/sessions", json=wanted, headers=headers, timeout=30)
        assert started.json()["session"]["status"] == "started"
    owners = {path.stat().st_uid for path in shared.rglob("*")}
    assert owners == {FIRST, SECOND}
    assert not [path for path in shared.rglob("*") if path.stat().st_mode & stat.S_IRWXO], "nobody else may anything"


@only_root
def test_without_it_the_folder_is_one_users(shared: Path) -> None:
    lock = shared / "server.lock"
    lock.touch(mode=0o600)
    os.chown(lock, FIRST, GROUP)
    other = visavis("serve", user=SECOND, folder=shared, mode="private")
    assert other.returncode == 1 and other.stderr.count("\n") == 1
    assert f"belongs to user {FIRST} and group 0, mode 600; this process is user {SECOND} of group 0" in other.stderr


def test_what_is_there_is_opened_but_for_the_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_modes, "_mode", "private")
    for name in ("avatars", "avatars/look", "stages"):
        (tmp_path / name).mkdir(mode=0o700)
    files = [tmp_path / name for name in ("secret", "avatars/look/pack", "stages/1.json")]
    for file in files:
        file.touch(mode=0o600)
    (tmp_path / "link").symlink_to("/etc/passwd")
    file_modes.share(tmp_path)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600, "in private mode all stays"
    monkeypatch.setattr(file_modes, "_mode", "group")
    file_modes.share(tmp_path, but=frozenset({"stages"}))
    assert [file.stat().st_mode & 0o777 for file in files] == [0o660, 0o660, 0o600]
    assert [(tmp_path / name).stat().st_mode & 0o7777 for name in ("avatars", "stages")] == [0o2770, 0o700]
    assert Path("/etc/passwd").stat().st_mode & 0o777 == 0o644
