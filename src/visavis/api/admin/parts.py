"""What the handlers of /v1/admin share: reading filters and pages, and the names of accounts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from visavis.accounts.service import Accounts
from visavis.api.sessions import read_limit
from visavis.errors import InvalidRequest
from visavis.ids import Kind, is_id
from visavis.sessions.service import MAX_LISTED

Record = TypeVar("Record")


def read_count(limit: str | None) -> int:
    """Raises `InvalidRequest`."""
    return MAX_LISTED if limit is None else read_limit(limit)


def read_id(kind: Kind, name: str, text: str | None) -> str | None:
    """Return an id that a list is to be filtered by. Raises `InvalidRequest`."""
    if text is not None and not is_id(kind, text):
        raise InvalidRequest(f"Invalid {name}", suggestion=f"Use an id like {kind}_…")
    return text


def cut(found: Sequence[Record], count: int) -> tuple[Sequence[Record], Record | None]:
    """Return a page of at most `count`, and its last record if there are more than that: a list is asked for one
    more.
    """
    return found[:count], found[count - 1] if len(found) > count else None


async def names_of(accounts: Accounts, account_ids: Iterable[str | None]) -> dict[str, str]:
    """Return the names of these accounts, by id."""
    known = {one for one in account_ids if one is not None}
    return await accounts.names(known) if known else {}
