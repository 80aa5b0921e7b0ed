"""A real TURN server (coturn) on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.networks.turn_server import SECRET, TURNSERVER

READY_WITHIN_S = 30
RELAYS_TO_ITSELF = "--allow-loopback-peers"


@asynccontextmanager
async def coturn(folder: Path, port: int, options: Sequence[str] = (RELAYS_TO_ITSELF,)) -> AsyncIterator[None]:
    """Run coturn until the block ends. `folder`: where it writes."""
    assert TURNSERVER is not None
    words = [
        *(
            "-n",
            "--listening-ip=127.0.0.1",
            "--relay-ip=127.0.0.1",
            f"--listening-port={port}",
            "--no-dtls",
            "--no-tls",
        ),
        *("--use-auth-secret", f"--static-auth-secret={SECRET}", "--realm=visavis.test", "--no-cli", *options),
        *(f"--pidfile={folder / 'coturn.pid'}", f"--db={folder / 'coturn.db'}", "--log-file=stdout", "--simple-log"),
    ]
    server = await asyncio.create_subprocess_exec(
        TURNSERVER, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        await asyncio.wait_for(_until_it_answers(port), READY_WITHIN_S)
        yield
    finally:
        server.terminate()
        await server.communicate()


async def _until_it_answers(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)  # polls another process
        else:
            writer.close()
            return
