"""JSON bodies, read strictly: what gets through can be kept and shown again as it came."""

from __future__ import annotations

import json
from typing import Any

from fastapi import Request

from visavis.api.going_away import note_members
from visavis.errors import InvalidJson, InvalidMetadata, InvalidRequest, TooLarge, UnsupportedMediaType
from visavis.json_text import BODY_BOUNDS, JsonRefused, read_json, require_showable, text_chars
from visavis.large_work import run_large

LARGE_BYTES = 64 * 1024  # a larger body is not parsed on the event loop
MAX_METADATA_BYTES = 16 * 1024


def parse_json(raw: bytes) -> Any:
    """Raises `InvalidJson` for anything but RFC 8259 JSON in UTF-8: NaN, lone surrogates, and more nesting and values
    than a body may hold included.
    """
    try:
        value = read_json(raw.decode("utf-8"), BODY_BOUNDS)
        require_showable(value)
    except JsonRefused as refused:
        raise InvalidJson(f"The body {refused}") from None
    except UnicodeDecodeError:
        raise InvalidJson("The body is not valid JSON") from None
    return value


async def json_object(request: Request) -> dict[str, Any]:
    """Return the body's JSON object; an empty body is an empty object.

    Raises `UnsupportedMediaType` for a content type that is not JSON's, `InvalidRequest` for what is no JSON object.
    """
    raw = await request.body()
    if not raw.strip():
        return {}
    content_type = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if content_type != "application/json" and not content_type.endswith("+json"):
        raise UnsupportedMediaType("The body must be JSON", suggestion="Send Content-Type: application/json")
    value = parse_json(raw) if len(raw) <= LARGE_BYTES else await run_large("body", parse_json, raw)
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be a JSON object")
    note_members(request.scope, value)
    return value


def metadata_of(body: dict[str, Any]) -> dict[str, Any]:
    """Raises `InvalidMetadata` for anything but an object, and `TooLarge` over 16 KiB."""
    metadata = body.get("metadata", {})
    if not isinstance(metadata, dict):
        raise InvalidMetadata("metadata must be a JSON object", suggestion='For example {"user_name": "John Doe"}')
    least_bytes = text_chars(metadata)  # writing 14 MB of it would take long
    if least_bytes > MAX_METADATA_BYTES or len(_written(metadata)) > MAX_METADATA_BYTES:
        raise TooLarge("metadata is larger than 16 KiB")
    return metadata


def _written(metadata: dict[str, Any]) -> bytes:
    return json.dumps(metadata, ensure_ascii=False, separators=(",", ":")).encode()
