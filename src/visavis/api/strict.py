"""`Prefer: handling=strict`: unknown members of a body are refused, with the nearest name (RFC 7240, section 4.4)."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection
from typing import Any

from starlette.requests import Request

from visavis.errors import InvalidRequest

APPLIED = {"Preference-Applied": "handling=strict"}
_STRICT = re.compile(r'(?:^|[,;])\s*handling\s*=\s*"?strict"?\s*(?:$|[,;])', re.IGNORECASE)


def is_strict(request: Request) -> bool:
    return any(_STRICT.search(line) for line in request.headers.getlist("prefer"))


def check_members(request: Request, body: dict[str, Any], known: Collection[str], *, within: str = "") -> None:
    """Raises `InvalidRequest` for the first unknown member, if the request wants to be handled strictly."""
    unknown = next((name for name in body if name not in known), None)
    if unknown is None or not is_strict(request):
        return
    near = difflib.get_close_matches(unknown[:100], known, n=1)
    hint = f"Did you mean {within}{near[0]}?" if near else f"Known are {', '.join(sorted(known))}"
    raise InvalidRequest(f"Unknown field {within}{unknown[:100]}", suggestion=hint)
