"""JSON bodies, read strictly: what gets through can be kept and shown again as it came."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from fastapi import Request

from visavis.errors import InvalidJson, InvalidMetadata, InvalidRequest, TooLarge, UnsupportedMediaType

MAX_METADATA_BYTES = 16 * 1024
_MAX_DEPTH = 64


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def parse_json(raw: bytes) -> Any:
    """Raises `InvalidJson` for anything but RFC 8259 JSON in UTF-8: NaN, lone surrogates and nesting beyond reason
    included.
    """
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise InvalidJson("The body is not valid JSON") from None
    if _depth(value) > _MAX_DEPTH:
        raise InvalidJson("The body is nested too deeply")
    return value


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level:
        depth += 1
        inner = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list)]
        level = [child for children in inner for child in children]
    return depth


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
    value = parse_json(raw)
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be a JSON object")
    return value


def metadata_of(body: dict[str, Any]) -> dict[str, Any]:
    """Raises `InvalidMetadata` for anything but an object, and `TooLarge` over 16 KiB."""
    metadata = body.get("metadata", {})
    if not isinstance(metadata, dict):
        raise InvalidMetadata("metadata must be a JSON object", suggestion='For example {"user_name": "John Doe"}')
    if len(json.dumps(metadata, ensure_ascii=False, separators=(",", ":")).encode()) > MAX_METADATA_BYTES:
        raise TooLarge("metadata is larger than 16 KiB")
    return metadata
