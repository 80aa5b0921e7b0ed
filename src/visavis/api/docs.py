"""/docs: the description of the API as a page of plain HTML. No script and nothing from elsewhere, so that it is there
where there is no internet.
"""

from __future__ import annotations

import json
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse

router = APIRouter(include_in_schema=False)

_STYLE = """
:root { color-scheme: light dark; --line: light-dark(#ddd, #3a3a3a); --soft: light-dark(#f6f6f4, #1e1e1e) }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin-top: 2.5rem; text-transform: capitalize }
section { border-top: 1px solid var(--line); padding: .5rem 0 }
h3 { font-weight: 500; margin: .5rem 0 }
code, pre { font: 13px/1.45 ui-monospace, monospace }
pre { background: var(--soft); padding: .75rem; overflow-x: auto; border-radius: 6px }
.method { font-weight: 700; display: inline-block; min-width: 4.5rem }
"""


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    schema = request.app.openapi()
    groups: dict[str, list[str]] = {}
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            groups.setdefault(operation.get("tags", ["other"])[0], []).append(
                _operation(schema, method, path, operation)
            )
    parts = "".join(f"<h2>{escape(name)}</h2>{''.join(operations)}" for name, operations in groups.items())
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width"><title>Visavis API</title>'
        f"<style>{_STYLE}</style><h1>Visavis API</h1>"
        "<p>Every call under <code>/v1</code> carries the header <code>x-api-key</code>; rooms take their own token. "
        'For programs: <a href="/openapi.json">openapi.json</a>. The channel, over WebSocket, is described in '
        "the project's docs.</p>"
        f"{parts}</html>"
    )


def _operation(schema: dict[str, Any], method: str, path: str, operation: dict[str, Any]) -> str:
    parts = [
        f'<section><h3><code class="method">{method.upper()}</code> '
        f"<code>{escape(path)}</code></h3><p>{escape(operation.get('summary', ''))}</p>"
    ]
    if parameters := operation.get("parameters"):
        names = ", ".join(f"<code>{escape(one['name'])}</code> ({one['in']})" for one in parameters)
        parts.append(f"<p>Parameters: {names}</p>")
    for kind, content in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(_details(f"Request, {kind}", _example(schema, content.get("schema", {}))))
    for status, response in operation["responses"].items():
        if status.startswith("2") and (content := response.get("content", {}).get("application/json")):
            parts.append(_details(f"Answer, {status}", _example(schema, content.get("schema", {}))))
    refusals = ", ".join(status for status in operation["responses"] if status.startswith(("4", "5")))
    return "".join(parts) + (f"<p>Refusals: {refusals}</p>" if refusals else "") + "</section>"


def _details(title: str, example: Any) -> str:
    text = json.dumps(example, indent=2, ensure_ascii=False)
    return f"<details><summary>{escape(title)}</summary><pre>{escape(text)}</pre></details>"


def _example(schema: dict[str, Any], shape: dict[str, Any]) -> Any:
    """A value of the shape: names as they are, values as what they are."""
    if "$ref" in shape:
        return _example(schema, schema["components"]["schemas"][shape["$ref"].rpartition("/")[2]])
    for choice in ("anyOf", "oneOf"):
        if choice in shape:
            options = [_example(schema, option) for option in shape[choice]]
            objects = [option for option in options if isinstance(option, dict)]
            return objects[0] if objects else " | ".join(str(option) for option in options)
    if "const" in shape:
        return shape["const"]
    if "enum" in shape:
        return " | ".join(str(value) for value in shape["enum"])
    if shape.get("type") == "array":
        return [_example(schema, shape.get("items", {}))]
    if "properties" in shape:
        return {name: _example(schema, inner) for name, inner in shape["properties"].items()}
    return shape.get("type", "any")
