"""All clients have one address, that of the gateway, as behind the forwarder of a container without root: a flood
without a key does not stop calls with one, and the log says once that addresses are hidden.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.attacks.scale import SCALE
from tests.e2e.namespaces import two_machines, why_unavailable
from tests.used_folder import create_key, used_before

UNAVAILABLE = why_unavailable()
COUNT = 200 * SCALE
CALLS_A_MINUTE = 100


@pytest.mark.skipif(UNAVAILABLE is not None, reason=str(UNAVAILABLE))
def test_a_flood_without_a_key_from_the_address_of_all_clients(tmp_path: Path) -> None:
    settings = {
        "VISAVIS_DATA_DIR": str(used_before(tmp_path / "data")),
        "VISAVIS_RATE_LIMIT_PER_MINUTE": str(CALLS_A_MINUTE),
        "VISAVIS_MAX_CONNECTIONS_PER_ADDRESS": str(COUNT // 2),
    }
    log = tmp_path / "log"
    with two_machines() as (service, gateway), log.open("w") as errors:
        serve = [sys.executable, "-m", "visavis", "serve", "--host", "0.0.0.0", "--port", "8000"]
        with subprocess.Popen(
            service.command(*serve), env=os.environ | settings, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as server:
            try:
                assert server.stdout is not None
                assert server.stdout.readline().startswith("Visavis is at ")
                base, key = f"http://{service.address}:8000", create_key(tmp_path / "data")
                attack = [sys.executable, "-m", "tests.attacks.one_address", base, key, str(COUNT)]
                done = subprocess.run(gateway.command(*attack), capture_output=True, text=True, timeout=100, check=True)
            finally:
                server.terminate()
    seen = json.loads(done.stdout)
    assert set(seen["with key"]) == {200}
    assert seen["without"] == [401, 429], "the flood has used up the allowance of its address"
    assert log.read_text().count("client_addresses_hidden") == 1
    assert f"address={gateway.address}" in log.read_text()
