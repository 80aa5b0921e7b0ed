"""The notes about a session."""

from __future__ import annotations

from visavis.stage.port.notes import KeptNote, Notes


def test_notes_are_split_at_a_size_and_keep_their_order() -> None:
    first, second, third = (KeptNote(number=number, note=b"x" * 10) for number in (1, 2, 3))
    notes = Notes((first, second, third))
    assert notes.split(size_bytes=29) == ((first, second), (third,))
    assert notes.split(size_bytes=30) == ((first, second, third), ())
    assert notes.split(size_bytes=9) == ((), (first, second, third))
    assert Notes().split(size_bytes=9) == ((), ())
