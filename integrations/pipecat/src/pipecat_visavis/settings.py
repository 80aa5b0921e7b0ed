"""What can change while the bot runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipecat.services.settings import NOT_GIVEN, ServiceSettings, is_given

OUTPUT = ("emotion", "background", "framing")


@dataclass
class VisavisVideoSettings(ServiceSettings):
    """What can change while the bot runs, by a `ServiceUpdateSettingsFrame`.

    `emotion`: a name, or {"name", "weight"}. `background`, `framing`: as in the reference of Visavis, "Output".
    """

    emotion: str | Mapping[str, Any] | None = field(default_factory=lambda: NOT_GIVEN)
    background: Mapping[str, Any] | None = field(default_factory=lambda: NOT_GIVEN)
    framing: Mapping[str, Any] | None = field(default_factory=lambda: NOT_GIVEN)

    def output(self) -> dict[str, Any] | None:
        """Return what a session is created with, None for its defaults."""
        given = {name: getattr(self, name) for name in OUTPUT}
        return {name: value for name, value in given.items() if is_given(value) and value is not None} or None
