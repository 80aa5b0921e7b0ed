"""A real TURN server (coturn) that takes clients over one protocol alone, for one test."""

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
Protocol = Literal["udp", "tcp", "tls"]
PORT, TLS_PORT = 3478, 5349
URLS: dict[Protocol, str] = {
    "udp": f"turn:{{host}}:{PORT}?transport=udp",
    "tcp": f"turn:{{host}}:{PORT}?transport=tcp",
    "tls": f"turns:{{host}}:{TLS_PORT}?transport=tcp",
}
OTHERS = {"udp": ["--no-tcp", "--no-tls"], "tcp": ["--no-udp", "--no-tls"], "tls": ["--no-udp", "--no-tcp"]}
SECRET = "a secret that only the two servers know"


@contextmanager
def turn_server(machine: Machine, folder: Path, protocol: Protocol, *options: str) -> Iterator[None]:
    """Run coturn on a machine. It relays by UDP, to the machine itself too. `options`: further ones of coturn."""
    assert TURNSERVER is not None
    folder.mkdir()
    certificate, key = write_certificate(folder, machine.address)
    log = folder / "coturn.log"
    words = [
        *("-n", f"--listening-ip={machine.address}", f"--relay-ip={machine.address}", "--no-dtls"),
        *OTHERS[protocol],
        *(f"--listening-port={PORT}", f"--tls-listening-port={TLS_PORT}"),
        *(f"--cert={certificate}", f"--pkey={key}", "--use-auth-secret", f"--static-auth-secret={SECRET}"),
        *("--realm=visavis.test", "--no-cli", f"--pidfile={folder / 'coturn.pid'}", f"--db={folder / 'coturn.db'}"),
        *("--log-file=stdout", "--simple-log", "--verbose"),
        *options,
    ]
    with (
        log.open("w") as output,
        subprocess.Popen(machine.command(TURNSERVER, *words), stdout=output, stderr=output) as server,
    ):
        try:
            _wait_until_open(machine, protocol)
            yield
        finally:
            server.terminate()


def _wait_until_open(machine: Machine, protocol: Protocol) -> None:
    """Wait until it answers a STUN binding request (UDP), or takes a connection."""
    ask = f"""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(0.1)
        asking.sendto(bytes.fromhex("000100002112a442") + bytes(12), ("{machine.address}", {PORT}))
        asking.recv(1500)
"""
    connect = f"""
    socket.create_connection(("{machine.address}", {TLS_PORT if protocol == "tls" else PORT}), 1).close()
"""
    script = f"""
import socket, sys, time
def try_once():{ask if protocol == "udp" else connect}
for _ in range(300):
    try: sys.exit(try_once())
    except OSError: time.sleep(0.1)
sys.exit("coturn does not listen")
"""
    subprocess.run(machine.command(sys.executable, "-c", script), check=True)
