"""`python -m visavis.engine.images.worker BYTES JOB [ARGUMENT…]`: reads an image from stdin, writes the job's answer to
stdout.

Untrusted images are decoded only in this process. It lives for one image, has limits on memory (`BYTES`), time and file
size, and imports no network code and no service code. Exit status: 0 if the job is done; REFUSED if it refuses the
image (stdout is then the JSON of refusal.py); DISK_FULL; anything else is a fault of ours, or a limit.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from visavis.engine.child_process import forbid_core_dumps
from visavis.engine.errors import ImageRefused
from visavis.engine.images.image_type import MAX_IMAGE_BYTES
from visavis.engine.images.refusal import DISK_FULL, REFUSED, too_much_memory, write_refusal

if sys.platform != "win32":
    import resource

# Of address space. The largest photos take 1.3 GB of it on 2 cores, and the libraries reserve more on more cores.
ADDRESS_SPACE_BYTES = 4 << 30
CPU_LIMIT_S = 15  # honest photos take 1 to 4 s
FILE_LIMIT_BYTES = 128 << 20
STACK_BYTES = 1 << 20  # of each thread. The libraries start one or two for every core, and their stacks count as memory
BE_NICE = 10  # live sessions on the same machine have priority
KILLED_FIRST = 1000  # where memory runs out, the kernel ends this process before any other (proc_pid_oom_score_adj(5))


class JobModule(Protocol):
    """A job. It is imported before the limits are set, and runs within them."""

    def run(self, image: bytes, arguments: list[str]) -> bytes:
        """Return the answer. Raises ImageRefused."""
        ...


def set_limits(memory_bytes: int) -> None:
    """Limit this process. `memory_bytes`: of memory of its own, which is what RLIMIT_DATA counts: it is refused when it
    is asked for, and nothing is killed. Some systems do not enforce a limit (macOS: memory; Windows: any); there, the
    timeout of the caller remains.
    """
    if sys.platform == "win32":
        return
    for limit, value in (
        (resource.RLIMIT_DATA, memory_bytes),
        (resource.RLIMIT_AS, ADDRESS_SPACE_BYTES),
        (resource.RLIMIT_FSIZE, FILE_LIMIT_BYTES),
    ):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(limit, (value, value))
    with contextlib.suppress(OSError, ValueError):  # SIGXCPU at the first, SIGKILL at the second
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT_S, CPU_LIMIT_S + 1))


def _give_way() -> None:
    """Live sessions go first, also while the libraries of the job are imported."""
    if sys.platform != "win32":
        with contextlib.suppress(OSError):
            os.nice(BE_NICE)


def _be_killed_first() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(KILLED_FIRST), encoding="ascii")


def _give_threads_small_stacks() -> None:
    """glibc gives each thread as much as the main one has, 8 MB. Other C libraries give less, and have no such call."""
    if sys.platform == "win32":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "pthread_setattr_default_np"):
        attributes = ctypes.create_string_buffer(256)  # pthread_attr_t has 56 to 64 bytes
        libc.pthread_attr_init(attributes)
        libc.pthread_attr_setstacksize(attributes, ctypes.c_size_t(STACK_BYTES))
        libc.pthread_setattr_default_np(attributes)


def main() -> int:
    """Work on one image. Only the answer goes to stdout, and only our own tracebacks to stderr; what C++ libraries
    print goes nowhere.
    """
    answers = os.fdopen(os.dup(1), "wb")
    sys.stderr = os.fdopen(os.dup(2), "w", encoding="utf-8", buffering=1)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    memory_bytes, module, *arguments = sys.argv[1:]
    _give_way()
    _be_killed_first()
    _give_threads_small_stacks()
    forbid_core_dumps()
    job = cast(JobModule, import_module(module))
    set_limits(int(memory_bytes))
    image = sys.stdin.buffer.read(MAX_IMAGE_BYTES + 1)
    status = 0
    try:
        try:
            answer = job.run(image, arguments)
        except ImageRefused as refusal:
            answer, status = write_refusal(refusal), REFUSED
        except MemoryError:
            answer, status = write_refusal(too_much_memory()), REFUSED
        answers.write(answer)
        answers.flush()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return DISK_FULL
    return status


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)  # everything is written; an orderly end would take another tenth of a second
