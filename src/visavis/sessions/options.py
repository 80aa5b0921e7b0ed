"""Options of one session: how long it waits for viewers, how long it may last, and on which machines of a fleet it may
be performed. docs/reference/rest.md, "Options". Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from visavis.errors import InvalidRequest
from visavis.machine.labels import MAX_LABELS, RULE, check_labels
from visavis.sessions.deadlines import GracePeriods

# By name: the least and the most whole seconds.
BOUNDS = {"join_timeout": (1, 86_400), "room_empty_grace": (0, 86_400), "max_duration": (1, 604_800)}
LABELS = "machine_labels"
MEMBERS = (*BOUNDS, LABELS)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """None: as the server's settings and the plan have it. `machine_labels`: only a machine that has all of them
    performs the session, from its start to its end.
    """

    join_timeout_s: int | None = None
    room_empty_grace_s: int | None = None
    max_duration_s: int | None = None
    machine_labels: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, given: Any) -> SessionOptions:
        """Read the member `options` of a create, or what `plain` returned. Unknown members are ignored. Raises
        `InvalidRequest`.
        """
        if not isinstance(given, dict):
            raise InvalidRequest("options must be an object")
        seconds = {f"{name}_s": _seconds(name, given[name]) for name in BOUNDS if given.get(name) is not None}
        return cls(machine_labels=_labels(given.get(LABELS)), **seconds)

    def plain(self) -> dict[str, Any]:
        return {
            "join_timeout": self.join_timeout_s,
            "room_empty_grace": self.room_empty_grace_s,
            "max_duration": self.max_duration_s,
            LABELS: dict(self.machine_labels),
        }

    def grace_periods(self, usual: GracePeriods) -> GracePeriods:
        return replace(
            usual,
            join_timeout_s=usual.join_timeout_s if self.join_timeout_s is None else self.join_timeout_s,
            room_empty_grace_s=usual.room_empty_grace_s if self.room_empty_grace_s is None else self.room_empty_grace_s,
        )

    def shortened(self, most_ms: int | None) -> int | None:
        """Return how long the session may last if its plan allows `most_ms`; None without limit."""
        if self.max_duration_s is None:
            return most_ms
        own_ms = self.max_duration_s * 1000
        return own_ms if most_ms is None else min(own_ms, most_ms)


def options_of(plain: Mapping[str, Any] | None) -> SessionOptions:
    """Return the options that a session's record has."""
    return SessionOptions() if plain is None else SessionOptions.read(dict(plain))


def _seconds(name: str, value: Any) -> int:
    least, most = BOUNDS[name]
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidRequest(f"Invalid options.{name}", suggestion=f"Use whole seconds, {least} to {most}")
    return value


def _labels(value: Any) -> dict[str, str]:
    try:
        check_labels({} if value is None else value)
    except ValueError:
        hint = f"Use an object of at most {MAX_LABELS} names and values; each is {RULE}"
        raise InvalidRequest(f"Invalid options.{LABELS}", suggestion=hint) from None
    return dict(value or {})
