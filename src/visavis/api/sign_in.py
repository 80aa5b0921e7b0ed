"""/sign-in: how an operator's page signs in, asks whether it is signed in, and signs out. docs/reference/rest.md,
"Signing in in a browser".
"""

from __future__ import annotations

from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse

from visavis.accounts.sign_ins import SignIn
from visavis.api.body import json_object
from visavis.api.schemas import browser_schemas
from visavis.api.schemas.parts import Done
from visavis.api.services import AddressesDep, Services, ServicesDep
from visavis.connections.scope import prove
from visavis.errors import InvalidRequest
from visavis.timestamps import format_time, now_ms

router = APIRouter(prefix="/sign-in", include_in_schema=False)

_MAX_CODE_CHARS = 200


@router.post("")
async def begin(request: Request, services: ServicesDep, addresses: AddressesDep) -> JSONResponse:
    """Sign in with `key` or with `code`. A page of another origin cannot: it could sign the operator in with a key of
    its own.
    """
    services.operator_cookies.check_page("POST", request.headers)
    body = await json_object(request)
    given = {name: body[name] for name in ("key", "code") if body.get(name) is not None}
    if len(given) != 1:
        raise InvalidRequest("Give exactly one of key and code")
    ((name, text),) = given.items()
    if not isinstance(text, str) or len(text) > _MAX_CODE_CHARS:
        raise InvalidRequest(f"{name} must be a string of at most {_MAX_CODE_CHARS} characters")
    address = request.client.host if request.client else "unknown"
    sign_ins = services.sign_ins
    begin_with = sign_ins.begin_with_key if name == "key" else sign_ins.begin_with_code
    found, token = await begin_with(text.strip(), address=address)
    prove(request.scope)
    answer = _shown(found, token, services)
    lasts_s = max(1, (found.expires_at_ms - now_ms()) // 1000)
    answer.headers["Set-Cookie"] = services.operator_cookies.set_header(
        token, lasts_s=lasts_s, secure=_is_secure(addresses.base_url)
    )
    return answer


@router.get("")
async def get(request: Request, services: ServicesDep) -> JSONResponse:
    """Answer the sign-in of this browser; null without one."""
    services.operator_cookies.check_page("GET", request.headers)
    token = services.operator_cookies.token_in(request.headers)
    address = request.client.host if request.client else "unknown"
    found = None if token is None else await services.sign_ins.find(token, address=address)
    if token is None or found is None:
        return JSONResponse(browser_schemas.SignedIn(sign_in=None).model_dump(mode="json"))
    return _shown(found, token, services)


@router.delete("")
async def end(request: Request, services: ServicesDep, addresses: AddressesDep) -> JSONResponse:
    """Sign out. Also answers success where nobody was signed in."""
    cookies = services.operator_cookies
    cookies.check_page("DELETE", request.headers)
    token = cookies.token_in(request.headers)
    if token is not None:
        cookies.check_token(token, request.headers)
        await services.sign_ins.end(token)
    answer = JSONResponse(Done().model_dump(mode="json"))
    answer.headers["Set-Cookie"] = cookies.set_header("", lasts_s=0, secure=_is_secure(addresses.base_url))
    return answer


def _shown(found: SignIn, token: str, services: Services) -> JSONResponse:
    shown = browser_schemas.SignedIn(
        sign_in=browser_schemas.SignIn(
            key=browser_schemas.SignInKey(
                name=found.key.name, start=found.key.start, test=found.key.test, scopes=found.key.scopes
            ),
            expires_at=format_time(found.expires_at_ms),
            page_token=services.operator_cookies.forgery_token(token),
            text=services.settings.voice_url is not None,
        )
    )
    return JSONResponse(shown.model_dump(mode="json"))


def _is_secure(base_url: str) -> bool:
    return urlsplit(base_url).scheme == "https"
