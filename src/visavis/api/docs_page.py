"""What the pages under /docs have in common: their frame, their style. Plain HTML without a script and without anything
from elsewhere, so that they are there where there is no internet.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from starlette.responses import HTMLResponse

from visavis.api.reference import INDEX, PAGES, Heading, address_of, link_to, reference_page

OPERATIONS = "/docs/operations"
_STYLE = Path(__file__).with_name("docs.css").read_text(encoding="utf-8")


def docs_page(*, title: str, body: str, at: str, headings: Sequence[Heading] = ()) -> HTMLResponse:
    """Return a page of the documents; `at`: its address, `headings`: the sections that its menu shows."""
    names = {address_of(name): "Overview" if name == INDEX else reference_page(name).title for name in PAGES}
    names[OPERATIONS] = "Operations"
    menu = "".join(
        f'<li><a href="{link_to(address, at=at)}"{" aria-current=page" if address == at else ""}>{escape(name)}</a>'
        f"{_sections(headings) if address == at else ''}</li>"
        for address, name in names.items()
    )
    icon, index = link_to("/favicon.svg", at=at), link_to(address_of(INDEX), at=at)
    return HTMLResponse(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)} · Visavis</title><link rel="icon" href="{icon}"><style>{_STYLE}</style></head>'
        f'<body><div class="frame"><nav aria-label="Documents"><a class="name" href="{index}">Visavis</a>'
        f"<ul>{menu}</ul></nav>"
        f"<main>{body}</main></div></body></html>",
        headers={"Cache-Control": "no-cache"},
    )


def _sections(headings: Sequence[Heading]) -> str:
    links = "".join(
        f'<li><a href="#{heading.anchor}">{escape(heading.text)}</a></li>' for heading in headings if heading.level == 2
    )
    return f'<ul class="sections">{links}</ul>' if links else ""
