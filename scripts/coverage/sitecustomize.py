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
    import contextlib
    import operator
    import sys
    import threading
    import weakref
    from collections.abc import Iterator
    from importlib.machinery import SourceFileLoader
    from types import ModuleType

    import coverage
    from coverage.collector import Collector

    MEASURED = (str(ROOT / "src") + os.sep, str(ROOT / "integrations" / "client" / "src") + os.sep)

    WITHOUT_DATABASE = {"visavis.stage", "visavis.engine.images.worker", "visavis.bench.viewers"}  # see `python -m`

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

    class OfThread(threading.local):
        unused: Any = None  # the thread's tracer, while it traces nothing

    tracer = OfThread()

    def trace_on(unused: Any) -> None:
        """Let a thread's tracer go on. It has seen no call of this function, and sees the return."""
        tracer.unused = None
        unused(sys._getframe(), "call", None)  # at which it installs itself

    @contextlib.contextmanager
    def unmeasured() -> Iterator[None]:
        """Trace nothing in this thread, but our modules when they are imported. What others have written takes two to
        three times as long while it is traced. Enter and leave it in one function.
        """
        used = sys.gettrace()
        if used is None:
            yield
            return
        sys.settrace(None)
        tracer.unused = used
        try:
            yield
        finally:
            trace_on(used)

    def exec_module(self: Any, module: ModuleType, run: Any = SourceFileLoader.exec_module) -> None:
        """Import a module, and trace it only if it is ours: our processes import a thousand of others."""
        is_ours = str(module.__file__).startswith(MEASURED)
        used, unused = sys.gettrace(), tracer.unused
        if used is not None and not is_ours:
            sys.settrace(None)
            tracer.unused = used
            try:
                run(self, module)
            finally:
                trace_on(used)
        elif used is None and unused is not None and is_ours:
            trace_on(unused)
            try:
                run(self, module)
            finally:
                sys.settrace(None)
                tracer.unused = unused
        else:
            run(self, module)

    SourceFileLoader.exec_module = exec_module  # type: ignore[method-assign]
    if WITHOUT_DATABASE & set(sys.orig_argv):
        os.environ["VISAVIS_MEASURES"] = "thread"  # instead of greenlets, which take a third of the tracer's time
    os.environ["COVERAGE_FILE"] = str(ROOT / "build" / "coverage" / "data")
    os.environ["COVERAGE_PROCESS_START"] = str(ROOT / "pyproject.toml")
    coverage.process_startup()
