"""Parts of operations' descriptions that a handler's signature cannot say: bodies and parameters that it reads itself,
and examples.
"""

from __future__ import annotations

from typing import Any

from fastapi import Query
from pydantic import BaseModel, TypeAdapter

Described = dict[str, Any]  # keyword arguments of a route's decorator
Extra = dict[str, Any]
REQUEST_MODELS: Extra = {}  # schemas of what clients send, by name; grows as operations are described
Undescribed = Query(include_in_schema=False)  # a parameter that `parameters` describes


def parameters(*described: Extra) -> Extra:
    """Describe query parameters; each as JSON Schema has them, with its `name` and `description`."""
    return {"parameters": [_parameter(dict(one)) for one in described]}


def _parameter(schema: Extra) -> Extra:
    name, description = schema.pop("name"), schema.pop("description")
    example = schema.pop("example", None)
    shown = {} if example is None else {"example": example}
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema, **shown}


def json_body(shape: Any, examples: dict[str, Any], *, required: bool = True) -> Extra:
    """Describe a JSON body by a Pydantic type; `examples` by their summaries."""
    return body({"application/json": (schema_of(shape), examples)}, required=required)


def body(kinds: dict[str, tuple[Extra, dict[str, Any]]], *, required: bool = True) -> Extra:
    """Describe a body by its content types: each a schema and its examples."""
    content = {kind: {"schema": schema, "examples": named(examples)} for kind, (schema, examples) in kinds.items()}
    return {"requestBody": {"required": required, "content": content}}


def schema_of(shape: Any) -> Extra:
    """Return the JSON Schema of a Pydantic type; the models in it are among REQUEST_MODELS from then on."""
    schema = TypeAdapter(shape).json_schema(ref_template="#/components/schemas/{model}")
    REQUEST_MODELS.update(schema.pop("$defs", {}))
    return schema


def answer(status: int, examples: dict[str, BaseModel], *, description: str = "Done") -> dict[int | str, Extra]:
    """Describe a success by examples, which are made by the models themselves."""
    shown = {summary: example.model_dump(mode="json") for summary, example in examples.items()}
    return {status: {"description": description, "content": {"application/json": {"examples": named(shown)}}}}


def named(examples: dict[str, Any]) -> Extra:
    """Return OpenAPI's named examples: the summaries are their names, too."""
    return {
        summary.lower().replace(" ", "_").replace("'", ""): {"summary": summary, "value": value}
        for summary, value in examples.items()
    }
