"""Replays the golden transcripts: those of the channel against the pure protocol, those of REST against the service
with a fake fleet. tests/e2e/test_channel_wire.py replays those of the channel against a real server.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog.testing

from tests.contract.rest_transcript import REST_TRANSCRIPTS, RestTranscript, replay
from tests.contract.transcript import TRANSCRIPTS, Transcript, replay_pure
from visavis.errors import CHANNEL, declared_errors


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_protocol_follows_the_transcript(path: Path) -> None:
    replay_pure(Transcript.read(path))


def test_every_error_code_of_a_message_appears_in_a_transcript() -> None:
    shown = {
        step["server"].get("code") for path in TRANSCRIPTS for step in Transcript.read(path).steps if "server" in step
    }
    declared = {code for code, kind in declared_errors().items() if CHANNEL in kind.told_over}
    # a message alone can cause none of these
    assert declared - shown == {"NO_CAPACITY", "INTERNAL", "PREPARATION_FAILED", "UPDATE_PENDING"}


@pytest.mark.anyio
@pytest.mark.parametrize("path", REST_TRANSCRIPTS, ids=lambda path: path.stem)
async def test_the_service_answers_as_in_the_rest_transcript(path: Path, tmp_path: Path) -> None:
    with structlog.testing.capture_logs():  # a crash fills the log with its traceback
        await replay(RestTranscript.read(path), tmp_path)
