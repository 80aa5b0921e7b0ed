"""Packs and background pictures for stages on other machines (stage/sources.py). No client calls these addresses.

A server tells each stage that it is connected to a bearer token (sessions/stage_sources.py).
"""

from __future__ import annotations

import structlog
from fastapi import APIRouter, Request
from starlette.responses import Response

from visavis.api.services import ServicesDep
from visavis.engine.pack_ref import PackRef
from visavis.errors import NotFound, Unauthorized

router = APIRouter(prefix="/internal", include_in_schema=False)


log = structlog.get_logger()


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def _check(may_read: bool | None, request: Request) -> None:
    """Raises `Unauthorized`, and `NotFound` for what another stage performs."""
    if may_read is None:
        raise Unauthorized("The token of a stage is required")
    if not may_read:
        log.warning("stage_source_refused", stage=_token(request).rpartition(".")[0], path=request.url.path)
        raise NotFound("This stage performs no such session")


@router.get("/packs/{avatar_id}/{version}/{digest}")
async def pack(avatar_id: str, version: str, digest: str, request: Request, services: ServicesDep) -> Response:
    _check(await services.stage_sources.may_read_pack(_token(request), avatar_id), request)
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
    _check(await services.stage_sources.may_read_pictures(_token(request), session_id), request)
    jpeg = await services.backgrounds.get(session_id, picture_id)
    if jpeg is None:
        raise NotFound("There is no such picture")
    return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "no-store"})
