"""Hypothesis makes every call about sessions in random orders, from several clients, on both databases; a model says
what each must answer (session_states.py). `make fuzz` does so for long.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.conftest import open_service
from tests.fakes import FakeFleet
from tests.fuzz.scale import FULL, examples
from tests.fuzz.session_clients import Clients
from tests.fuzz.session_states import SessionStates


@pytest.fixture
def clients(database_url: str, tmp_path: Path) -> Iterator[Clients]:
    opening = open_service(
        tmp_path,
        fleet=FakeFleet(places=1_000_000),
        database_url=database_url,
        rate_limit_per_minute=1_000_000_000,
        max_created_sessions_per_account=1_000_000,
    )
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(opening) as service:
        yield Clients(portal, service)


def test_the_model_never_disagrees(clients: Clients) -> None:
    class OnThisServer(SessionStates):
        pass

    OnThisServer.clients = clients
    # Races win differently each time, so a failure is shown as it came: to make it smaller would take minutes.
    steps = settings(examples(3, 100), stateful_step_count=60 if FULL else 20, phases=[Phase.generate])
    run_state_machine_as_test(OnThisServer, settings=steps)
    assert clients.examples >= steps.max_examples
