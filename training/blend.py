"""Averages two sets of weights, one of which was trained from the other with `--start`. The result is often better than
both (Wortsman et al. 2022).

python -m training.blend A.npz B.npz --share 0.6 --out src/visavis/engine/speech/network.npz
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("first", type=Path)
    options.add_argument("second", type=Path)
    options.add_argument("--share", type=float, default=0.6, help="the share of the second weights")
    options.add_argument("--out", type=Path, required=True)
    a = options.parse_args()
    with np.load(a.first) as first, np.load(a.second) as second:
        both = {
            name: (1 - a.share) * first[name].astype(np.float32) + a.share * second[name].astype(np.float32)
            for name in first.files
        }
    np.savez_compressed(a.out, **{name: array.astype(np.float16) for name, array in both.items()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
