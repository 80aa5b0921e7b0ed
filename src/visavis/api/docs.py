"""/docs: the reference, and the operations of the API as OpenAPI describes them.

The handlers are plain functions, which run in threads: what they answer is large.
"""

from __future__ import annotations

import json
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from visavis import __version__
from visavis.api.described.channel import asyncapi
from visavis.api.docs_page import OPERATIONS, docs_page
from visavis.api.reference import (
    INDEX,
    PAGES,
    address_of,
    link_to,
    llms_text,
    reference_page,
    reference_text,
)
from visavis.api.services import AddressesDep, ServicesDep
from visavis.errors import NotFound, declared_errors

router = APIRouter(include_in_schema=False)


@router.get("/docs")
def index() -> HTMLResponse:
    return _reference(INDEX)


@router.get(OPERATIONS)
def operations(request: Request) -> HTMLResponse:
    schema = request.app.openapi()
    groups: dict[str, list[str]] = {}
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            groups.setdefault(operation.get("tags", ["other"])[0], []).append(_operation(method, path, operation))
    parts = "".join(f"<h2>{escape(name.capitalize())}</h2>{''.join(shown)}" for name, shown in groups.items())
    body = (
        "<h1>Operations</h1><p>Every HTTP call, with examples of its requests and answers and with the codes of its "
        f'refusals. For programs: <a href="{link_to("/openapi.json", at=OPERATIONS)}">openapi.json</a> (OpenAPI 3.1). '
        f'The <a href="{link_to("/docs", at=OPERATIONS)}">reference</a> explains them.</p>{parts}'
    )
    return docs_page(title="Operations", body=body, at=OPERATIONS)


@router.get("/openapi.json")
def description(request: Request) -> JSONResponse:
    return JSONResponse(request.app.openapi())


@router.get("/docs/{name}")
def page(name: str) -> Response:
    """Show a page of the reference; with `.md` at its end as it was written. Raises `NotFound`."""
    page_name, _, ending = name.partition(".")
    if page_name not in PAGES or ending not in ("", "md") or (page_name == INDEX and not ending):
        raise NotFound
    if ending:
        return PlainTextResponse(reference_text(page_name), media_type="text/markdown")
    return _reference(name)


@router.get("/asyncapi.json")
def channel_description(services: ServicesDep) -> JSONResponse:
    return JSONResponse(asyncapi(version=__version__, public_url=services.settings.public_url))


@router.get("/llms.txt")
def for_language_models(addresses: AddressesDep) -> PlainTextResponse:
    """An index of the reference for language models (https://llmstxt.org)."""
    return PlainTextResponse(llms_text(addresses.base_url), media_type="text/markdown")


def _reference(name: str) -> HTMLResponse:
    shown = reference_page(name)
    return docs_page(title=shown.title, body=shown.html, at=address_of(name), headings=shown.headings)


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    parts = [
        f'<section><h3><code class="method">{method.upper()}</code> <code>{escape(path)}</code></h3>'
        f"<p>{escape(operation['summary'])}. {_with_code(operation.get('description', ''))}</p>"
    ]
    if parameters := operation.get("parameters"):
        names = ", ".join(f"<code>{escape(one['name'])}</code> ({one['in']})" for one in parameters)
        parts.append(f"<p>Parameters: {names}</p>")
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        parts += [_example(f"Request, {kind}", one) for one in _examples(content)]
    refusals: dict[str, list[str]] = {}
    for status, response in operation["responses"].items():
        for content in response.get("content", {}).values():
            if status.startswith("2"):
                parts += [_example(f"Answer, {status}", one) for one in _examples(content)]
            else:
                refusals.setdefault(status, []).extend(map(_refusal, content.get("examples", {})))
    shown = "".join(f"<li>{status} {', '.join(names)}</li>" for status, names in sorted(refusals.items()))
    if shown:
        parts.append(f'<ul class="refusals">{shown}</ul>')
    return "".join(parts) + "</section>"


def _refusal(name: str) -> str:
    """Return the HTML of a refusal's name: its code, unless its body carries none."""
    return f"<code>{escape(name)}</code>" if name in declared_errors() else escape(name.replace("_", " "))


def _with_code(text: str) -> str:
    """Return the HTML of a description, in which code stands between backticks."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if number % 2 else piece for number, piece in enumerate(pieces))


def _examples(content: dict[str, Any]) -> list[dict[str, Any]]:
    named = list(content.get("examples", {}).values())
    return named or ([{"value": content["example"]}] if "example" in content else [])


def _example(title: str, example: dict[str, Any]) -> str:
    value = example["value"]
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    told = f"{title}: {example['summary']}" if "summary" in example else title
    return f"<details><summary>{escape(told)}</summary><pre>{escape(text)}</pre></details>"
