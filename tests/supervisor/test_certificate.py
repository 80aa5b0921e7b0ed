"""The certificate of a machine of a fleet, as servers see it while it is renewed."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from visavis.errors import StageUnreachable
from visavis.stage.port.address import Address
from visavis.stage.port.connection import Connection, WebSocketConnection, connect_to, listening
from visavis.supervisor.certificate import made_for
from visavis.tls.renewal import RenewedPair
from visavis.tls.trust import trust_in

pytestmark = pytest.mark.anyio

WITHIN_S = 20.0


async def echo(connection: Connection) -> None:
    while (frame := await connection.receive()) is not None:
        await connection.send(frame)


async def answers(connection: Connection) -> bool:
    await connection.send(b"a frame")
    return await connection.receive() == b"a frame"


def serial_of(connection: Connection) -> int:
    assert isinstance(connection, WebSocketConnection)
    shown = connection._websocket.transport.get_extra_info("peercert")
    return int(shown["serialNumber"], 16)


async def test_servers_take_a_renewed_certificate_and_keep_their_connections(tmp_path: Path) -> None:
    """By its address: then a client names no host in its handshake."""
    with made_for("127.0.0.1", tmp_path) as certificate, made_for("127.0.0.1", tmp_path) as of_another:
        renewed = RenewedPair(certificate.file, certificate.key_file)
        trust = trust_in(certificate.authority_pem)
        anywhere = Address(host="127.0.0.1", port=0)
        async with listening(anywhere, echo, tls=renewed.context()) as address:
            before = await connect_to(address, tls=trust, timeout_s=WITHIN_S)
            certificate.renew()
            for _ in range(2):
                renewed.look()
            after = await connect_to(address, tls=trust, timeout_s=WITHIN_S)
            assert serial_of(after) == renewed.pair.serial != serial_of(before)
            assert await answers(before) and await answers(after)
            with pytest.raises(StageUnreachable, match="certificate verify failed"):
                await connect_to(address, tls=trust_in(of_another.authority_pem), timeout_s=WITHIN_S)
            await before.aclose()
            await after.aclose()
        assert stat.S_IMODE(certificate.key_file.stat().st_mode) == 0o600
    assert not list(tmp_path.iterdir()), "the keys are gone"  # noqa: ASYNC240 (a folder of this test)
