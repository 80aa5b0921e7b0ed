"""The file that tells when each session was last seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from visavis.store.last_seen import FILE, SLOT_BYTES, LastSeen, Seen


def test_what_was_written_last_is_read_by_the_next_server(tmp_path: Path) -> None:
    file = LastSeen(tmp_path)
    for at_ms in range(5):
        file.write({"a": Seen(seen_at_ms=at_ms), "b": Seen(seen_at_ms=7, first_frame_at_ms=1, last_frame_at_ms=at_ms)})
    after = LastSeen(tmp_path)
    assert after.read() == {
        "a": Seen(seen_at_ms=4),
        "b": Seen(seen_at_ms=7, first_frame_at_ms=1, last_frame_at_ms=4),
    }
    ended = {"c": Seen(seen_at_ms=9, end_reason="ended_by_client")}
    after.write(ended)
    assert LastSeen(tmp_path).read() == ended


@pytest.mark.parametrize("cut_bytes", [0, 4, 10, 16, 30])
def test_a_server_that_died_while_it_wrote_leaves_what_it_had_written_before(tmp_path: Path, cut_bytes: int) -> None:
    file = LastSeen(tmp_path)
    file.write({"a": Seen(seen_at_ms=1)})  # generation 1, in the second slot
    file.write({"a": Seen(seen_at_ms=2)})
    file.write({"a": Seen(seen_at_ms=3)})
    path = tmp_path / FILE
    data = bytearray(path.read_bytes())
    data[SLOT_BYTES + cut_bytes : SLOT_BYTES + 64] = bytes(64 - cut_bytes)
    path.write_bytes(data)
    assert LastSeen(tmp_path).read() == {"a": Seen(seen_at_ms=2)}


def test_the_file_never_grows_however_many_sessions_there_are(tmp_path: Path) -> None:
    file = LastSeen(tmp_path)
    for count in (1, 100, 20_000):
        file.write({f"sess_{number:026}": Seen(seen_at_ms=1_764_340_000_000) for number in range(count)})
        assert (tmp_path / FILE).stat().st_size == 2 * SLOT_BYTES
        assert len(LastSeen(tmp_path).read()) in range(min(count, 3000), count + 1)


@pytest.mark.parametrize("content", [None, b"", b"x" * 100, b"\xff" * 2 * SLOT_BYTES])
def test_a_file_that_cannot_be_read_tells_nothing(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / FILE).write_bytes(content)
    assert LastSeen(tmp_path).read() == {}
