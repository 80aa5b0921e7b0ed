"""/v1/avatars: docs/reference/rest.md, "Avatars"."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from visavis.api import presenters
from visavis.api.addresses import Addresses
from visavis.api.body import json_object
from visavis.api.described import avatars as described
from visavis.api.described.parts import Undescribed
from visavis.api.face import DEFAULT_NAME, decode_base64_image
from visavis.api.form import FORM_TYPES, read_form
from visavis.api.names import read_name
from visavis.api.schemas import avatar_schemas
from visavis.api.schemas.parts import Done
from visavis.api.services import AddressesDep, Caller, Services, ServicesDep
from visavis.api.sessions import reply
from visavis.api.strict import APPLIED, check_members, is_strict
from visavis.api.tagged import tagged_reply
from visavis.avatars.face_points import read_points
from visavis.avatars.service import Listed
from visavis.engine.portrait.points import SevenPoints
from visavis.errors import ImageRequired, InvalidRequest
from visavis.large_work import run_large
from visavis.sessions.claims import Claim
from visavis.store.records import AvatarRecord, KeyRecord

router = APIRouter(prefix="/v1/avatars", tags=["avatars"])

IMAGE_MEMBERS = ("file", "image_url", "image_base64")
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
        public, own = await services.avatars.flat(key, parent_id=parent_id)
        addresses = addresses.with_public(avatar.id for avatar in public)
        return tagged_reply(
            request,
            avatar_schemas.FlatAvatars(
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
    return tagged_reply(
        request, avatar_schemas.ManyAvatars(avatars=[presenters.avatar(one, addresses) for one in found])
    )


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
    check_members(request, fields, (*IMAGE_MEMBERS, "name", "points"))
    given, image, points = _image_of(fields)
    name = DEFAULT_NAME if fields.get("name") is None else read_name(fields["name"])
    claim: Claim | None = request.scope.get("visavis.claim")
    ids = None if claim is None else claim.avatar
    if given == "image_url":
        look = await services.avatars.add_from_url(key, str(image), name=name, points=points, ids=ids)
    else:
        photo = image if isinstance(image, bytes) else await run_large("body", decode_base64_image, image)
        look = await services.avatars.add(photo, name=name, owner=key, points=points, ids=ids)
    return await _reply_made(request, services, key, look, addresses, told=told, status=201)


@router.put("/{avatar_id}/face", **described.REPLACE_FACE)
async def replace_face(
    avatar_id: str,
    request: Request,
    services: ServicesDep,
    key: Caller,
    addresses: AddressesDep,
    report: Annotated[str, Undescribed] = "false",
) -> JSONResponse:
    told = _flag("report", report)
    look = await services.avatars.owned_look(key, avatar_id)  # before a photo is fetched for nothing
    fields = await _fields(request)
    check_members(request, fields, (*IMAGE_MEMBERS, "points"))
    given, image, points = _image_of(fields)
    if given == "image_url":
        photo = await services.avatars.fetch_photo(key, str(image))
    else:
        photo = image if isinstance(image, bytes) else await run_large("body", decode_base64_image, image)
    look = await services.avatars.replace(key, look.id, photo, points=points)
    return await _reply_made(request, services, key, look, addresses, told=told, status=200)


def _image_of(fields: dict[str, Any]) -> tuple[str, str | bytes, SevenPoints | None]:
    """Return which member has the image, the image, and the points. Raises `ImageRequired`, `InvalidPoints` and
    `InvalidRequest`.
    """
    given = [name for name in IMAGE_MEMBERS if fields.get(name) not in (None, "")]
    if len(given) != 1:
        raise ImageRequired("Give exactly one of file, image_url and image_base64")
    points = None if fields.get("points") in (None, "") else read_points(fields["points"])
    image = fields[given[0]]
    if given[0] != "file" and not isinstance(image, str):
        raise InvalidRequest(f"{given[0]} must be a string")
    return given[0], image, points


async def _reply_made(
    request: Request,
    services: Services,
    key: KeyRecord,
    look: AvatarRecord,
    addresses: Addresses,
    *,
    told: bool,
    status: int,
) -> JSONResponse:
    """Return the answer to a photo that has become a look. `told`: with the report on the photo."""
    answer = presenters.uploaded_face(look, addresses)
    if told:
        found = presenters.face_report(await services.avatars.report(key, look.id))
        made = reply(avatar_schemas.UploadedFaceWithReport(**dict(answer), report=found), status)
    else:
        made = reply(answer, status)
    if is_strict(request):
        made.headers.update(APPLIED)
    return made


@router.get("/{avatar_id}/report", **described.REPORT)
async def report(avatar_id: str, services: ServicesDep, key: Caller) -> JSONResponse:
    return reply(
        avatar_schemas.FaceReportAnswer(report=presenters.face_report(await services.avatars.report(key, avatar_id)))
    )


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
    return reply(Done())
