"""The description of /v1/usage."""

from __future__ import annotations

from typing import Any

from visavis.api.described import examples, refusals
from visavis.api.described.parts import Described, answer, parameters
from visavis.api.schemas import usage_schemas
from visavis.api.schemas.parts import SESSION_ID
from visavis.errors import InvalidCursor, InvalidRequest

_TIME_ZONE: dict[str, Any] = {
    "name": "time_zone",
    "description": "In which days begin",
    "type": "string",
    "default": "UTC",
    "example": "Europe/Berlin",
}

USAGE: Described = {
    "summary": "Get the usage of your account",
    "description": "In this month (UTC). Null figures are unlimited.",
    "response_model": usage_schemas.UsageAnswer,
    "responses": answer(200, {"A plan with minutes": examples.ACCOUNT_USAGE, "Unlimited": examples.UNLIMITED_USAGE})
    | refusals.v1(),
}

DAYS: Described = {
    "summary": "Get the usage of a month by days",
    "description": "The days add up to the total, in every time zone. Days without usage are left out.",
    "openapi_extra": parameters(
        {
            "name": "month",
            "description": "Default: this month",
            "type": "string",
            "pattern": "^[0-9]{4}-[0-9]{2}$",
            "example": "2024-01",
        },
        _TIME_ZONE,
    ),
    "response_model": usage_schemas.UsageDaysAnswer,
    "responses": answer(200, {"A month": examples.USAGE_DAYS}) | refusals.v1(InvalidRequest),
}

SESSIONS: Described = {
    "summary": "Get the usage of a day by sessions",
    "description": "What each session used on that day. The sessions add up to the day.",
    "openapi_extra": parameters(
        {
            "name": "date",
            "description": "Required",
            "type": "string",
            "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
            "example": "2024-01-15",
        },
        _TIME_ZONE,
        {"name": "limit", "description": "How many at most", "type": "integer", "minimum": 1, "maximum": 100},
        {
            "name": "cursor",
            "description": "The `next_cursor` of the page before",
            "type": "string",
            "pattern": SESSION_ID,
            "example": examples.OWN_SESSION_ID,
        },
    ),
    "response_model": usage_schemas.UsageSessionsAnswer,
    "responses": answer(200, {"A day": examples.USAGE_SESSIONS}) | refusals.v1(InvalidRequest, InvalidCursor),
}
