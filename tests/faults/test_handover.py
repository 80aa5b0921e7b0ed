"""A server that takes over from another one on the same data folder: no session ends and no word is lost."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from tests.faults.restarts import Client, Session, place
from tests.faults.scale import FULL, SCALE
from tests.faults.test_interruptions import sound
from visavis.errors import CloseCode
from visavis.tls import command

pytestmark = pytest.mark.anyio
HANDOVERS = 1 if SCALE == 1 else 5
PIECES = 40  # of 0.1 s, between two hand-overs


@pytest.mark.parametrize(
    ("how", "secure"),
    [("signal", True), *([("signal", False), ("take over", True), ("take over", False)] if FULL else [])],
)
async def test_a_hand_over_in_the_middle_of_speech_loses_no_word(
    tmp_path: Path, how: str, secure: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {}
    if secure:
        tls = tmp_path / "tls"
        command.run(["box.lan"], tls)
        settings = {"VISAVIS_TLS_CERT": str(tls / "server.pem"), "VISAVIS_TLS_KEY": str(tls / "server.key")}
        monkeypatch.setenv("SSL_CERT_FILE", str(tls / "authority.pem"))  # of every client here
    with place(tmp_path, **settings) as here:
        here.start()
        await here.ready()
        session = await Session.start(here)
        client = Client(session, resume=True)
        async with session.viewer() as viewer:
            await client.open()
            for turn in range(HANDOVERS):
                for piece in range(PIECES):
                    await client.send(
                        type="agent.speak", audio=sound(0.1), utterance_id=f"u{turn}", final=piece == PIECES - 1
                    )
                    if piece == PIECES // 2:
                        await client.until("agent.playback.started", utterance_id=f"u{turn}")
                        old = here.server
                        if how == "take over":
                            here.start("--take-over")
                        else:
                            old.send_signal(signal.SIGUSR2)
                        await client.until_closed()
                        assert await asyncio.to_thread(old.wait, 30) == 0, here.log
                        if how == "signal":
                            here.start()
                        assert "graceful shutdown exceeded" not in here.log
                finished = await client.until("agent.playback.finished", utterance_id=f"u{turn}")
                assert (finished["position_s"], finished["interrupted"]) == (PIECES / 10, False)
                await here.ready()
            _, blocks = viewer.peer.read()
            assert blocks.missing == 0
        assert client.closes == [CloseCode.SERVER_CHANGES] * HANDOVERS
        assert client.resumed == [False] + [True] * HANDOVERS
        assert len(client.all_of("agent.playback.finished")) == HANDOVERS
        confirmed = sum(message["audio_samples"] for message in client.all_of("agent.speak.confirmed"))
        assert confirmed == HANDOVERS * PIECES * 1600
        assert here.row(session.session_id)["status"] == "started"
        await session.end()
        assert here.row(session.session_id)["end_reason"] == "ended_by_client"
        assert len(here.stages) == 1
        await here.stop()
        await here.until_stages_end()
