"""Measures the coverage of every Python process that has this folder on its PYTHONPATH (`.ci/run`): the tests' own, and
the servers, stages and image workers that they start. An environment that keeps nothing but PYTHONPATH is enough.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

if find_spec("coverage"):  # not so in another Python of the machine
    import operator
    import threading
    import weakref

    import coverage
    from coverage.collector import Collector

    class OnGreenlets:
        """Where the tracer of a thread keeps the number of each greenlet: on the greenlet itself.

        Coverage's own index of weak references takes about as long as all else that it does. And a weak reference to
        the greenlet of a thread that had ended made the process spin for ever in greenlet's destructor, once in some
        thousand tests.
        """

        __getitem__ = operator.attrgetter("_coverage_number")

        def __setitem__(self, greenlet: Any, number: int) -> None:
            greenlet._coverage_number = number

    one_starts = threading.Lock()

    def start_tracer(self: Collector, start: Any = Collector._start_tracer) -> Any:
        with one_starts:
            own, weakref.WeakKeyDictionary = weakref.WeakKeyDictionary, OnGreenlets  # type: ignore[misc, assignment]
            try:
                trace = start(self)
                if trace is not None:  # at its first event the tracer makes the index
                    trace(sys._getframe(), "call", None)
                    trace(sys._getframe(), "return", None)
            finally:
                weakref.WeakKeyDictionary = own  # type: ignore[misc]
        return trace

    Collector._start_tracer = start_tracer
    os.environ["COVERAGE_FILE"] = str(ROOT / "build" / "coverage" / "data")
    os.environ["COVERAGE_PROCESS_START"] = str(ROOT / "pyproject.toml")
    coverage.process_startup()
