"""Reads docs/reference for tests: its tables and its examples."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.md"))}


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeRow:
    """A row of the tables of codes."""

    code: str
    http: str
    channel: str
    again: str


def rows(page: str, *, under: str = "") -> list[list[str]]:
    """Return the cells of every table row of a page. `under`: only those in the section with this heading."""
    text = PAGES[page]
    if under:
        text = text.split(f"\n## {under}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [row for row in cells if not set("".join(row)) <= {"-"}]


def code_rows() -> list[CodeRow]:
    """Return the rows of the tables of codes."""
    return [
        CodeRow(code=row[0].strip("`"), http=row[2], channel=row[3], again=row[4])
        for row in rows("errors", under="Codes")
        if row[0].startswith("`")
    ]


def examples(page: str) -> list[Any]:
    """Return every JSON value in a page's ```json blocks. A block can contain several values."""
    values = []
    for block in re.findall(r"```json\n(.*?)```", PAGES[page], re.S):
        rest = block.strip()
        while rest:
            value, end = json.JSONDecoder().raw_decode(rest)
            values.append(value)
            rest = rest[end:].lstrip()
    return values


def words(pattern: str) -> set[str]:
    """Return all matches of the pattern in the inline code of all pages."""
    spans = (span for text in PAGES.values() for span in re.findall(r"`([^`\n]+)`", text))
    return {word for span in spans for word in re.findall(pattern, span)}
