"""Labels of the machines of a fleet: names and values of their operator's, for example region=eu. A session may ask for
a machine that has some.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MAX_LABELS = 16
PATTERN = "[A-Za-z0-9][A-Za-z0-9._/-]{0,62}"  # of a name, and of a value
RULE = "letters, digits and . _ / - (63 at most, the first a letter or digit)"


def check_label(name: Any, value: Any) -> None:
    """Raises ValueError for a name or a value that cannot be one."""
    for text in (name, value):
        if not isinstance(text, str) or re.fullmatch(PATTERN, text) is None:
            raise ValueError(f"names and values are {RULE}")


def check_labels(labels: Any) -> None:
    """Raises ValueError unless this maps names to values."""
    if not isinstance(labels, dict) or len(labels) > MAX_LABELS:
        raise ValueError(f"they are an object of at most {MAX_LABELS} names")
    for name, value in labels.items():
        check_label(name, value)


def shown(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in sorted(labels.items()))
