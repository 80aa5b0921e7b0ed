"""The golden transcripts against the pure protocol. The same against a real server: tests/e2e/test_channel_wire.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.transcript import TRANSCRIPTS, Transcript, replay_pure


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_protocol_follows_the_transcript(path: Path) -> None:
    replay_pure(Transcript.read(path))


def test_every_error_code_of_a_message_appears_in_a_transcript() -> None:
    from visavis.channel.errors import ERROR_CODES

    said = {
        step["server"].get("code") for path in TRANSCRIPTS for step in Transcript.read(path).steps if "server" in step
    }
    # none can be brought about by a message alone
    assert set(ERROR_CODES) - said == {"NO_CAPACITY", "INTERNAL", "UPDATE_PENDING"}
