"""A Python client that a foreign generator makes of our descriptions parses every answer and every message of the
golden transcripts, and loses nothing of it. (scripts/typed_transcripts.py has the same of the TypeScript types.)

The generator takes OpenAPI alone, so the schemas of the channel's messages are given to it as those of an API without
calls. It knows JSON and forms alone: pictures, SDP and candidates are left out.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.contract.openapi import OPENAPI
from tests.contract.test_asyncapi import DOCUMENT, said
from tests.contract.test_described import fill_placeholders, operation_of, shown_answers
from tools.openapi_client import prepare
from visavis.api.described.channel import CLIENT_MESSAGES, server_models, type_of

READER = Path(__file__).with_name("generated_client.py")
WITHIN_S = 120
CHANNEL = {
    "openapi": "3.1.0",
    "info": {"title": "Channel", "version": "0"},
    "paths": {},
    "components": {"schemas": DOCUMENT["components"]["schemas"]},
}


KINDS = {"application/json", "multipart/form-data", "application/x-www-form-urlencoded"}


def takes_its_kinds(operation: dict[str, Any]) -> bool:
    content = operation.get("requestBody", {}).get("content", {})
    return not content or bool(KINDS & set(content))


def in_its_kinds(document: dict[str, Any]) -> dict[str, Any]:
    """Return the description without the bodies of other kinds, and without the calls that take them."""
    paths: dict[str, Any] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if not takes_its_kinds(operation):
                continue
            responses = {
                status: {**response, "content": {k: v for k, v in response.get("content", {}).items() if k in KINDS}}
                for status, response in operation["responses"].items()
            }
            paths.setdefault(path, {})[method] = {**operation, "responses": responses}
    return {**document, "paths": paths}


def answers() -> Iterator[tuple[str, dict[str, Any]]]:
    for place, method, address, answer in shown_answers():
        operation = operation_of(method, address)
        if operation is not None and takes_its_kinds(operation) and "json" in answer:
            body = fill_placeholders(answer["json"])
            yield place, {"operation": operation["operationId"], "status": answer["answer"], "body": body}


def messages() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what the server says and what it takes, each with the models of its type."""
    for side, kinds in (("server", server_models()), ("client", CLIENT_MESSAGES)):
        for place, message, refused in said(side):
            if side == "server" or not refused:
                names = [kind.__name__ for kind in kinds if type_of(kind) == message["type"]]
                yield place, {"models": names, "body": message}


def as_we_write(value: Any) -> Any:
    """Return a value with times as we write them: the generated client writes +00:00 instead of Z."""
    if isinstance(value, dict):
        return {name: as_we_write(member) for name, member in value.items()}
    if isinstance(value, list):
        return [as_we_write(member) for member in value]
    return re.sub(r"(\d\d:\d\d:\d\d)\+00:00$", r"\1Z", value) if isinstance(value, str) else value


@pytest.mark.timeout(600)  # the first run waits until the environment is there
def test_it_loses_nothing_of_the_transcripts(tmp_path: Path) -> None:
    try:
        python = str(prepare())
    except FileNotFoundError:
        pytest.skip("no environment with openapi-python-client can be made: there is no uv")

    def run(*command: str) -> str:
        done = subprocess.run(
            [python, *command], cwd=tmp_path, capture_output=True, text=True, timeout=WITHIN_S, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    (tmp_path / "options.yml").write_text("post_hooks: []\n")
    for name, document in (("generated_http", in_its_kinds(OPENAPI)), ("generated_channel", CHANNEL)):
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
        options = ["--path", f"{name}.json", "--output-path", name, "--meta", "none", "--config", "options.yml"]
        run("-m", "openapi_python_client", "generate", "--fail-on-warning", *options)
    of_http, of_channel = list(answers()), list(messages())
    assert len(of_http) > 280 and len(of_channel) > 350
    cases = [*of_http, *of_channel]
    (tmp_path / "cases.json").write_text(json.dumps([case for _, case in cases]))
    written = [as_we_write(value) for value in json.loads(run(str(READER)))]
    compared = [(place, case["body"], one) for (place, case), one in zip(cases, written, strict=True)]
    assert [(place, sent, one) for place, sent, one in compared if one != sent] == []
