"""The OpenAPI description and the golden transcripts agree: every answer in a transcript is described, and every
example of an error is in a transcript.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from tests.contract.openapi import OPENAPI
from tests.contract.rest_transcript import REST_TRANSCRIPTS, RestTranscript

OPERATIONS = [
    pytest.param(path, method, operation, id=f"{method.upper()} {path}")
    for path, operations in OPENAPI["paths"].items()
    for method, operation in operations.items()
]
UNDESCRIBED = {"OPTIONS", "PUT"}  # CORS and errors; docs/reference/rooms.md describes them
ACCOUNT, KEY = "acct_01J8Z3N5K7Q9R2T4V6X8Y0A1E1", "key_01J8Z3N5K7Q9R2T4V6X8Y0A1E2"
KEYS = ("KEY", "NEW_KEY", "NEXT_KEY", "ADMIN")
WEBHOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
FILLINGS = {
    "$TIME": "2024-01-15T12:00:00Z",
    "$INT": 1,
    "$BOOL": True,
    "$TEXTS": ["The default avatar has not been performed yet"],
    **dict.fromkeys(
        (f"${capture}SESSION{number}" for capture in ("", "=") for number in ("", "_2", "_3")),
        "sess_01J8Z3N5K7Q9R2T4V6X8Y0A1B2",
    ),
    "$=TOKEN_ID": "tok_01J8Z3N5K7Q9R2T4V6X8Y0A1B7",
    **dict.fromkeys(("$LOOK", "$CHARACTER", "$AVATAR", "$=AVATAR"), "avat_01J8Z3N5K7Q9R2T4V6X8Y0A1B4"),
    **dict.fromkeys(("$HOOK", "$=HOOK", "$MADE", "$=MADE"), "hook_01J8Z3N5K7Q9R2T4V6X8Y0A1C1"),
    **dict.fromkeys(("$EVENT", "$=EVENT"), "evnt_01J8Z3N5K7Q9R2T4V6X8Y0A1C2"),
    **dict.fromkeys(("$DELIVERY", "$=DELIVERY"), "dlvr_01J8Z3N5K7Q9R2T4V6X8Y0A1C3"),
    **dict.fromkeys((f"${capture}{name}ACCOUNT" for capture in ("", "=") for name in ("", "NEW_")), ACCOUNT),
    **dict.fromkeys((f"${capture}{name}" for capture in ("", "=") for name in KEYS), KEY),
    **dict.fromkeys(("$=NEW_SECRET", "$=NEXT_SECRET"), "ah_live_3fKq8TzN5vXw2LrYb7GmHc4JdPs9AeUi"),
    **dict.fromkeys(("$PURCHASE", "$=PURCHASE"), "purc_01J8Z3N5K7Q9R2T4V6X8Y0A1E4"),
    "$=AUDIT": "audt_01J8Z3N5K7Q9R2T4V6X8Y0A1E5",
    **dict.fromkeys(
        ("$=SECRET", "$=MADE_SECRET", "$=ROTATED_SECRET"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
    ),
}


def is_valid(value: Any, schema: dict[str, Any]) -> bool:
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "components": OPENAPI["components"], **schema}
    return jsonschema_rs.validator_for(whole).is_valid(value)


def fill_placeholders(value: Any) -> Any:
    """Replace the placeholders in a transcript's answer by typical values."""
    if isinstance(value, dict):
        return {key: "2024-01-15" if key == "date" else fill_placeholders(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [fill_placeholders(inner) for inner in value]
    if value in FILLINGS:
        return FILLINGS[value]
    if not isinstance(value, str):
        return value
    return re.sub(r"\$=?[A-Z0-9_]+", lambda found: str(FILLINGS.get(found[0], "any")), value)


def shown_answers() -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Yield every request of every transcript (place, method, address) with its answer."""
    for path in REST_TRANSCRIPTS:
        steps = RestTranscript.read(path).steps
        for number, (step, after) in enumerate(itertools.pairwise(steps), start=2):
            if "request" in step:
                method, address = step["request"].split(" ", 1)
                yield f"{path.stem}:{number}", method, address.partition("?")[0], after


def operation_of(method: str, address: str) -> dict[str, Any] | None:
    address = address.replace("$VIEWER_PATH", "/rooms/name/whep/viewer")
    for picture in ("$PREVIEW", "$EXPIRED"):
        address = address.replace(picture, "/media/avatars/avatar/preview.jpg")
    matching = [path for path in OPENAPI["paths"] if re.fullmatch(re.sub(r"{\w+}", "[^/]+", path), address)]
    if not matching:
        return None
    operations: dict[str, dict[str, Any]] = OPENAPI["paths"][address if address in matching else matching[0]]
    return operations.get(method.lower())


def examples_of(content: dict[str, Any]) -> list[Any]:
    return [one["value"] for one in content.get("examples", {}).values()] or [content["example"]]


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_every_request_and_answer_has_an_example_that_matches_its_schema(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    body = [operation["requestBody"]] if "requestBody" in operation else []
    for described in [*body, *operation["responses"].values()]:
        for kind, content in described.get("content", {}).items():
            if kind == "image/jpeg":
                continue
            for example in examples_of(content):
                assert is_valid(example, content["schema"]), (kind, example)


def test_every_answer_in_a_transcript_is_described() -> None:
    unknown = set()
    for place, method, address, answer in shown_answers():
        operation = operation_of(method, address)
        if operation is None:
            unknown.add(f"{method} {address}")
            continue
        response = operation["responses"].get(str(answer["answer"]))
        assert response is not None, (place, answer)
        if "json" in answer:
            schema = response["content"]["application/json"]["schema"]
            assert is_valid(fill_placeholders(answer["json"]), schema), (place, answer["json"])
        else:
            assert "application/json" not in response.get("content", {}), place
    described = {one for one in unknown if one.split(" ")[0] not in UNDESCRIBED}
    of_pages = {f"{method} /sign-in" for method in ("GET", "POST", "DELETE")}  # of the server's own, and of nobody else
    assert described == {"GET /v1/nothing", "GET /v1/channel", "PATCH /v1/sessions"} | of_pages


def test_every_example_of_an_error_is_in_a_transcript() -> None:
    shown = {json.dumps(fill_placeholders(answer["json"])) for *_, answer in shown_answers() if "json" in answer}
    for path, operations in OPENAPI["paths"].items():
        for method, operation in operations.items():
            for status, response in operation["responses"].items():
                if status[0] in "45" and path != "/readyz":
                    for example in examples_of(response["content"]["application/json"]):
                        assert json.dumps(example) in shown, (method, path, status, example)


def test_the_schemas_refuse_wrong_answers() -> None:
    """One member too many, one too few, a null, or an undeclared code."""
    schema = OPENAPI["paths"]["/v1/sessions/{session_id}/start"]["put"]["responses"]["200"]["content"]
    started = {
        "success": True,
        "ws_uri": "wss://example.com/v1/channel/sess_01J8Z3N5K7Q9R2T4V6X8Y0A1B2",
        "expiration": None,
        "message": "Session started successfully",
    }
    shape = schema["application/json"]["schema"]
    assert is_valid(started, shape)
    assert not is_valid(started | {"more": 1}, shape)
    assert not is_valid({name: value for name, value in started.items() if name != "expiration"}, shape)
    assert not is_valid(started | {"ws_uri": None}, shape)
    error = {"$ref": "#/components/schemas/Error"}
    assert is_valid({"success": False, "error": {"message": "x", "code": "NO_CAPACITY"}}, error)
    assert not is_valid({"success": False, "error": {"message": "x", "code": "NO_SUCH_CODE"}}, error)
    assert not is_valid({"success": False, "error": {"message": "x", "suggestion": None, "code": "NOT_FOUND"}}, error)
