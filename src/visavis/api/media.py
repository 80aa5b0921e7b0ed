"""/media/avatars: the pictures of avatars. docs/reference/rest.md, "Pictures"."""

from __future__ import annotations

import hashlib
from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response

from visavis.accounts.scopes import Scope, check_scope
from visavis.api.described import avatars as described
from visavis.api.described.parts import Undescribed
from visavis.api.services import Services, ServicesDep
from visavis.api.tagged import is_known
from visavis.avatars.look_files import IMAGE, PREVIEW
from visavis.connections.scope import prove
from visavis.errors import (
    ApiKeyRefused,
    AvatarNotFound,
    InsufficientScope,
    NotFound,
    PictureAddressExpired,
    SourceRefused,
)
from visavis.store.records import AvatarRecord
from visavis.timestamps import now_ms

router = APIRouter(prefix="/media/avatars", tags=["avatars"])

_KEPT_S = 3600  # how long a browser may show a picture without asking again


@router.get("/{avatar_id}/{name}", response_class=Response, **described.PICTURE)
async def picture(
    avatar_id: str,
    name: str,
    request: Request,
    services: ServicesDep,
    e: Annotated[str, Undescribed] = "",
    s: Annotated[str, Undescribed] = "",
) -> Response:
    if name not in (PREVIEW, IMAGE):
        raise NotFound
    avatar = await services.avatars.get(avatar_id)
    if avatar is None:
        raise AvatarNotFound
    if avatar.is_public:
        caching = {"Cache-Control": f"public, max-age={_KEPT_S}"}
    else:
        caching = await _caching_of_private(avatar, name, request, services, e=e, s=s)
    data = await services.avatars.picture(avatar, name)
    tag = f'"{hashlib.sha256(data).hexdigest()[:32]}"'
    headers = caching | {"ETag": tag, "Access-Control-Allow-Origin": "*"}
    if is_known(tag, request.headers.get("if-none-match", "")):
        return Response(status_code=304, headers=headers)
    return Response(data, media_type="image/jpeg", headers=headers)


async def _caching_of_private(
    avatar: AvatarRecord, name: str, request: Request, services: Services, *, e: str, s: str
) -> dict[str, str]:
    """Return how a private picture may be kept. It is shown to a signed address, and to the keys of the account that
    owns it. Raises `PictureAddressExpired`, and `AvatarNotFound` as for an avatar that does not exist.
    """
    now_s = now_ms() // 1000
    expires_s = services.pictures.expiry(avatar.id, name, e=e, s=s)
    if expires_s is not None and now_s < expires_s:
        prove(request.scope)
        return {"Cache-Control": f"private, max-age={min(_KEPT_S, expires_s - now_s)}"}
    if await _is_owners(request, avatar, services):
        prove(request.scope)
        return {"Cache-Control": "private, no-cache", "Vary": "X-Api-Key"}
    if expires_s is not None:
        raise PictureAddressExpired(
            "This address of a picture has expired", suggestion="Ask for the avatar or the session again"
        )
    raise AvatarNotFound


async def _is_owners(request: Request, avatar: AvatarRecord, services: Services) -> bool:
    address = "unknown" if request.client is None else request.client.host
    try:
        key = await services.accounts.authenticate(request.headers.get("x-api-key"), address=address)
        check_scope(key.scopes, Scope.AVATARS_READ)
    except (ApiKeyRefused, SourceRefused, InsufficientScope):
        return False
    return key.account_id == avatar.owner_account_id
