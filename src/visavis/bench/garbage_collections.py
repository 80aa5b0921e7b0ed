"""What a server's garbage collector did in a while, as its metrics tell."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

import httpx
from prometheus_client.parser import text_string_to_metric_families

NAME = "visavis_garbage_collection_seconds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Collections:
    """`counts`: how many collections took at most so many seconds (infinity for the last bound, which counts all).
    `sum_s`: the time of all.
    """

    counts: dict[float, int] = field(default_factory=dict)
    sum_s: float = 0.0

    def __add__(self, other: Collections) -> Collections:
        counts = {most_s: self.counts.get(most_s, 0) + count for most_s, count in other.counts.items()}
        return Collections(counts=counts, sum_s=self.sum_s + other.sum_s)

    def __sub__(self, other: Collections) -> Collections:
        counts = {most_s: count - other.counts.get(most_s, 0) for most_s, count in self.counts.items()}
        return Collections(counts=counts, sum_s=self.sum_s - other.sum_s)

    @property
    def count(self) -> int:
        return max(self.counts.values(), default=0)

    @property
    def longest_ms(self) -> float | None:
        """The least bound in ms within which all stayed: 0 without a collection, None if one is beyond all bounds."""
        longest_s = min((most_s for most_s, count in self.counts.items() if count == self.count), default=0.0)
        return None if longest_s == inf else longest_s * 1000

    @property
    def text(self) -> str:
        if not self.count:
            return "no garbage collection"
        longest = "more than a second" if self.longest_ms is None else f"{self.longest_ms:g} ms"
        return f"{self.count} garbage collections, the longest {longest}"


async def collections(http: httpx.AsyncClient) -> Collections:
    """Return what the server has told so far. It tells it to this machine."""
    answer = (await http.get("/metrics")).raise_for_status()
    counts: dict[float, int] = {}
    sum_s = 0.0
    for family in text_string_to_metric_families(answer.text):
        for sample in family.samples if family.name == NAME else ():
            if sample.name.endswith("_bucket"):
                counts[float(sample.labels["le"])] = int(sample.value)
            elif sample.name.endswith("_sum"):
                sum_s = sample.value
    return Collections(counts=counts, sum_s=sum_s)
