"""The OpenAPI description of the server, made once for all tests of a process."""

from __future__ import annotations

from typing import Any

from visavis.api.app import create_app
from visavis.settings import Settings

OPENAPI: dict[str, Any] = create_app(Settings()).openapi()
