"""`python scripts/check_columns.py`: fails if a line has more than 120 columns, in the files that ruff does not check:
C, shell, make, TypeScript, CSS and HTML.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MOST_COLUMNS = 120
SOURCES = ("*.c", "*.h", "*.ts", "*.tsx", "*.css", "*.html", "Makefile", ".ci/*", "scripts/*", "NOTICE")
BUILT = ("src/visavis/web", "integrations/typescript/*.d.ts")


def long_lines(path: Path) -> list[str]:
    """Return a complaint for every line of the file that is too long."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [
        f"{path}:{number}: {len(line)} columns, the limit is {MOST_COLUMNS}"
        for number, line in enumerate(lines, 1)
        if len(line) > MOST_COLUMNS
    ]


def main() -> int:
    command = ["git", "ls-files", "-z", "--", *SOURCES, *(f":!{path}" for path in BUILT)]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    complaints = [line for name in listed.split("\0") if name for line in long_lines(Path(name))]
    print("\n".join(complaints) if complaints else f"No line is longer than {MOST_COLUMNS} columns.")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
