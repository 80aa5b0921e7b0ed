"""The golden transcripts: the channel's against the pure protocol, REST's against the service over fakes. The
channel's against a real server: tests/e2e/test_channel_wire.py.
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
    said = {
        step["server"].get("code") for path in TRANSCRIPTS for step in Transcript.read(path).steps if "server" in step
    }
    # none can be brought about by a message alone
    told = {code for code, kind in declared_errors().items() if CHANNEL in kind.told_over}
    assert told - said == {"NO_CAPACITY", "INTERNAL", "PREPARATION_FAILED", "UPDATE_PENDING"}


@pytest.mark.anyio
@pytest.mark.parametrize("path", REST_TRANSCRIPTS, ids=lambda path: path.stem)
async def test_the_service_answers_as_the_rest_transcript_says(path: Path, tmp_path: Path) -> None:
    with structlog.testing.capture_logs():  # a crash is told in the log at length
        await replay(RestTranscript.read(path), tmp_path)
