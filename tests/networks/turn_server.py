"""A real TURN server (coturn) that takes clients over TCP alone, or over TLS alone, for one test."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from tests.certificates import write_certificate
from tests.e2e.namespaces import Machine

TURNSERVER = shutil.which("turnserver") or shutil.which("turnserver", path="/usr/sbin:/usr/local/bin")
TCP_PORT, TLS_PORT = 3478, 5349
URLS = {"tcp": f"turn:{{host}}:{TCP_PORT}?transport=tcp", "tls": f"turns:{{host}}:{TLS_PORT}?transport=tcp"}
SECRET = "a secret that only the two servers know"


@contextmanager
def turn_server(machine: Machine, folder: Path, protocol: Literal["tcp", "tls"]) -> Iterator[None]:
    """Run coturn on a machine. It relays by UDP, to the machine itself too."""
    assert TURNSERVER is not None
    folder.mkdir()
    certificate, key = write_certificate(folder, machine.address)
    log = folder / "coturn.log"
    words = [
        *("-n", f"--listening-ip={machine.address}", f"--relay-ip={machine.address}", "--no-udp", "--no-dtls"),
        "--no-tls" if protocol == "tcp" else "--no-tcp",
        *(f"--listening-port={TCP_PORT}", f"--tls-listening-port={TLS_PORT}"),
        *(f"--cert={certificate}", f"--pkey={key}", "--use-auth-secret", f"--static-auth-secret={SECRET}"),
        *("--realm=visavis.test", "--no-cli", f"--pidfile={folder / 'coturn.pid'}", f"--db={folder / 'coturn.db'}"),
        *("--log-file=stdout", "--simple-log", "--verbose"),
    ]
    with (
        log.open("w") as output,
        subprocess.Popen(machine.command(TURNSERVER, *words), stdout=output, stderr=output) as server,
    ):
        try:
            _wait_until_open(machine, TCP_PORT if protocol == "tcp" else TLS_PORT)
            yield
        finally:
            server.terminate()


def _wait_until_open(machine: Machine, port: int) -> None:
    script = f"""
import socket, time
for _ in range(300):
    try: raise SystemExit(socket.create_connection(("{machine.address}", {port}), 1).close())
    except OSError: time.sleep(0.1)
raise SystemExit("coturn does not listen")
"""
    subprocess.run(machine.command(sys.executable, "-c", script), check=True)
