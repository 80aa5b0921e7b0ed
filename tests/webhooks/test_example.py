"""The receiver of docs/howto/webhooks.md runs, prints events that are signed, each once, and refuses others."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import httpx

from visavis.webhooks.message import headers_of
from visavis.webhooks.secrets import new_secret

EXAMPLE = Path(__file__).parents[2] / "examples" / "receive_webhooks.py"


def test_the_example_prints_each_signed_event_once() -> None:
    secret = new_secret()
    body = '{"type":"session.ended","timestamp":"2024-01-15T12:05:32Z","data":{"session_id":"sess_1"}}'
    headers = headers_of("evnt_1", body, [secret], at_ms=time.time_ns() // 1_000_000)
    with subprocess.Popen(
        [sys.executable, str(EXAMPLE), "--port", "0", "--secret", secret], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        answers = [httpx.post(url, content=body, headers=headers).status_code for _ in range(2)]
        answers.append(httpx.post(url, content=body + " ", headers=headers).status_code)
        process.terminate()
        printed = process.stdout.read().splitlines()
    assert answers == [204, 204, 401]
    assert [line.split()[:2] for line in printed] == [
        ["2024-01-15T12:05:32Z", "session.ended"],
        ["refused:", "The"],
    ]
