"""The command `visavis`. Handles signals before anything slow is imported: a process that is told to end while it
starts ends at once. Without a handler, the kernel ignores SIGTERM for process 1 of a container.
"""

from __future__ import annotations

import atexit
import contextlib
import signal
import sys

from visavis import signals
from visavis.machine import processor

_SERVICES = ("serve", "stage")


def main() -> None:
    """Run the command line."""
    if words := processor.problem():
        raise SystemExit(f"visavis: {words}")
    if sys.argv[1:2] and sys.argv[1] in _SERVICES:
        signals.handle(signals.ENDING_SERVICE, signals.end_service_at_once)
        from visavis.cli import main as run
    else:
        signals.handle(signals.ENDING, signals.end_at_once)
        from visavis.cli import main as run

        signals.handle(signals.ENDING, signals.end_in_order)
        signals.handle((signal.SIGINT,), signal.default_int_handler)
        atexit.register(_done)
    run()


def _done() -> None:
    """The command is done, and the interpreter ends: an exception of a handler could only be printed now."""
    with contextlib.suppress(OSError, ValueError):  # nobody reads any more, or it is closed
        sys.stdout.flush()
    signals.handle(signals.ENDING, signals.end_at_once)


if __name__ == "__main__":
    main()
