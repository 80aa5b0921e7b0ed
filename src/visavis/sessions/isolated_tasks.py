"""Task groups whose tasks fail alone.

In a plain task group one failure cancels all tasks: one session's trouble would end every session. Tasks on which all
sessions depend are *vital*: if one of them fails, the server stops. It would not serve anybody.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import structlog
from anyio.abc import TaskGroup

log = structlog.get_logger()


class Vitals:
    """Which vital task has failed first. The server asks, and stops."""

    def __init__(self) -> None:
        self.failed: str | None = None

    def note(self, task: str) -> None:
        self.failed = self.failed or task


class IsolatedTasks:
    """Starts tasks in `group`. A task that fails is logged; the group and its other tasks go on. With `vitals` the
    tasks are vital.
    """

    def __init__(self, group: TaskGroup, *, vitals: Vitals | None = None) -> None:
        self._group, self._vitals = group, vitals

    def start(self, name: str, work: Callable[[], Awaitable[object]], **ids: str) -> None:
        """Start a task. `name` and `ids` identify it in the log if it fails."""
        self._group.start_soon(self._run, name, work, ids)

    async def _run(self, name: str, work: Callable[[], Awaitable[object]], ids: dict[str, str]) -> None:
        structlog.contextvars.clear_contextvars()  # the task outlives the request that started it
        try:
            await work()
            return
        except Exception:  # the outermost edge of a task
            log.exception("task_failed", task=name, **ids)
        except anyio.get_cancelled_exc_class():
            if self._group.cancel_scope.cancel_called:
                raise
            # A library has raised it, or a future that was waited for was cancelled. A group takes it for its own end.
            log.error("task_cancelled_itself", task=name, **ids)
        if self._vitals is not None:
            self._vitals.note(name)
