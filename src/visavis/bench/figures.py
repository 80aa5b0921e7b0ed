"""How a benchmark prints: figures with their spread, percentiles, a table for people, or one JSON object."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from visavis.sessions.session_metrics import Percentiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated:
    """A figure that was measured several times: the median, and the least and the most of all measurements."""

    median: float
    least: float
    most: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float], *, digits: int) -> Repeated:
        """`digits`: how many decimal places are kept. `values`: at least one."""
        ends = (median(values), min(values), max(values))
        middle, least, most = (round(value, digits) for value in ends)
        return cls(median=middle, least=least, most=most, count=len(values))

    @property
    def spread(self) -> tuple[float, float]:
        return (self.least, self.most)

    def text(self, form: str) -> str:
        """Return the figure for people, each number in a format: "230 (214 to 236, 5 runs)"."""
        return f"{self.median:{form}} ({self.least:{form}} to {self.most:{form}}, {self.count} runs)"


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
