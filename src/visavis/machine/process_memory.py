"""Keeps the memory of a long-lived process small: no huge pages, one arena, and what is free goes back to the system.

Transparent huge pages: where the kernel gives them always, a process that grows and shrinks keeps two megabytes
wherever a few bytes of them are in use, and its memory grows with every session. They bring a session nothing (decision
14).

Arenas: glibc gives threads memory areas of their own, and never returns the free end of any but the first. After a
thousand sessions, whose pictures are laid out in threads, a stage kept 9 MB there, a tenth of what it has. Our threads
rarely allocate at the same time, so one area for all of them costs nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
from collections.abc import Callable

_PR_SET_THP_DISABLE = 41  # prctl(2); children inherit it, across exec too
_M_ARENA_MAX = -8  # mallopt(3)


def refuse_huge_pages() -> None:
    """Let this process and its children have pages of the usual size only. No effect outside Linux."""
    _call_libc(lambda libc: libc.prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0))


def share_one_arena() -> None:
    """Let all threads of this process allocate in one arena. Called before it has threads. No effect without glibc."""
    _call_libc(lambda libc: libc.mallopt(_M_ARENA_MAX, 1))


def release_memory() -> None:
    """Collect garbage, and return what is free to the system; takes up to some 100 ms. Pictures are few objects of many
    megabytes, so the garbage collector would not run for them by itself.
    """
    gc.collect()
    _call_libc(lambda libc: libc.malloc_trim(0))


def _call_libc(call: Callable[[ctypes.CDLL], object]) -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another libc
            call(ctypes.CDLL(None))
