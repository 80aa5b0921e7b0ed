"""Memory that is promised to processes which have not taken it yet."""

from __future__ import annotations

import subprocess
import sys

from visavis.engine.images.reservations import SPARE_BYTES, Reservations

MIB = 1 << 20


def test_what_is_promised_is_not_promised_again() -> None:
    reservations = Reservations(lambda: SPARE_BYTES + 300 * MIB)
    first = reservations.reserve(200 * MIB)
    assert first is not None and reservations.are_held
    assert reservations.reserve(200 * MIB) is None
    second = reservations.reserve(100 * MIB)
    assert second is not None
    with reservations.released_after(first), reservations.released_after(second):
        pass
    assert not reservations.are_held
    assert reservations.reserve(300 * MIB) is not None


def test_without_a_limit_everything_fits() -> None:
    reservations = Reservations(lambda: None)
    assert all(reservations.reserve(1 << 40) is not None for _ in range(3))


def test_what_a_process_has_taken_counts_once() -> None:
    """It is part of what is no longer left."""
    program = "import sys\nheld = b'x' * (200 << 20)\nprint('taken', flush=True)\nsys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdin is not None
        assert process.stdout.readline() == b"taken\n"
        reservations = Reservations(lambda: SPARE_BYTES + 300 * MIB)
        first = reservations.reserve(250 * MIB)
        assert first is not None
        assert first.untouched_bytes == 250 * MIB
        first.pid = process.pid
        assert first.untouched_bytes < 60 * MIB
        assert reservations.reserve(200 * MIB) is not None
        process.stdin.close()
