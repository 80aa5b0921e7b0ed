"""Ids: which of them can be told from others."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from ulid import ULID

from visavis.ids import Kind, is_id, new_id

IDS = 4000
RANDOM_BITS = 80


@pytest.mark.parametrize("kind", ["sess", "avat", "key", "req", "view"])
def test_each_id_has_a_time_and_80_fresh_random_bits(kind: Kind) -> None:
    began_ms = time.time_ns() // 1_000_000
    made = [new_id(kind) for _ in range(IDS)]
    ended_ms = time.time_ns() // 1_000_000
    assert all(is_id(kind, one) for one in made)
    numbers = [int(ULID.from_str(one.removeprefix(f"{kind}_"))) for one in made]
    times_ms = [number >> RANDOM_BITS for number in numbers]
    assert times_ms == sorted(times_ms) and began_ms <= times_ms[0] and times_ms[-1] <= ended_ms
    changes = [earlier ^ later for earlier, later in pairwise(numbers)]
    for bit in range(RANDOM_BITS):
        changed = sum(change >> bit & 1 for change in changes)
        assert 0.4 * IDS < changed < 0.6 * IDS, bit  # twelve standard deviations
