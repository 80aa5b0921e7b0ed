"""The process of a stage that another server has started: not a child of this process."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress

CHECK_EVERY_S = 0.05  # where the system tells of no end of a foreign process


class AdoptedProcess:
    """Behaves like `asyncio.subprocess.Process`, as far as stages need it. Its exit status is not known: 0."""

    def __init__(self, pid: int) -> None:
        """Raises `ProcessLookupError` if there is no such process."""
        self.pid = pid
        self.returncode: int | None = None
        self._descriptor: int | None = None  # names this process, also when its id has been given to another one
        if hasattr(os, "pidfd_open"):
            self._descriptor = os.pidfd_open(pid)
        else:
            os.kill(pid, 0)

    def send_signal(self, number: int) -> None:
        """Raises `ProcessLookupError` if the process has ended."""
        if self.returncode is not None:
            raise ProcessLookupError
        if self._descriptor is None:
            os.kill(self.pid, number)
        else:
            signal.pidfd_send_signal(self._descriptor, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        """Wait until the process has ended."""
        if self.returncode is None and self._descriptor is not None:
            ended = asyncio.Event()
            loop = asyncio.get_running_loop()
            descriptor = os.dup(self._descriptor)  # several tasks may wait
            loop.add_reader(descriptor, ended.set)
            try:
                await ended.wait()
            finally:
                loop.remove_reader(descriptor)
                os.close(descriptor)
        while self.returncode is None and self._descriptor is None:
            try:
                os.kill(self.pid, 0)
                await asyncio.sleep(CHECK_EVERY_S)
            except ProcessLookupError:
                break
        self._ended()
        return 0

    def _ended(self) -> None:
        self.returncode = 0
        if self._descriptor is not None:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None
