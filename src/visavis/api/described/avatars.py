"""The description of /v1/avatars and of the pictures of avatars."""

from __future__ import annotations

from typing import Any

from visavis.api.described import examples, refusals
from visavis.api.described.parts import Described, answer, body, parameters
from visavis.api.described.requests import POINTS
from visavis.api.schemas import avatar_schemas
from visavis.api.schemas.parts import Done
from visavis.errors import (
    AccessDenied,
    AvatarNotALook,
    AvatarNotFound,
    ImageRequired,
    InvalidJson,
    InvalidPoints,
    InvalidRequest,
    NotFound,
    PictureAddressExpired,
    ReportNotFound,
    UnsupportedMediaType,
)

_CHARACTERS_ONLY: dict[str, Any] = {
    "name": "characters_only",
    "description": "Leave the looks out",
    "type": "boolean",
    "default": True,
}

LIST: Described = {
    "summary": "List the avatars that you can use",
    "description": "Your own and the public ones, newest first.",
    "openapi_extra": parameters(
        {"name": "parent_id", "description": "The looks of this character", "type": "string"},
        _CHARACTERS_ONLY,
        {"name": "view", "description": "The own-room shape: looks alone", "enum": ["flat"]},
    ),
    "response_model": avatar_schemas.ManyAvatars | avatar_schemas.FlatAvatars,
    "responses": answer(
        200,
        {"Characters": examples.CHARACTERS, "Looks of a character": examples.LOOKS, "Flat": examples.FLAT_AVATARS},
    )
    | refusals.v1(InvalidRequest, AvatarNotFound),
}

PUBLIC: Described = {
    "summary": "List the public avatars",
    "description": "Newest first, at most 100.",
    "openapi_extra": parameters(_CHARACTERS_ONLY),
    "response_model": avatar_schemas.ManyAvatars,
    "responses": answer(200, {"Characters": examples.PUBLIC_AVATARS}) | refusals.v1(InvalidRequest),
}

_POINTS_EXAMPLE = {
    "left_eye": [0.36, 0.29],
    "right_eye": [0.62, 0.28],
    "mouth_left": [0.44, 0.58],
    "mouth_right": [0.56, 0.58],
    "upper_lip": [0.50, 0.49],
    "lower_lip": [0.50, 0.67],
    "chin": [0.51, 0.79],
}
_NAME = {"type": "string", "minLength": 1, "maxLength": 100, "description": "Of the character; printable"}
_URL = {"type": "string", "format": "uri", "description": "A public http(s) address of an image"}
_BASE64 = {"type": "string", "minLength": 1, "description": "With or without its data: prefix"}


def _one_of(given: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    """Describe an object that has exactly one of `given`, and may have the others."""
    return {
        "oneOf": [
            {"type": "object", "properties": {name: shape, **others}, "required": [name], "title": name}
            for name, shape in given.items()
        ]
    }


_REPORT_TOO = parameters(
    {"name": "report", "description": "Answer what was found in the photo, too", "type": "boolean", "default": False}
)
_PHOTO_REFUSALS: tuple[refusals.Kind, ...] = (
    ImageRequired,
    InvalidPoints,
    InvalidJson,
    UnsupportedMediaType,
    *refusals.PHOTO,
)


def _photo_body(others: dict[str, Any]) -> dict[str, Any]:
    """Describe the body of a call that makes a look of a photo. `others`: members beside the photo and the points."""
    named = {"name": "Ann"} if "name" in others else {}
    return body(
        {
            "multipart/form-data": (
                {
                    "type": "object",
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "image_url": _URL,
                        "image_base64": _BASE64,
                        **others,
                        "points": {"type": "string", "description": "JSON text of the seven points"},
                    },
                },
                {"A file": {"file": "(the file)", **named}},
            ),
            "application/json": (
                _one_of({"image_url": _URL, "image_base64": _BASE64}, {**others, "points": POINTS}),
                {
                    "An address": {"image_url": "https://www.example.com/ann.jpg", **named},
                    "Base64, with the face marked": {
                        "image_base64": "/9j/4AAQSkZJRgABAQAAAQABAAD/2Q==",
                        "points": _POINTS_EXAMPLE,
                    },
                },
            ),
        }
    )


UPLOAD_FACE: Described = {
    "summary": "Make an avatar of a photo",
    "description": "Exactly one of `file`, `image_url` and `image_base64`: JPEG, PNG, WebP or GIF, at most 10 MB. "
    "Answers when the avatar is ready, some seconds later.",
    "openapi_extra": _REPORT_TOO | _photo_body({"name": _NAME}),
    "response_model": avatar_schemas.UploadedFace | avatar_schemas.UploadedFaceWithReport,
    "responses": answer(201, {"Plain": examples.UPLOADED_FACE, "With report=true": examples.UPLOADED_FACE_WITH_REPORT})
    | refusals.v1_post(*_PHOTO_REFUSALS),
}

REPLACE_FACE: Described = {
    "summary": "Replace the photo of an avatar of your own",
    "description": "Makes a look anew from another photo, under its id; of a character, its first look. Sessions that "
    "run go on as they are.",
    "openapi_extra": _REPORT_TOO | _photo_body({}),
    "response_model": avatar_schemas.UploadedFace | avatar_schemas.UploadedFaceWithReport,
    "responses": answer(200, {"Plain": examples.UPLOADED_FACE, "With report=true": examples.UPLOADED_FACE_WITH_REPORT})
    | refusals.v1(AccessDenied, AvatarNotFound, AvatarNotALook, *_PHOTO_REFUSALS),
}

REPORT: Described = {
    "summary": "What was found in an avatar's photo",
    "description": "Of a look, or of a character's first look.",
    "response_model": avatar_schemas.FaceReportAnswer,
    "responses": answer(200, {"Report": examples.FACE_REPORT})
    | refusals.v1(AvatarNotALook, AccessDenied, AvatarNotFound, ReportNotFound),
}

DELETE: Described = {
    "summary": "Delete an avatar of your own",
    "description": "A character goes with its looks. Live sessions finish first.",
    "response_model": Done,
    "responses": answer(200, {"Deleted": examples.DONE}) | refusals.v1(AccessDenied, AvatarNotFound),
}

PICTURE: Described = {
    "summary": "A picture of an avatar",
    "description": "`preview.jpg` (500 x 500) or `image.jpg` (at most 1200 px wide), of a look or of a character's "
    "first look. Addresses of private pictures are signed, and expire. Without a signature such a picture needs the "
    "key that owns it.",
    "openapi_extra": parameters(
        {"name": "e", "description": "When the address expires, unix seconds", "type": "string"},
        {"name": "s", "description": "The signature of the address", "type": "string"},
    ),
    "responses": {
        200: {"description": "A JPEG", "content": {"image/jpeg": {"schema": {}}}},
        304: {"description": "The picture has the `ETag` of `If-None-Match`"},
    }
    | refusals.refusals(NotFound, AvatarNotFound, PictureAddressExpired),
}
