"""An operator learns from one line why a folder cannot be written: in containers it is mostly another user's."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from visavis.machine.folder_access import advice, reason

DENIED = PermissionError(errno.EACCES, "Permission denied")


def test_a_folder_of_others_is_told_with_its_owner_and_ours(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    status = tmp_path.stat()
    assert reason(tmp_path / "not" / "there", DENIED) == (
        f"Permission denied ({tmp_path} belongs to user {status.st_uid} and group {status.st_gid}, mode 750; "
        f"this process is user {os.geteuid()} of group {os.getegid()})"
    )


def test_what_is_no_matter_of_owners_is_told_as_it_is(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    assert (reason(tmp_path, full), advice(full)) == ("No space left on device", "Set VISAVIS_DATA_DIR")


def test_selinux_is_named_where_it_is_on(tmp_path: Path) -> None:
    enforce = tmp_path / "enforce"
    assert "SELinux" not in advice(DENIED, selinux=enforce)
    enforce.write_text("0")
    assert "SELinux" not in advice(DENIED, selinux=enforce)
    enforce.write_text("1")
    assert advice(DENIED, selinux=enforce).endswith("SELinux is on: a container's volume needs the option :Z")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
def test_a_server_of_another_user_says_so_in_one_line(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    for folder in tmp_path.parents:  # what pytest made is for this user alone
        if folder.stat().st_uid == os.geteuid() and folder.name.startswith(("pytest-", "popen-")):
            folder.chmod(0o755)
    done = subprocess.run([sys.executable, "-c", OWNED, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        f"The data folder {tmp_path} cannot be used: Permission denied ({tmp_path} belongs to user 0 and group "
        f"{tmp_path.stat().st_gid}, mode 755; this process is user 65534 of group 65534)"
    ]


OWNED = """
import os, sys
from pathlib import Path
from visavis.errors import DataFolderUnusable
from visavis.store.ownership import owned
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
try:
    with owned(Path(sys.argv[1]), database=None): pass
except DataFolderUnusable as error:
    print(error.message)
"""
