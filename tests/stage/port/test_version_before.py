"""What is said to the version before is understood there, and means what it shall; what it says is understood here."""

from __future__ import annotations

import os
import subprocess
import sys

import msgspec
import pytest

from tests.stage.port.test_messages import COMMANDS, EVENTS, HELD, PACK, RESULTS
from tests.version_before import python_path
from visavis.errors import PerformerLost
from visavis.rooms.spec import IceServer
from visavis.stage.port import messages
from visavis.stage.port.messages import (
    OLDEST_PORT_VERSION,
    PORT_VERSION,
    Answer,
    Event,
    FromServer,
    FromStage,
    Hello,
    HttpSource,
    Message,
    NotHere,
    Ready,
    Refusal,
    Request,
    common_version,
    decode_from_server,
    decode_from_stage,
    encode,
)
from visavis.stage.port.notes import KeptNote
from visavis.stage.port.report import SessionShape, StageReport
from visavis.stage.port.values import PerformanceSpec
from visavis.stage.port.versions import known_to

HELLO = Hello(
    version=PORT_VERSION,
    oldest=OLDEST_PORT_VERSION,
    token="t",
    server_id="a",
    source=HttpSource(url="https://service", token="u"),
    ice_servers=(IceServer(url="turn:t", username="n", credential="c"),),
    owner_grace_s=15.0,
    epoch=7,
    program="0.1.0",
)
REPORT = StageReport(
    machine_id="m", cores=2.0, unused_cores=1.5, own_cores=0.5, sessions={"s": SessionShape(width_px=64, height_px=64)}
)
FROM_SERVER: list[FromServer] = [
    HELLO,
    *(Request(number=3, session_id="s", epoch=2, command=command) for command in COMMANDS),
    messages.Ping(),
    messages.SetPace(pace=2),
    messages.Acknowledge(session_id="s", number=7, told=(8, 9)),
    messages.Remember(session_id="s", memo=b"memo", notes=(KeptNote(number=1, note=b"note"),)),
    messages.TakeNote(session_id="s", note=KeptNote(number=3, note=b"note"), forget_through=2, told=(4,)),
    messages.Prepare(spec=PerformanceSpec(session_id="s", pack=PACK)),
    messages.Leave(),
]
FROM_STAGE: list[FromStage] = [
    Ready(version=OLDEST_PORT_VERSION, report=REPORT, sessions=1, program="0.1.0"),
    messages.Held(session=HELD),
    messages.Rejected(code="WRONG_STAGE_TOKEN", message="no"),
    *(Answer(number=1, result=result) for result in RESULTS),
    Refusal(number=1, code="QUEUE_FULL", message="full", suggestion="wait"),
    *(Event(session_id="s", event=event, number=4, told=True) for event in EVENTS),
    messages.Pong(epochs={"s": 1}),
    messages.Reported(report=REPORT),
]

# Run by the version before: reads each message, and writes what it has understood.
READ_AND_WRITE = """
import sys
import msgspec
from visavis.stage.port import messages
said = msgspec.msgpack.decode(sys.stdin.buffer.read())
read = [messages.decode_from_server(body) for body in said["server"]]
read += [messages.decode_from_stage(body) for body in said["stage"]]
agreed = messages.common_version(read[0])
sys.stdout.buffer.write(msgspec.msgpack.encode([agreed, messages.PORT_VERSION, [messages.encode(one) for one in read]]))
"""


def understood() -> tuple[int, int, list[Message]]:
    """Say all messages to the version before. Return which version it agrees to, its own, and what it understands."""
    said = {
        "server": [encode(known_to(OLDEST_PORT_VERSION, message)) for message in FROM_SERVER],
        "stage": [encode(known_to(OLDEST_PORT_VERSION, message)) for message in FROM_STAGE],
    }
    ran = subprocess.run(
        [sys.executable, "-c", READ_AND_WRITE],
        input=msgspec.msgpack.encode(said),
        env=os.environ | {"PYTHONPATH": python_path()},
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr.decode()
    agreed, own, bodies = msgspec.msgpack.decode(ran.stdout)
    from_server = [decode_from_server(body) for body in bodies[: len(FROM_SERVER)]]
    return agreed, own, [*from_server, *(decode_from_stage(body) for body in bodies[len(FROM_SERVER) :])]


def meant(message: Message) -> Message:
    """Return what the version before shall understand."""
    if isinstance(message, Hello | Ready):
        return msgspec.structs.replace(message, program="")
    if isinstance(message, Answer) and isinstance(message.result, NotHere):
        return Refusal(number=1, code=PerformerLost.code, message="The session does not run on this stage")
    return message


def test_the_version_before_understands_every_message_and_is_understood() -> None:
    assert {type(one) for one in FROM_SERVER} == set(FromServer.__args__)
    assert {type(one) for one in FROM_STAGE} == set(FromStage.__args__)
    agreed, own, read = understood()
    assert agreed == own == OLDEST_PORT_VERSION == PORT_VERSION - 1
    assert read == [meant(message) for message in (*FROM_SERVER, *FROM_STAGE)]


@pytest.mark.parametrize("version", [OLDEST_PORT_VERSION, PORT_VERSION])
def test_both_versions_agree(version: int) -> None:
    """A server of the version before says a Hello without what came later."""
    assert common_version(Hello(version=version, oldest=version, token="t", server_id="s")) == version


def test_an_end_of_this_version_gets_every_message_as_it_is() -> None:
    for message in (*FROM_SERVER, *FROM_STAGE):
        assert known_to(PORT_VERSION, message) is message
