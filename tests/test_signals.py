"""A command that is told to end leaves its contexts, and its event loop, in order."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from visavis import signals

COMMAND = """
import asyncio

from visavis import signals


async def work():
    try:
        print("at work", flush=True)
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(0.01)
        print("in order", flush=True)


signals.handle(signals.ENDING, signals.end_in_order)
signals.run(work())
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_cancels_what_a_command_does(number: int) -> None:
    with subprocess.Popen([sys.executable, "-c", COMMAND], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"at work\n"
        process.send_signal(number)
        said, errors = process.communicate(timeout=60)
    assert (process.returncode, said, errors) == (128 + number, b"in order\n", b"")


def test_without_a_signal_its_result_is_returned() -> None:
    async def work() -> int:
        return 7

    before = signal.signal(signal.SIGHUP, signals.end_in_order)
    try:
        assert signals.run(work()) == 7
        assert signal.getsignal(signal.SIGHUP) is signals.end_in_order
    finally:
        signal.signal(signal.SIGHUP, before)
