"""The answer to what is no request that the application could see."""

from __future__ import annotations

import json

from visavis.errors import InvalidRequest
from visavis.ids import new_id


def bad_request(message: str) -> bytes:
    """Return a whole answer with status 400, in ASCII, behind which the connection closes."""
    error = {"message": message, "code": InvalidRequest.code}
    body = json.dumps({"success": False, "error": error}, separators=(",", ":"))
    head = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nRequest-Id: {new_id('req')}"
    return f"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n{head}\r\n\r\n{body}".encode("ascii")
