"""The form of an upload, read within bounds: docs/reference/rest.md, "Avatars"."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from visavis.api.envelope import MAX_UPLOAD_BYTES
from visavis.api.going_away import note_members
from visavis.engine.images.image_type import MAX_IMAGE_BYTES
from visavis.errors import InvalidRequest, UnsupportedMediaType
from visavis.large_work import run_large

FORM_TYPES = ("multipart/form-data", "application/x-www-form-urlencoded")
MAX_FILES = 2
MAX_FIELDS = 10
MAX_FIELD_BYTES = 14 * 1024 * 1024  # 10 MB of image in base64
MAX_PART_HEADER_BYTES = 4096
MAX_CONTENT_TYPE_CHARS = 1024
MAX_ESCAPES = 1_000_000  # `%2B` and its like; base64 of 10 MB has 420,000
_CHARSETS = (b"utf-8", b"utf8", b"us-ascii")


async def read_form(request: Request, kind: str) -> dict[str, Any]:
    """Return the fields of a form of the given type; `file` as bytes.

    Raises `InvalidRequest`, and `UnsupportedMediaType` for another charset than UTF-8: Python's codecs for some of
    them (punycode) take seconds.
    """
    content_type = request.headers.get("content-type", "")
    if len(content_type) > MAX_CONTENT_TYPE_CHARS:
        raise UnsupportedMediaType(f"Content-Type is longer than {MAX_CONTENT_TYPE_CHARS} characters")
    _, options = parse_options_header(content_type)
    if options.get(b"charset", b"utf-8").lower() not in _CHARSETS:
        raise UnsupportedMediaType("The form's charset must be utf-8", suggestion="Send the form in UTF-8")
    try:
        pairs = await (_multipart(request) if kind == FORM_TYPES[0] else _urlencoded(request))
    except MultiPartException as error:
        raise InvalidRequest(error.message) from None
    except (KeyError, AssertionError, ValueError):
        raise InvalidRequest("The form cannot be read") from None
    fields = dict(pairs)
    note_members(request.scope, fields)
    for name in ("file", "image_url", "image_base64", "name", "points"):
        if sum(given == name for given, _ in pairs) > 1:
            raise InvalidRequest(f"The form has more than one {name}", suggestion=f"Send {name} once")
    if isinstance(fields.get("file"), str):
        raise InvalidRequest("file must be a file part, with a filename")
    return fields


async def _multipart(request: Request) -> list[tuple[str, Any]]:
    parser = _Parts(
        request.headers,
        request.stream(),
        max_files=MAX_FILES,
        max_fields=MAX_FIELDS,
        max_part_size=MAX_FIELD_BYTES,
    )
    form = await parser.parse()
    try:
        return [
            (name, await value.read(MAX_IMAGE_BYTES + 1) if isinstance(value, UploadFile) else value)
            for name, value in form.multi_items()
        ]
    finally:
        await form.close()


class _Parts(MultiPartParser):
    """Starlette's parser, with a bound on the headers of a part: it collects and searches them without one. A file
    stays in memory, as the other bodies do: it is bounded, and a disk may be full.
    """

    spool_max_size = MAX_UPLOAD_BYTES

    _header_bytes = 0

    def on_part_begin(self) -> None:
        super().on_part_begin()
        self._header_bytes = 0

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        super().on_header_field(data, start, end)

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        super().on_header_value(data, start, end)

    def _count(self, size_bytes: int) -> None:
        self._header_bytes += size_bytes
        if self._header_bytes > MAX_PART_HEADER_BYTES:
            raise MultiPartException(f"The headers of a part are longer than {MAX_PART_HEADER_BYTES} bytes")


async def _urlencoded(request: Request) -> list[tuple[str, Any]]:
    """Raises ValueError for more fields than MAX_FIELDS and for text that is not UTF-8."""
    body = await request.body()
    if body.count(b"%") > MAX_ESCAPES:
        raise InvalidRequest("The form has too many escapes", suggestion="Send the image as multipart/form-data")
    return await run_large("body", _pairs, body)


def _pairs(body: bytes) -> list[tuple[str, str]]:
    return parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
