"""Answers with an ETag, which a client that has them already need not get again (RFC 9110, section 13.1.2)."""

from __future__ import annotations

import hashlib

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response


def tagged_reply(request: Request, answer: BaseModel) -> Response:
    """Return the answer, or 304 where the client names its tag in If-None-Match."""
    whole = JSONResponse(answer.model_dump(mode="json"))
    tag = f'W/"{hashlib.sha256(bytes(whole.body)).hexdigest()[:32]}"'  # weak: the answer may be compressed
    headers = {"ETag": tag}  # a program keeps the answer itself: caches may not, for it has signed addresses
    if is_known(tag, request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    whole.headers.update(headers)
    return whole


def is_known(tag: str, if_none_match: str) -> bool:
    """Return whether If-None-Match names this tag."""
    known = [one.strip().removeprefix("W/") for one in if_none_match.split(",")]
    return tag.removeprefix("W/") in known or "*" in known
