"""/v1/avatars: docs/reference/rest.md, "Avatars"."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from visavis.api import presenters, schemas
from visavis.api.addresses import Addresses
from visavis.api.body import json_object
from visavis.api.described import avatars as described
from visavis.api.described.parts import Undescribed
from visavis.api.face import DEFAULT_NAME, decode_base64_image
from visavis.api.form import FORM_TYPES, read_form
from visavis.api.names import read_name
from visavis.api.services import AddressesDep, Caller, ServicesDep
from visavis.api.sessions import reply
from visavis.api.tagged import tagged_reply
from visavis.avatars.face_points import read_points
from visavis.avatars.service import Listed
from visavis.errors import ImageRequired, InvalidRequest
from visavis.large_work import run_large

router = APIRouter(prefix="/v1/avatars", tags=["avatars"])

_FLAGS = {"true": True, "1": True, "false": False, "0": False}


def _flag(name: str, text: str) -> bool:
    try:
        return _FLAGS[text.lower()]
    except KeyError:
        raise InvalidRequest(f"Invalid {name}", suggestion="Use true or false") from None


@router.get("", **described.LIST)
async def listed(
    request: Request,
    services: ServicesDep,
    key: Caller,
    addresses: AddressesDep,
    parent_id: Annotated[str | None, Undescribed] = None,
    characters_only: Annotated[str, Undescribed] = "true",
    view: Annotated[str | None, Undescribed] = None,
) -> Response:
    if view not in (None, "flat"):
        raise InvalidRequest("Invalid view", suggestion="Use flat, or leave it out")
    only = _flag("characters_only", characters_only)
    if view == "flat":
        public, own = await services.avatars.flat(key)
        addresses = addresses.with_public(avatar.id for avatar in public)
        return tagged_reply(
            request,
            schemas.FlatAvatars(
                public_avatars=[presenters.flat_avatar(avatar, addresses) for avatar in public],
                my_avatars=[presenters.flat_avatar(avatar, addresses) for avatar in own],
            ),
        )
    found = await services.avatars.listed(key, parent_id=parent_id, characters_only=only)
    return _many(request, found, addresses)


@router.get("/public", **described.PUBLIC)
async def public(
    request: Request,
    services: ServicesDep,
    _key: Caller,
    addresses: AddressesDep,
    characters_only: Annotated[str, Undescribed] = "true",
) -> Response:
    found = await services.avatars.public(characters_only=_flag("characters_only", characters_only))
    return _many(request, found, addresses)


def _many(request: Request, found: list[Listed], addresses: Addresses) -> Response:
    addresses = addresses.with_public(one.face_id for one in found if one.avatar.is_public)
    return tagged_reply(request, schemas.ManyAvatars(avatars=[presenters.avatar(one, addresses) for one in found]))


@router.post("/upload-face", status_code=201, **described.UPLOAD_FACE)
async def upload_face(
    request: Request,
    services: ServicesDep,
    key: Caller,
    addresses: AddressesDep,
    report: Annotated[str, Undescribed] = "false",
) -> JSONResponse:
    told = _flag("report", report)
    fields = await _fields(request)
    given = [name for name in ("file", "image_url", "image_base64") if fields.get(name) not in (None, "")]
    if len(given) != 1:
        raise ImageRequired("Give exactly one of file, image_url and image_base64")
    name = DEFAULT_NAME if fields.get("name") is None else read_name(fields["name"])
    points = None if fields.get("points") in (None, "") else read_points(fields["points"])
    image = fields[given[0]]
    if given[0] != "file" and not isinstance(image, str):
        raise InvalidRequest(f"{given[0]} must be a string")
    if given[0] == "image_url":
        look = await services.avatars.add_from_url(key, image, name=name, points=points)
    else:
        photo = image if isinstance(image, bytes) else await run_large("body", decode_base64_image, image)
        look = await services.avatars.add(photo, name=name, owner=key, points=points)
    answer = presenters.uploaded_face(look, addresses)
    if told:
        found = presenters.face_report(await services.avatars.report(key, look.id))
        return reply(schemas.UploadedFaceWithReport(**dict(answer), report=found), 201)
    return reply(answer, 201)


@router.get("/{avatar_id}/report", **described.REPORT)
async def report(avatar_id: str, services: ServicesDep, key: Caller) -> JSONResponse:
    return reply(schemas.FaceReportAnswer(report=presenters.face_report(await services.avatars.report(key, avatar_id))))


async def _fields(request: Request) -> dict[str, Any]:
    """The fields of a form or of a JSON object; `file` as bytes. Raises `InvalidRequest`,
    `UnsupportedMediaType`.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in FORM_TYPES:
        body = await json_object(request)
        if "file" in body:
            raise InvalidRequest("file must be sent as multipart/form-data", suggestion="Send image_base64 in JSON")
        return body
    return await read_form(request, kind)


@router.delete("/{avatar_id}", **described.DELETE)
async def delete(avatar_id: str, services: ServicesDep, key: Caller) -> JSONResponse:
    await services.avatars.delete(key, avatar_id)
    await services.avatars.purge(spared=services.live.table.starting_avatars())
    return reply(schemas.Done())
