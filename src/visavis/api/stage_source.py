"""Packs and background pictures for stages on other machines (stage/sources.py). No client calls these addresses.

The bearer token is made anew by each server process, which tells it to the stages that it is connected to.
"""

from __future__ import annotations

import hmac

from fastapi import APIRouter, Request
from starlette.responses import Response

from visavis.api.services import Services, ServicesDep
from visavis.engine.pack_ref import PackRef
from visavis.errors import NotFound, Unauthorized

router = APIRouter(prefix="/internal", include_in_schema=False)


def _check(request: Request, services: Services) -> None:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(token.encode(), services.source_token.encode()):
        raise Unauthorized("The token of a stage is required")


@router.get("/packs/{avatar_id}/{version}/{digest}")
async def pack(avatar_id: str, version: str, digest: str, request: Request, services: ServicesDep) -> Response:
    _check(request, services)
    try:
        ref = PackRef(avatar_id=avatar_id, version=int(version), digest=digest)
    except ValueError:
        raise NotFound("There is no such pack") from None
    archive = await services.avatars.pack_archive(ref)
    if archive is None:
        raise NotFound("There is no such pack")
    return Response(archive, media_type="application/msgpack", headers={"Cache-Control": "no-store"})


@router.get("/pictures/{session_id}/{picture_id}")
async def picture(session_id: str, picture_id: str, request: Request, services: ServicesDep) -> Response:
    _check(request, services)
    jpeg = await services.backgrounds.get(session_id, picture_id)
    if jpeg is None:
        raise NotFound("There is no such picture")
    return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "no-store"})
