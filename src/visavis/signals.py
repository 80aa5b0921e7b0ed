"""How a process ends when a signal tells it to. Imports nothing slow, because `__main__` needs it first."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")

ENDING_SERVICE = (signal.SIGTERM, signal.SIGINT)
if sys.platform == "win32":
    ENDING = ENDING_SERVICE
else:
    ENDING = (*ENDING_SERVICE, signal.SIGHUP)
    HAND_OVER = signal.SIGUSR2  # tells a server to stop, and to leave its sessions to the next one


def end_at_once(number: int, _frame: FrameType | None) -> None:
    """Handle a signal while nothing is open yet: no exception, which a library that is being imported could catch."""
    os._exit(128 + number)


def end_service_at_once(_number: int, _frame: FrameType | None) -> None:
    """As `end_at_once`. A service that ends because it is told to has not failed: its status is 0."""
    os._exit(0)


def end_in_order(number: int, _frame: FrameType | None) -> None:
    """Handle a signal by leaving every context, as Ctrl-C does: no part of a file is left, and no child process."""
    raise SystemExit(128 + number)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine. A signal that is handled by `end_in_order` cancels it instead, and then the process
    ends with the same status. An exception in the middle of whatever the event loop does could break a lock that it
    shares with other threads: then they wait for each other for ever.
    """
    import asyncio

    told = list[int]()

    async def watched() -> T:
        loop, working = asyncio.get_running_loop(), asyncio.ensure_future(work)

        def end(number: int) -> None:
            told.append(number)
            working.cancel()

        ours = [number for number in ENDING if signal.getsignal(number) is end_in_order]
        if sys.platform == "win32":  # its event loops handle no signals
            ours = []
        for number in ours:
            loop.add_signal_handler(number, end, number)
        try:
            return await working
        finally:
            for number in ours:
                loop.remove_signal_handler(number)
                signal.signal(number, end_in_order)

    try:
        return asyncio.run(watched())
    except asyncio.CancelledError:
        if told:
            raise SystemExit(128 + told[0]) from None
        raise


def handle(numbers: tuple[signal.Signals, ...], handler: Callable[[int, FrameType | None], Any]) -> None:
    """Set a handler, except for signals that whoever started this process has it ignore, as `nohup` does."""
    for number in numbers:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)
