"""What is around every request: its id, the bound on its body, the headers of safety, and the last catch of what nobody
else caught.
"""

from __future__ import annotations

import re

import structlog
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from visavis.api.cross_origin import EXPOSED
from visavis.api.errors import error_response, internal_error_response, log_fault
from visavis.api.going_away import headers_for
from visavis.errors import InvalidRequest, TooLarge, VisavisError
from visavis.ids import new_id

MAX_BODY_BYTES = 1024 * 1024
MAX_UPLOAD_BYTES = 16 * 1024 * 1024  # 10 MB of image as base64 in JSON, with room to spare
_HAS_IMAGE = re.compile(r"/v1/sessions|/v1/avatars/(upload-face|[^/]+/face)")

# The page's own scripts, styles and pictures; blob: and data: for recordings and previews; WebSocket to this server
# alone.
_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "media-src 'self' data: blob:; "
    "connect-src 'self' ws: wss:; worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'"
)
_SCRIPTS_OF_ANY_PAGE = ("/alpha.js", "/client.js", "/capture.worklet.js")
# Any page may show a room; its token says which.
_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": EXPOSED,
}
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",  # an answer may hold tokens
}

_RawHeaders = list[tuple[bytes, bytes]]


def _raw(headers: dict[str, str]) -> _RawHeaders:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


_OF_ROOMS = _raw(_HEADERS)
_OF_ANY_PAGE = _raw(_HEADERS | _CORS)
_OF_OTHERS = _raw(_HEADERS | {"Content-Security-Policy": _POLICY + "; frame-ancestors 'none'"})

log = structlog.get_logger()


def _defaults_of(path: str) -> _RawHeaders:
    """Return the headers of an answer that says nothing else. Any page may hold a room in a frame; nothing else of
    ours, the playground with its key least of all.
    """
    if path.startswith("/rooms/"):
        return _OF_ANY_PAGE if "/whep" in path or path.endswith("/picture") else _OF_ROOMS
    return _OF_ANY_PAGE if path in _SCRIPTS_OF_ANY_PAGE else _OF_OTHERS


class _BodyTooLarge(Exception):
    pass


class Envelope:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = new_id("req")
        given = Headers(scope=scope)
        announced = given.get("content-length", "")
        unclear = bool(announced) and "transfer-encoding" in given
        most = MAX_UPLOAD_BYTES if _HAS_IMAGE.fullmatch(scope["path"].rstrip("/")) else MAX_BODY_BYTES
        defaults = _defaults_of(scope["path"])
        began = False

        async def send_marked(message: Message) -> None:
            nonlocal began
            if message["type"] == "http.response.start":
                began = True
                said = {name for name, _ in message["headers"]}
                headers: _RawHeaders = [*message["headers"], (b"request-id", request_id.encode())]
                if (allowance := scope.get("visavis.allowance")) is not None:
                    headers += allowance.raw_headers()
                headers += headers_for(scope)
                headers += [(b"connection", b"close")] if unclear else []
                headers += [one for one in defaults if one[0] not in said]
                message["headers"] = headers  # a list of its own: an answer may be given again
            await send(message)

        if unclear:  # a proxy may have found another end of the body (RFC 9112, section 6.3)
            refused = InvalidRequest("A body has Content-Length or Transfer-Encoding, not both")
            if not scope["path"].startswith("/v1/"):
                await error_response(refused)(scope, receive, send_marked)
                return
            scope["visavis.refused"] = refused  # the gate answers: it counts the request
        received = 0

        async def receive_bounded() -> Message:
            nonlocal received
            if announced.isascii() and announced.isdigit() and int(announced) > most:
                raise _BodyTooLarge  # before any of it is waited for
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                raise _BodyTooLarge
            return message

        answer: Response
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive_bounded, send_marked)
                return
            except _BodyTooLarge:
                answer = error_response(TooLarge(f"The body is larger than {most // 1024} KiB"))
            except ClientDisconnect:
                return  # it left before its body had come: nobody is there to be answered
            except Exception as error:  # noqa: BLE001 (the outermost edge of a request)
                answer = _answer_to(error, scope)
            if not began:
                await answer(scope, receive, send_marked)


def _answer_to(error: Exception, scope: Scope) -> Response:
    """Log an error of a middleware, or one that nobody has caught, and return its answer."""
    if isinstance(error, VisavisError):
        log_fault(error)
        return error_response(error)
    log.error("request_crashed", method=scope["method"], path=scope["path"], exc_info=error)
    return internal_error_response()
