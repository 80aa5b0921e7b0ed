"""keep_port_version.py COMMIT: keeps the modules of a commit in tests/data, in place of those that are kept there. The
tests run servers and stages of two versions side by side (tests/version_before.py). Run it with the last commit before
the port's version rises.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
MESSAGES = "src/visavis/stage/port/messages.py"
KEPT = (".py", ".mako", ".c", ".h")


def main(commit: str) -> None:
    def git(*arguments: str) -> bytes:
        return subprocess.run(["git", "-C", ROOT, *arguments], check=True, capture_output=True).stdout

    found = re.search(rb"^PORT_VERSION = (\d+)", git("show", f"{commit}:{MESSAGES}"), re.MULTILINE)
    if found is None:
        sys.exit(f"{commit} has no PORT_VERSION in {MESSAGES}")
    for before in (ROOT / "tests" / "data").glob("visavis-port-*.tar.xz"):
        before.unlink()
    target = ROOT / "tests" / "data" / f"visavis-port-{int(found[1])}.tar.xz"
    archived = io.BytesIO(git("archive", commit, "src/visavis"))
    with tarfile.open(fileobj=archived) as whole, tarfile.open(target, "w:xz", preset=9) as kept:
        for one in whole:
            if one.isfile() and one.name.endswith(KEPT):
                kept.addfile(one, whole.extractfile(one))
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
