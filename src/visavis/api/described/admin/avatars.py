"""The description of /v1/admin/avatars."""

from __future__ import annotations

from visavis.api.admin import schemas
from visavis.api.described import examples as shown
from visavis.api.described import refusals
from visavis.api.described.admin import examples
from visavis.api.described.admin.parts import LIMIT, OF_ACCOUNT, cursor
from visavis.api.described.parts import Described, answer, parameters
from visavis.api.schemas.parts import AVATAR_ID, Done
from visavis.errors import AccessDenied, AvatarNotFound, InvalidCursor, InvalidRequest

LIST: Described = {
    "summary": "List the avatars of all accounts and of the library",
    "description": "Looks, newest first.",
    "openapi_extra": parameters(OF_ACCOUNT, LIMIT, cursor(AVATAR_ID, shown.LOOK_ID)),
    "response_model": schemas.AdminAvatarPage,
    "responses": answer(200, {"A page": examples.AVATARS}) | refusals.v1(InvalidRequest, InvalidCursor),
}

DELETE: Described = {
    "summary": "Delete an avatar of any account",
    "description": "Its files go when no session uses them. A character goes with its last look. Avatars of the "
    "library cannot be deleted.",
    "response_model": Done,
    "responses": answer(200, {"Deleted": shown.DONE}) | refusals.v1(AvatarNotFound, AccessDenied),
}
