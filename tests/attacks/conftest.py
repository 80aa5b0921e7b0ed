"""One server for the tests that send bytes of their own to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attacks.raw_websocket import Attacked, attacked_server


@pytest.fixture(scope="package")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    """A server with a started session. Its log must not hold a traceback at the end."""
    with attacked_server(tmp_path_factory.mktemp("attacked")) as opened:
        yield opened
