"""docs/reference is true and complete: its examples are real, and it leaves out no message, address, feature or
remark.
"""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.contract import reference
from tests.contract.openapi import OPENAPI
from tests.contract.transcript import TRANSCRIPTS, Transcript
from visavis.channel.actions import Send
from visavis.channel.handshake import FEATURES
from visavis.channel.protocol import ChannelProtocol
from visavis.channel.server_messages import ErrorMessage, ServerMessage
from visavis.errors import CloseCode, declared_errors
from visavis.output_json import MEMBERS, read_output
from visavis.settings import Settings

SOURCE = Path(__file__).parents[2] / "src" / "visavis"
SERVER_MESSAGES: dict[str, list[type[ServerMessage]]] = {}
for kind in ServerMessage.__subclasses__():
    SERVER_MESSAGES.setdefault(get_args(kind.model_fields["type"].annotation)[0], []).append(kind)
CLIENT_TYPES = {
    "session.init",
    "agent.speak",
    "agent.say",
    "agent.interrupt",
    "agent.state",
    "session.update",
    "audio.format",
    "ack",
}
EXAMPLES = [
    pytest.param(value, id=f"{page}-{number}")
    for page in reference.PAGES
    for number, value in enumerate(reference.examples(page))
]


def openapi_examples() -> list[Any]:
    """Every example of a request's or an answer's JSON body."""
    found = []
    for operations in OPENAPI["paths"].values():
        for operation in operations.values():
            bodies = [operation.get("requestBody", {}), *operation["responses"].values()]
            for content in (content for body in bodies for content in body.get("content", {}).values()):
                found += [one["value"] for one in content.get("examples", {}).values()]
    return found


KNOWN_EXAMPLES = [json.dumps(example) for example in openapi_examples()]
ERRORS_OF_TRANSCRIPTS = {
    json.dumps(step["server"], ensure_ascii=False)
    for path in TRANSCRIPTS
    for step in Transcript.read(path).steps
    if step.get("server", {}).get("type") == "error"
}
OTHER_KEY_REFUSALS = [
    {"error": "Invalid API key"},
    {"error": "API key has been deactivated"},
    {"error": "API key has expired"},
]


def is_accepted(message: dict[str, Any]) -> bool:
    """Whether an open channel with every feature accepts a client's message, or the message opens a channel."""
    protocol = ChannelProtocol()
    if message["type"] != "session.init":
        opening = {"type": "session.init", "session_id": "s", "session_token": "t", "features": sorted(FEATURES)}
        protocol.receive_text(json.dumps(opening))
        protocol.attach_succeeded()
    if message.get("audio") == "…":  # a second of silence instead of speech that is too long to print
        message = message | {"audio": "AAAA" * (message["sample_rate"] * 2 // 3)}
    actions = protocol.receive_text(json.dumps(message))
    return not any(isinstance(action, Send) and isinstance(action.message, ErrorMessage) for action in actions)


def is_server_message(message: dict[str, Any]) -> bool:
    """Whether the server could send this message, with the same members in the same order."""
    for kind in SERVER_MESSAGES.get(message["type"], []):
        dumped = kind.model_validate(message).model_dump(mode="json")
        if json.dumps(dumped) == json.dumps(message):
            return True
    return False


@pytest.mark.parametrize("value", EXAMPLES)
def test_every_example_is_one_of_the_api_or_a_message_of_the_channel(value: Any) -> None:
    if value.get("type") == "error":
        assert json.dumps(value, ensure_ascii=False) in ERRORS_OF_TRANSCRIPTS
    elif "type" in value:
        assert (value["type"] in CLIENT_TYPES and is_accepted(value)) or is_server_message(value)
    elif set(value) <= set(MEMBERS):
        read_output(value)
    else:
        assert json.dumps(value) in KNOWN_EXAMPLES or value in OTHER_KEY_REFUSALS


def test_every_message_of_the_channel_is_described() -> None:
    client = {row[0].strip("`") for row in reference.rows("channel", under="Messages of the client")} - {"type"}
    server = [row[0] for row in reference.rows("channel", under="Messages of the server")][1:]
    assert client == CLIENT_TYPES
    protocol = (SOURCE / "channel" / "protocol.py").read_text(encoding="utf-8")
    assert set(re.findall(r'case "([\w.]+)"', protocol)) == client
    assert {name for cell in server for name in re.findall(r"`([\w.]+)`", cell)} == set(SERVER_MESSAGES)


def test_every_feature_is_described() -> None:
    cells = reference.PAGES["channel"].split("| feature | adds |", 1)[1].split("\n\n", 1)[0]
    assert set(re.findall(r"^\| `(\w+)`", cells, re.M)) == FEATURES


def test_every_call_is_described() -> None:
    described = {
        f"{method} {path}"
        for methods, path in re.findall(
            r"([A-Z]+(?: or [A-Z]+)?) (/[\w/{}-]+)",
            "".join(reference.PAGES[name] for name in ("rest", "rooms", "browsers", "webhooks", "admin")),
        )
        for method in methods.split(" or ")
    }
    paths = OPENAPI["paths"].items()
    assert {f"{method.upper()} {path}" for path, operations in paths for method in operations} <= described


def test_every_member_of_an_answer_is_shown() -> None:
    text = "".join(reference.PAGES.values())
    for name, schema in OPENAPI["components"]["schemas"].items():
        for member in schema.get("properties", {}):
            assert f'"{member}"' in text or f"`{member}`" in text, (name, member)


def test_every_remark_on_a_photo_is_described() -> None:
    codes = set()
    for path in (SOURCE / "engine").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "Remark"
            ):
                code = node.args[0]
                if isinstance(code, ast.Constant):
                    codes.add(code.value)
                elif isinstance(code, ast.Name) and code.id in constants:
                    codes.add(constants[code.id])
    section = reference.PAGES["rest"].split("### Report", 1)[1].split("\n### ", 1)[0]
    assert set(re.findall(r"^\| `([A-Z_]+)` \|", section, re.M)) == codes


def test_every_code_setting_and_page_that_is_named_exists() -> None:
    settings = {f"VISAVIS_{name.upper()}" for name in Settings.model_fields}
    assert reference.words(r"VISAVIS_[A-Z]\w+") <= settings
    remarks = set(re.findall(r"^\| `([A-Z_]+)` \|", reference.PAGES["rest"], re.M))
    known = {*declared_errors(), *(code.name for code in CloseCode), *remarks}
    assert reference.words(r"^[A-Z]{2,}(?:_[A-Z0-9]+)+$") - settings <= known
    headings = {
        (page, re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-"))
        for page, text in reference.PAGES.items()
        for heading in re.findall(r"^#+ (.+)$", text, re.M)
    }
    for page, text in reference.PAGES.items():
        for link in re.findall(r"\]\(([^)]+)\)", text):
            target, _, anchor = link.partition("#")
            target = target.removesuffix(".md") or page
            assert target in reference.PAGES, (page, link)
            assert not anchor or (target, anchor) in headings, (page, link)


def test_the_reference_links_only_to_itself() -> None:
    """It is shipped without the other documents."""
    for page, text in reference.PAGES.items():
        assert not re.search(r"\]\((?!\w+\.md|#)", text), page


def test_the_source_cites_pages_and_sections_that_exist() -> None:
    cited = 0
    for path in SOURCE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"contract,? section|design\.md|contract\.md", text), path
        for page, sections in re.findall(r'docs/reference/(\w+)\.md((?:,? (?:and )?"[^"\n]+")*)', text):
            cited += 1
            for section in re.findall(r'"([^"]+)"', sections):
                assert re.search(rf"^#+ {re.escape(section)}", reference.PAGES[page], re.M), (path, page, section)
    assert cited >= 8
