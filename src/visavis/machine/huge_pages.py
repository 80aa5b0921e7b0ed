"""Keeps a process free of transparent huge pages.

Where the kernel gives them always, a process that grows and shrinks keeps two megabytes wherever a few bytes of them
are in use, and its memory grows with every session. They bring a session nothing (decision 14).
"""

from __future__ import annotations

import contextlib
import ctypes
import sys

_PR_SET_THP_DISABLE = 41  # prctl(2); children inherit it, across exec too


def refuse_huge_pages() -> None:
    """Let this process and its children have pages of the usual size only. No effect outside Linux."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):  # another libc
            ctypes.CDLL(None).prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)
