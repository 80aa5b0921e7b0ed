"""How a benchmark prints: percentiles, a table for people, or one JSON object."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from visavis.sessions.session_metrics import Percentiles


def percentiles_ms(seconds: Iterable[float]) -> Percentiles:
    """Return the percentiles of times, in ms."""
    return Percentiles.of(round(value * 1000, 1) for value in seconds)


def print_json(record: dict[str, Any]) -> None:
    print(json.dumps(record, default=asdict))


def print_latencies(title: str, rows: Sequence[tuple[str, Percentiles]], *sentences: str) -> None:
    """Print a table with one line per latency, and sentences below it."""
    console = Console()
    table = Table(title=title, title_justify="left")
    table.add_column("ms")
    for heading in ("p50", "p95", "p99"):
        table.add_column(heading, justify="right")
    for name, figures in rows:
        table.add_row(name, *("-" if value is None else f"{value:.0f}" for value in asdict(figures).values()))
    console.print(table)
    for sentence in sentences:
        console.print(sentence)


def print_rows(title: str, rows: Sequence[tuple[str, object]], *sentences: str) -> None:
    """Print a table of figures, and sentences below it."""
    console = Console()
    table = Table("figure", "value", title=title, title_justify="left")
    for name, value in rows:
        table.add_row(name, str(value))
    console.print(table)
    for sentence in sentences:
        console.print(sentence)
