"""The description of /v1/admin/sessions."""

from __future__ import annotations

from visavis.api.admin import schemas
from visavis.api.described import examples as shown
from visavis.api.described import refusals
from visavis.api.described.admin import examples
from visavis.api.described.admin.parts import LIMIT, OF_ACCOUNT, cursor
from visavis.api.described.parts import Described, answer, parameters
from visavis.api.schemas import metrics_schemas
from visavis.api.schemas.parts import SESSION_ID
from visavis.errors import InvalidCursor, InvalidRequest, SessionEnded, SessionNotFound, SessionNotStarted
from visavis.sessions.lifecycle import EndReason

LIST: Described = {
    "summary": "List the sessions of all accounts",
    "description": "Newest first. A page with `reason` looks at 10,000 sessions at most, and can be short.",
    "openapi_extra": parameters(
        {
            "name": "status",
            "description": "Keep only these",
            "enum": ["all", "created", "started", "ended"],
            "default": "all",
        },
        OF_ACCOUNT,
        {
            "name": "reason",
            "description": "Only those that have ended for it",
            "enum": [reason.value for reason in EndReason],
        },
        LIMIT,
        cursor(f"^[0-9]{{1,15}}-{SESSION_ID[1:]}", f"1705320000000-{shown.SESSION_ID}"),
    ),
    "response_model": schemas.AdminSessionPage,
    "responses": answer(200, {"A page": examples.SESSIONS}) | refusals.v1(InvalidRequest, InvalidCursor),
}

GET: Described = {
    "summary": "Get a session of any account",
    "response_model": schemas.OneAdminSession,
    "responses": answer(200, {"Ended": examples.SESSION}) | refusals.v1(SessionNotFound),
}

METRICS: Described = {
    "summary": "Get the metrics of a session of any account",
    "description": "Of a session that runs, or is among the last 256 that have ended since the server started.",
    "response_model": metrics_schemas.SessionMetricsAnswer,
    "responses": answer(200, {"Running": shown.SESSION_METRICS})
    | refusals.v1(SessionNotFound, SessionNotStarted, SessionEnded),
}

END: Described = {
    "summary": "End a session of any account",
    "description": "Its reason is `ended_by_operator`. A second end changes nothing.",
    "response_model": schemas.OneAdminSession,
    "responses": answer(200, {"Ended": examples.SESSION}) | refusals.v1_post(SessionNotFound, SessionNotStarted),
}
