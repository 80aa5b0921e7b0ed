"""Writes every JSON answer and every message of the golden transcripts as TypeScript that names its generated type:
`tsc` then tells where a client with those types could not read it.

    PYTHONPATH=. .venv/bin/python scripts/typed_transcripts.py build/api-types/transcripts.ts
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.contract.openapi import OPENAPI
from tests.contract.test_asyncapi import said
from tests.contract.test_described import fill_placeholders, operation_of, shown_answers
from visavis.api.described.channel import CLIENT_MESSAGES, server_models, type_of

HEAD = """import type { components } from "../../integrations/typescript/channel.js";
import type { paths } from "../../integrations/typescript/http.js";

type Message = components["schemas"];
"""


def answers() -> Iterator[tuple[str, str, Any]]:
    """Yield place, type and value of each answer that the OpenAPI document describes."""
    for place, method, address, answer in shown_answers():
        operation = operation_of(method, address)
        if operation is not None and "json" in answer:
            path = next(path for path, methods in OPENAPI["paths"].items() if operation in methods.values())
            of = f'paths["{path}"]["{method.lower()}"]["responses"][{answer["answer"]}]["content"]["application/json"]'
            yield place, of, fill_placeholders(answer["json"])


def messages() -> Iterator[tuple[str, str, Any]]:
    """Yield place, type and value of each message of the server, and of each that it takes."""
    for side, models in (("server", server_models()), ("client", CLIENT_MESSAGES)):
        names: dict[str, list[str]] = {}
        for model in models:
            names.setdefault(type_of(model), []).append(f'Message["{model.__name__}"]')
        for place, message, refused in said(side):
            if side == "server" or not refused:
                yield place, " | ".join(names[message["type"]]), message


def main(out: Path) -> None:
    every = [*answers(), *messages()]
    lines = [
        f"export const a{number}: {of} = {json.dumps(value)}; // {place}"
        for number, (place, of, value) in enumerate(every)
    ]
    out.write_text("\n".join([HEAD, *lines, ""]))
    print(f"{len(every)} answers and messages of the golden transcripts")


main(Path(sys.argv[1]))
