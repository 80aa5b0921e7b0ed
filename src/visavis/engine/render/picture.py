"""A stranger's picture for a background: decoded in a process of its own (picture_worker.py), given back as a JPEG of
ours.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile

import anyio

from visavis.engine.portrait.image_type import image_type
from visavis.errors import BackgroundRefused, ImageTooLarge, PreparationFailed, VisavisError

TIMEOUT_S = 10.0
REFUSED = 3  # the worker's exit status; its answer says why
SUGGESTION = "Send a JPEG, PNG, WebP or GIF"
# and no secrets
_KEPT_VARIABLES = (
    "PATH",
    "PYTHONPATH",
    "PYTHONHOME",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "LANG",
    "LC_ALL",
    "TMPDIR",
)
_FRUGAL = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}


async def read_picture(image: bytes) -> bytes:
    """Return the first picture in `image` as a JPEG of at most 1920 px, upright. Raises `BackgroundRefused`, and
    `ImageTooLarge` over 10 MB.

    When cancelled, the worker is killed.
    """
    try:
        image_type(image)
    except ImageTooLarge:
        raise
    except VisavisError as refused:
        raise BackgroundRefused(refused.message, suggestion=refused.suggestion) from None
    environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ} | _FRUGAL
    # unlike a pipe, it cannot break when the worker dies before it has read all
    with tempfile.TemporaryFile() as stdin:
        stdin.write(image)
        stdin.seek(0)
        try:
            with anyio.fail_after(TIMEOUT_S):
                command = [sys.executable, "-P", "-m", "visavis.engine.render.picture_worker"]
                done = await anyio.run_process(command, stdin=stdin, env=environment, check=False)
        except TimeoutError:
            raise BackgroundRefused("The background image took too long to read", suggestion=SUGGESTION) from None
    if done.returncode == 0:
        return done.stdout
    if done.returncode == REFUSED:
        refusal = json.loads(done.stdout)
        kind = ImageTooLarge if refusal["too_large"] else BackgroundRefused
        raise kind(refusal["message"], suggestion=refusal["suggestion"])
    if done.returncode < 0:  # ended by a signal: a limit was reached, or a decoder fell over the image
        raise BackgroundRefused("The background image could not be read", suggestion=SUGGESTION)
    complaint = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    raise PreparationFailed(f"The picture worker failed with status {done.returncode}: {complaint}")
