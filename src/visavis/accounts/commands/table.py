"""Prints rows as columns of text."""

from __future__ import annotations

from collections.abc import Sequence


def print_table(*rows: Sequence[str]) -> None:
    """Print the rows with every column as wide as its widest cell. The first row is the heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
