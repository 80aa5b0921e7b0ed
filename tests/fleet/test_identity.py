"""Who a server is to its stages."""

from __future__ import annotations

import shutil
from pathlib import Path

import structlog.testing

from visavis.fleet.identity import FILE, next_identity


def test_each_start_on_a_folder_is_the_same_server_with_a_higher_epoch(tmp_path: Path) -> None:
    identities = [next_identity(tmp_path) for _ in range(3)]
    assert len({identity.server_id for identity in identities}) == 1
    assert [identity.epoch for identity in identities] == [1, 2, 3]
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_a_copy_of_a_folder_is_another_server(tmp_path: Path) -> None:
    original = next_identity(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "copy")
    assert next_identity(tmp_path / "copy").server_id != original.server_id
    assert next_identity(tmp_path / "one").server_id == original.server_id


def test_a_damaged_file_is_another_server(tmp_path: Path) -> None:
    original = next_identity(tmp_path)
    (tmp_path / FILE).write_text('{"server_id": 1')
    assert next_identity(tmp_path).server_id != original.server_id


def test_a_server_whose_identity_cannot_be_written_starts(tmp_path: Path) -> None:
    original = next_identity(tmp_path)
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).mkdir()  # a file cannot take its place
    with structlog.testing.capture_logs() as logs:
        assert next_identity(tmp_path).server_id != original.server_id
    assert [log["event"] for log in logs] == ["server_identity_not_written"]
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
