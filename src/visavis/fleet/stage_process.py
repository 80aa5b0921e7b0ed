"""The process of a stage: how it is started, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from typing import Protocol

from visavis.engine.child_process import kept_environment
from visavis.errors import PerformerLost

START_WITHIN_S = 30.0
STOP_WITHIN_S = 3.0


class StageProcess(Protocol):
    """The process of a stage: a child, or one that another server has started."""

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None: ...

    def kill(self) -> None: ...

    def send_signal(self, number: int, /) -> None: ...

    async def wait(self) -> int: ...


async def start_process(arguments: Sequence[str], *, pass_fds: Sequence[int] = ()) -> asyncio.subprocess.Process:
    """Start `visavis.stage` with these arguments. Raises OSError."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "visavis.stage",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        pass_fds=pass_fds,
        # One thread for each library: a stage uses one core. The libraries read that when they are loaded.
        env=kept_environment() | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )


async def wait_until_listening(process: asyncio.subprocess.Process, token: str) -> str:
    """Send the stage its token and wait for its line of output: where it listens. Raises `PerformerLost` if it does not
    start.
    """
    assert process.stdin is not None and process.stdout is not None
    try:
        async with asyncio.timeout(START_WITHIN_S):
            process.stdin.write(f"{token}\n".encode())
            await process.stdin.drain()
            process.stdin.close()
            line = await process.stdout.readline()
    except TimeoutError:
        raise PerformerLost(f"A stage process did not start within {START_WITHIN_S:.0f} s") from None
    except ConnectionError:
        line = b""
    if not line:
        raise PerformerLost("A stage process did not start")
    return line.decode().strip()


async def stop_process(process: StageProcess, *, at_once: bool = False) -> None:
    """Wait until the process ends, or kill it: `at_once`, after STOP_WITHIN_S, or when this is cancelled."""
    try:
        if not at_once:
            await asyncio.wait_for(process.wait(), STOP_WITHIN_S)
    except TimeoutError:
        pass
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await _reap(process)


async def _reap(process: StageProcess) -> None:
    """Wait for a killed process, also when this is cancelled: it ends at once, and nobody else waits for it."""
    ended = asyncio.ensure_future(process.wait())
    cancelled: asyncio.CancelledError | None = None
    while not ended.done():
        try:
            await asyncio.shield(ended)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
