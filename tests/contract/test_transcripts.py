"""Replays the golden transcripts: those of the channel against the pure protocol, those of REST against the service
with a fake fleet. tests/e2e/test_channel_wire.py replays those of the channel against a real server.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import structlog.testing

from tests.contract.rest_transcript import REST_TRANSCRIPTS, RestTranscript, replay
from tests.contract.transcript import TRANSCRIPTS, Transcript, replay_pure


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
def test_protocol_follows_the_transcript(path: Path) -> None:
    replay_pure(Transcript.read(path))


@pytest.mark.anyio
@pytest.mark.parametrize("path", REST_TRANSCRIPTS, ids=lambda path: path.stem)
async def test_the_service_answers_as_in_the_rest_transcript(path: Path, tmp_path: Path) -> None:
    with structlog.testing.capture_logs():  # a crash fills the log with its traceback
        await replay(RestTranscript.read(path), tmp_path)
