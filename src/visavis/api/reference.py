"""The reference (docs/reference, Markdown) as HTML. It comes with the package, so that every server can show it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

import visavis

INDEX = "README"
PAGES = (
    INDEX,
    "rest",
    "channel",
    "output",
    "rooms",
    "livekit",
    "webhooks",
    "metrics",
    "browsers",
    "admin",
    "errors",
)  # in the order of reading

_LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    level: int
    anchor: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferencePage:
    """`html`: of the page's body; `headings`: the sections below its title."""

    name: str
    title: str
    html: str
    headings: tuple[Heading, ...]


def reference_folder() -> Path:
    """Return where the Markdown is: within the installed package, or in the checkout that an editable installation
    leads to.
    """
    package = Path(visavis.__file__).parent
    packaged = package / "reference"
    return packaged if packaged.is_dir() else package.parents[1] / "docs" / "reference"


def address_of(name: str) -> str:
    """Return where this server shows a page."""
    return "/docs" if name == INDEX else f"/docs/{name}"


def link_to(address: str, *, at: str) -> str:
    """Return the link to an address of this server for the page at `at`, relative: it holds behind any proxy."""
    return "../" * (at.count("/") - 1) + address.removeprefix("/")


@cache
def reference_text(name: str) -> str:
    """Return a page of PAGES as it was written, in Markdown."""
    return (reference_folder() / f"{name}.md").read_text(encoding="utf-8")


def llms_text(base_url: str) -> str:
    """Return an index of the reference for language models (https://llmstxt.org). `base_url`: of this server."""
    lines = [
        "# Visavis",
        "",
        "> A self-hosted server of live avatars: REST calls make sessions, a WebSocket takes speech, and viewers see "
        "a lip-synced face speak it over WebRTC.",
        "",
        "Every call has the header `x-api-key`. Codes of errors are stable; `Visavis-Should-Retry` tells whether to "
        "try again. A POST with an `Idempotency-Key` is performed once.",
        "",
        "## Reference",
        "",
    ]
    for name in PAGES:
        title, _, rest = reference_text(name).partition("\n")
        first = " ".join(_LINK.sub(r"\1", rest.strip().partition("\n\n")[0]).split())
        lines.append(f"- [{title.lstrip('# ')}]({base_url}/docs/{name}.md): {first}")
    lines += [
        "",
        "## Descriptions for programs",
        "",
        f"- [OpenAPI]({base_url}/openapi.json): every HTTP call, with examples and the codes of its refusals",
        f"- [AsyncAPI]({base_url}/asyncapi.json): every message of the channel",
        "",
    ]
    return "\n".join(lines)


@cache
def reference_page(name: str) -> ReferencePage:
    """Return a page of PAGES."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.add_render_rule("table_open", _open_table)
    markdown.add_render_rule("table_close", _close_table)
    tokens = markdown.parse(reference_text(name))
    headings = _give_anchors(tokens)
    _lead_links_to_pages(tokens, at=address_of(name))
    html = str(markdown.renderer.render(tokens, markdown.options, {}))
    return ReferencePage(name=name, title=headings[0].text, html=html, headings=tuple(headings[1:]))


def _give_anchors(tokens: Sequence[Token]) -> list[Heading]:
    """Give every heading the anchor that code hosts give it, so that one link works in both places."""
    headings, seen = [], Counter[str]()
    for token, inline in pairwise(tokens):
        if token.type != "heading_open":
            continue
        slug = re.sub(r"[^\w\- ]", "", inline.content.lower()).replace(" ", "-")
        anchor = f"{slug}-{seen[slug]}" if seen[slug] else slug
        seen[slug] += 1
        token.attrSet("id", anchor)
        headings.append(Heading(level=int(token.tag[1]), anchor=anchor, text=inline.content.replace("`", "")))
    return headings


def _lead_links_to_pages(tokens: Sequence[Token], *, at: str) -> None:
    """Make `rest.md#keys` lead to `/docs/rest#keys`."""
    for token in tokens:
        for child in token.children or ():
            if child.type == "link_open":
                target, hash_sign, anchor = str(child.attrGet("href")).partition("#")
                if target.endswith(".md"):
                    page = link_to(address_of(target.removesuffix(".md")), at=at)
                    child.attrSet("href", page + hash_sign + anchor)


def _open_table(_renderer: RendererHTML, _tokens: Sequence[Token], _index: int, _options: Any, _env: Any) -> str:
    return '<div class="table"><table>\n'  # a wide one scrolls within


def _close_table(_renderer: RendererHTML, _tokens: Sequence[Token], _index: int, _options: Any, _env: Any) -> str:
    return "</table></div>\n"
