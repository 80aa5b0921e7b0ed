"""Opens and closes the application in the task that serves it. An error at the start reaches the caller of the server:
uvicorn's own lifespan would log it with its traceback, and end the process.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import uvicorn
from fastapi import FastAPI


class AppLifespan:
    """Takes the place of uvicorn's `LifespanOn`."""

    def __init__(self, config: uvicorn.Config) -> None:
        assert isinstance(config.app, FastAPI)
        self._app = config.app
        self._open = AsyncExitStack()
        self.is_open = False
        self.should_exit = False
        self.state: dict[str, Any] = {}

    async def startup(self) -> None:
        """Raises what the application raises; then it has closed everything."""
        await self._open.enter_async_context(self._app.router.lifespan_context(self._app))
        self.is_open = True

    async def shutdown(self) -> None:
        """Close what is open. A second call does nothing."""
        self.is_open = False
        await self._open.aclose()
