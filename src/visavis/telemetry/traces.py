"""Traces of sessions: what took how long, for a collector of OpenTelemetry, if the operator names one.

A span is recorded when it is over. All spans of a session belong to one trace, whose id is the ULID of the session's
id. So no part of the server has to carry a context.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from visavis.errors import SettingInvalid


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """`name`: session, create, start, join or utterance. Times are unix ns. `stations`: what happened on the way."""

    name: str
    session_id: str
    began_ns: int
    ended_ns: int
    attributes: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    stations: Sequence[tuple[str, int]] = ()
    error: str | None = None


class Traces(Protocol):
    """Implemented by `NoTraces` and `otel.OtelTraces`."""

    def record(self, span: Span) -> None:
        """Take a span that is over. Never blocks; drops spans if the collector cannot keep up."""
        ...

    def close(self) -> None:
        """Send what is left; takes at most some seconds. Called in a thread."""
        ...


class NoTraces:
    def record(self, span: Span) -> None:
        pass

    def close(self) -> None:
        pass


def open_traces(url: str | None) -> Traces:
    """Return traces for a collector, or none without a URL. Raises `SettingInvalid` if OpenTelemetry is missing."""
    if url is None:
        return NoTraces()
    try:
        from visavis.telemetry.otel import OtelTraces
    except ImportError as error:
        raise SettingInvalid(
            f"VISAVIS_TRACES_URL needs OpenTelemetry: {error}", suggestion="Install it with pip install 'visavis[otel]'"
        ) from error
    return OtelTraces(url)
