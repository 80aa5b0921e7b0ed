"""The server of the tests in a browser."""

from __future__ import annotations

from tests.e2e.conftest import anyio_backend, http, server, sessions

__all__ = ["anyio_backend", "http", "server", "sessions"]
