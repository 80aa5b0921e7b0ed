"""The description of /v1/admin/capacity and /v1/admin/audit."""

from __future__ import annotations

from visavis.api.admin import schemas
from visavis.api.described import refusals
from visavis.api.described.admin import examples
from visavis.api.described.admin.parts import LIMIT, OF_ACCOUNT, cursor
from visavis.api.described.examples import SESSION_ID
from visavis.api.described.parts import Described, answer, parameters
from visavis.errors import InvalidCursor, InvalidRequest

CAPACITY: Described = {
    "summary": "Get the load of this server",
    "description": "What it performs, what its stages and their machines have left, and what is wrong.",
    "response_model": schemas.AdminCapacity,
    "responses": answer(200, {"Running": examples.ADMIN_CAPACITY}) | refusals.v1(),
}

AUDIT: Described = {
    "summary": "Read the audit log",
    "description": "Who has changed what, when and from where, newest first.",
    "openapi_extra": parameters(
        OF_ACCOUNT,
        {
            "name": "subject_id",
            "description": "Only what was done to this",
            "type": "string",
            "minLength": 1,
            "maxLength": 100,
            "example": SESSION_ID,
        },
        {
            "name": "actor_id",
            "description": "Only what this key or user has done",
            "type": "string",
            "minLength": 1,
            "maxLength": 100,
            "example": examples.ADMIN_KEY,
        },
        LIMIT,
        cursor(schemas.AUDIT_ID, examples.AUDIT_ID),
    ),
    "response_model": schemas.AuditPage,
    "responses": answer(200, {"A page": examples.AUDIT}) | refusals.v1(InvalidRequest, InvalidCursor),
}
