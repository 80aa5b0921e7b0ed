"""The tree of errors: each code is declared once, the drawing is correct, and errors cross a link."""

from __future__ import annotations

import inspect
import re

import pytest

from visavis import errors
from visavis.errors import (
    CloseCode,
    ConcurrencyLimitReached,
    Gone,
    InternalError,
    NoCapacity,
    RoomFull,
    SessionEnded,
    VisavisError,
    declared_errors,
    error_of,
)

_CODE_COLUMN = 36


def draw_tree(kind: type[VisavisError] = VisavisError, indent: str = "") -> list[str]:
    """Draw the tree below a class: name, HTTP status if clients get the error over HTTP, code, and close code if the
    error closes a channel.
    """
    lines = []
    children = kind.__subclasses__()
    for child in children:
        last = child is children[-1]
        name = f"{indent}{'└' if last else '├'}── {child.__name__}"
        declares = "code" in vars(child)
        code = child.code if declares else f"({child.code})" if hasattr(child, "code") else ""
        close = "" if child.close_code is None or child.told_over == errors.HTTP else f"close {child.close_code}"
        status = str(child.status) if errors.HTTP in child.told_over else "   "
        lines.append(f"{name:<{_CODE_COLUMN}}{status}  {code:<28}{close}".rstrip())
        lines += draw_tree(child, indent + ("    " if last else "│   "))
    return lines


def test_the_drawing_in_the_docstring_is_the_tree() -> None:
    documented = [line[4:] for line in (errors.__doc__ or "").splitlines() if line.startswith("    ")]
    assert documented == ["VisavisError", *draw_tree()]


def test_every_class_with_a_code_is_declared_once_and_has_a_description() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, VisavisError)]
    assert {kind.code for kind in kinds if "code" in vars(kind)} == set(declared_errors())
    for code, kind in declared_errors().items():
        assert kind.code == code and re.fullmatch("[A-Z]+(_[A-Z0-9]+)*", code)
        assert 400 <= kind.status < 600
        assert (kind.__doc__ or "").strip().endswith(".")


def test_a_code_that_is_declared_twice_is_refused() -> None:
    with pytest.raises(AssertionError, match="NO_CAPACITY is declared by NoCapacity"):
        type("Twice", (VisavisError,), {}, code="NO_CAPACITY")


def test_close_codes_are_those_of_rfc_6455_or_private() -> None:
    assert all(code < 1016 or 4000 <= code < 5000 for code in CloseCode)


def test_an_error_can_be_made_from_its_code() -> None:
    full = error_of("ROOM_FULL", "16 viewers watch", suggestion="Try again later")
    assert type(full) is RoomFull and isinstance(full, NoCapacity)
    assert (full.message, full.suggestion, full.retry_after_s) == ("16 viewers watch", "Try again later", 10)
    limit = error_of("CONCURRENCY_LIMIT_REACHED", "Too many")
    assert type(limit) is ConcurrencyLimitReached and limit.details is None
    assert type(error_of("SESSION_ENDED", "Over")) is SessionEnded is not Gone


def test_an_unknown_code_becomes_an_internal_error_that_names_it() -> None:
    unknown = error_of("OF_TOMORROW", "Who knows")
    assert type(unknown) is InternalError and unknown.message == "Who knows [OF_TOMORROW]"


def test_the_message_of_a_class_is_used_unless_one_is_given() -> None:
    assert (SessionEnded().message, str(SessionEnded())) == ("Session has already ended",) * 2
    assert SessionEnded("Over").message == "Over"
