"""A real server and its stage under frames that nobody sends in good faith: each gets its answer, the log tells no
exception, and memory does not grow.
"""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.attacks.raw_websocket import Attacked, attacked_server
from tests.fuzz.messages import INITS, PCM, messages
from tests.fuzz.scale import FULL, examples
from tests.processes import children
from visavis.channel.handshake import FEATURES
from visavis.errors import CHANNEL, declared_errors

TIMEOUT_S = 20.0
LAST_SAMPLES = 7_777  # more than any other piece has
_numbers = count()  # of utterances that are interrupted, whose ids are not taken again
ALLOWED_MB = 30.0
REFUSED = ("INTERNAL_ERROR", "PERFORMER_LOST")
"""Errors that tell of a fault of this server."""


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    folder: Path = tmp_path_factory.mktemp("fuzzed")
    with attacked_server(folder, VISAVIS_LOG_JSON="true", VISAVIS_JOIN_TIMEOUT_S="36000") as opened:
        yield opened
    levels = [json.loads(line)["level"] for line in (folder / "log").read_text().splitlines() if line.startswith("{")]
    assert levels and not {"error", "critical"} & set(levels), (folder / "log").read_text()[-5000:]


@dataclass(slots=True)
class Client:
    """One connection. `last_number`: of the messages that were received, with the feature "resume"."""

    connection: ClientConnection
    last_number: int = 0

    def attach(self, attacked: Attacked, **members: Any) -> dict[str, Any]:
        self.connection.send(attacked.init(**members).decode())
        return self.receive()

    def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self.connection.recv(timeout=TIMEOUT_S))
        if message["type"] == "error":
            assert CHANNEL in declared_errors()[message["code"]].told_over and message["code"] not in REFUSED, message
        if "seq" in message:
            assert message["seq"] == self.last_number + 1, message
            self.last_number += 1
        return message

    def settle(self) -> None:
        """Wait until all that was sent has been answered: replies come in order."""
        audio = base64.b64encode(bytes(2 * LAST_SAMPLES)).decode()
        name = f"the last {next(_numbers)}"
        self.connection.send(json.dumps({"type": "agent.speak", "audio": audio, "utterance_id": name}))
        told: list[dict[str, Any]] = [{}]
        while told[-1].get("audio_samples") != LAST_SAMPLES:
            try:
                told.append(self.receive())
            except TimeoutError:
                raise AssertionError(f"not answered: {told[-5:]}") from None
        self.connection.send('{"type":"agent.interrupt"}')


def opened(attacked: Attacked) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{attacked.server.port}/v1/channel", max_size=None, compression=None)


def memory_mb(attacked: Attacked) -> dict[str, float]:
    """Return the memory of the server and of its stage."""
    pids = {"server": attacked.server.pid, "stage": children(attacked.server.pid, "visavis.stage")[0]}
    return {name: _resident_mb(pid) for name, pid in pids.items()}


def _resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Rss:")).split()[1]) / 1024


def converse(attacked: Attacked, features: list[str], frames: list[str | bytes], missed: int) -> None:
    with opened(attacked) as connection:
        client = Client(connection)
        assert client.attach(attacked, features=features)["type"] == "connection.established"
        for frame in frames:
            connection.send(frame if isinstance(frame, bytes) else frame.encode(errors="replace").decode())
        client.settle()
        if "resume" not in features:
            return
        connection.socket.shutdown(socket.SHUT_RDWR)
    received = max(0, client.last_number - missed)
    with opened(attacked) as connection:
        again = Client(connection)
        answer = again.attach(attacked, features=features, resume={"received": received})
        again.last_number = received if answer["resumed"] else 0
        again.settle()


@examples(few=12, many=1_500)
@given(
    st.sets(st.sampled_from(sorted(FEATURES))).map(sorted),
    st.lists(messages() | messages() | PCM, max_size=40),
    st.integers(0, 3),
)
def test_each_frame_is_answered(
    attacked: Attacked, features: list[str], frames: list[str | bytes], missed: int
) -> None:
    converse(attacked, features, frames, missed)


@examples(few=15, many=1_000)
@given(st.lists(INITS.map(json.dumps) | messages() | PCM, max_size=6))
def test_each_first_message_is_answered(attacked: Attacked, openings: list[str | bytes]) -> None:
    with opened(attacked) as connection, suppress(ConnectionClosed):
        for opening in openings:
            connection.send(opening if isinstance(opening, bytes) else opening.encode(errors="replace").decode())
            Client(connection).receive()


def test_memory_does_not_grow(attacked: Attacked) -> None:
    """The same hostile conversation, again and again: with unknown rates, cut samples, and ids that are never used
    again.
    """

    def flood(first: int, count: int) -> None:
        for number in range(first, first + count):
            rate_hz = 8_000 + number * 7 % 40_000
            audio = base64.b64encode(bytes(321)).decode()
            speak = {"type": "agent.speak", "audio": audio, "sample_rate": rate_hz, "utterance_id": f"u{number}"}
            update = {"type": "session.update", "output": {"emotion": {"name": "happy", "weight": number % 7 / 7}}}
            state = {"type": "agent.state", "state": "thinking"}
            frames = [json.dumps(message) for message in (speak, update, state, {"type": f"t{number}"})] * 5
            converse(attacked, ["playback", "resume", "state"], [*frames, "x" * 10_000], 2)

    flood(0, 25)
    before = memory_mb(attacked)
    flood(25, 2_000 if FULL else 25)
    after = memory_mb(attacked)
    assert all(after[name] < before[name] + ALLOWED_MB for name in before), (before, after)
