"""How large the attacks are: a reduced size in seconds, or in full for `make attacks` (VISAVIS_ATTACKS=full)."""

from __future__ import annotations

import os

FULL = os.environ.get("VISAVIS_ATTACKS") == "full"
SCALE = 10 if FULL else 1
