"""The AsyncAPI document describes every message of the golden transcripts, and says nothing that the code does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import jsonschema_rs
import pytest

from tests.conftest import Service
from tests.contract import reference
from tests.contract.transcript import TRANSCRIPTS, Transcript, fill_placeholders
from visavis.api.described.channel import CLIENT_MESSAGES, asyncapi, server_models, type_of
from visavis.channel.handshake import FEATURES

DOCUMENT = asyncapi(version="0", public_url="https://avatars.example.com/avatar")
NAMES = {
    "$SESSION": "sess_01J8Z3N5K7Q9R2T4V6X8Y0A1B2",
    "$TOKEN": "a token",
    "$ROOM_URL": "https://avatars.example.com/rooms/vv-1",
    "$ROOM_TOKEN": "a token of the room",
    "$ANY": "any",
}


@cache
def schemas_of(direction: str) -> dict[str, list[Any]]:
    """Return validators of what the server takes (`receive`) or says (`send`), by the message's type."""
    found: dict[str, list[Any]] = {}
    for one in DOCUMENT["operations"][f"{direction}_session"]["messages"]:
        message = DOCUMENT["components"]["messages"][one["$ref"].rpartition("/")[2]]
        payload = message["payload"]
        if "$ref" in payload:
            schema = {"components": DOCUMENT["components"], **payload}
            found.setdefault(message["name"], []).append(jsonschema_rs.validator_for(schema))
    return found


def is_described(message: dict[str, Any], direction: str) -> bool:
    return any(one.is_valid(message) for one in schemas_of(direction).get(message.get("type", ""), []))


def said(side: str) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Yield each message of a side in the transcripts, and whether it was refused."""
    for path in TRANSCRIPTS:
        steps = Transcript.read(path).steps
        for number, step in enumerate(steps):
            if side in step:
                answers = [one["server"] for one in steps[number + 1 : number + 4] if "server" in one]
                refused = any(answer.get("type") == "error" for answer in answers)
                yield f"{path.stem}:{number + 2}", fill_placeholders(step[side], NAMES), refused


def test_every_message_of_the_server_is_described() -> None:
    messages = list(said("server"))
    assert len(messages) > 100
    for place, message, _ in messages:
        assert is_described(message, "send"), (place, message)


def test_every_message_that_is_taken_is_described() -> None:
    """What is described may be refused all the same, for what came before; what is not described is refused."""
    taken = 0
    for place, message, refused in said("client"):
        if not refused:
            taken += 1
            assert is_described(message, "receive"), (place, message)
    assert taken > 80


@pytest.mark.parametrize(
    "message",
    [
        {"type": "agent.speak"},
        {"type": "agent.speak", "audio": "", "sample_rate": 7_999},
        {"type": "agent.speak", "audio": "", "sample_rate": "16000"},
        {"type": "agent.speak", "audio": "", "utterance_id": ""},
        {"type": "agent.state", "state": "speaking"},
        {"type": "session.init", "session_id": "s", "session_token": "t", "features": ["flying"]},
        {"type": "session.init", "config": {"session_id": "s", "access_token": "t"}},
        {"type": "ack", "seq": -1},
        {"type": "agent.dance"},
    ],
)
def test_what_the_channel_refuses_is_not_described(message: dict[str, Any]) -> None:
    assert not is_described(message, "receive")


def test_it_names_the_messages_that_the_reference_names() -> None:
    rows = reference.rows("channel", under="Messages of the client")
    client = {row[0].strip("`") for row in rows} - {"type"}
    assert {type_of(model) for model in CLIENT_MESSAGES} == client
    cells = [row[0] for row in reference.rows("channel", under="Messages of the server")][1:]
    server = {type_of(model) for model in server_models()}
    assert server == {name.strip("` ") for cell in cells for name in cell.split(",")}
    features = DOCUMENT["components"]["schemas"]["OwnInit"]["properties"]["features"]["items"]["enum"]
    assert features == sorted(FEATURES)


def test_every_reference_within_it_leads_somewhere() -> None:
    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for inner in value.values():
                yield from references(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from references(inner)

    for found in references(DOCUMENT):
        target: Any = DOCUMENT
        for part in found.removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/")]
    assert DOCUMENT["servers"]["visavis"] == {
        "host": "avatars.example.com",
        "pathname": "/avatar",
        "protocol": "wss",
    }


@pytest.mark.anyio
async def test_the_server_shows_it(service: Service) -> None:
    shown = (await service.client.get("/asyncapi.json")).json()
    assert shown["asyncapi"] == "3.0.0" and shown["channels"] == json.loads(json.dumps(DOCUMENT["channels"]))
