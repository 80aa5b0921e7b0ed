"""Performs one whole session with the public API only, like any client: REST, the channel, and a viewer over WebRTC.

create -> start -> join the room -> session.init -> speak a sample to its end -> speak it again and interrupt it -> end.
`Run` contains the time of each step. Only the contract is checked here.
"""

from __future__ import annotations

import asyncio
import time
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import connect

from visavis.demo.channel_client import ChannelClient
from visavis.demo.reception import Reception
from visavis.demo.session_client import SessionClient
from visavis.errors import CloseCode, ContractBroken
from visavis.rooms.watch import WhepViewer

SIZE_PX = (512, 512)
IDLE_S = 2.0  # recorded before the first word: every movement is measured from the resting face
INTERRUPT_AFTER_S = 3.0
AFTERMATH_S = 2.0  # recorded after the interrupt
FIRST_PICTURE_WITHIN_S = 20.0
POSITION_TOLERANCE_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """A recording. `samples`: int16 (n,), mono."""

    samples: NDArray[np.int16]
    rate_hz: int

    @classmethod
    def read(cls, path: Path) -> Speech:
        with wave.open(str(path)) as file:
            assert file.getnchannels() == 1 and file.getsampwidth() == 2, "the library's voices are mono PCM16"
            return cls(
                samples=np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16),
                rate_hz=file.getframerate(),
            )

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate_hz

    @property
    def pcm(self) -> bytes:
        return self.samples.astype("<i2").tobytes()


@dataclass(slots=True)
class Run:
    """The times of a session's steps, on time.monotonic."""

    speech: Speech
    reception: Reception
    start_sent_s: float = 0.0
    first_picture_s: float = 0.0
    spoken_s: float = 0.0  # the first message of the sample
    finished_s: float = 0.0  # its agent.playback.finished arrived
    spoken_again_s: float = 0.0
    interrupted_s: float = 0.0  # agent.interrupt was sent
    interrupt_confirmed_s: float = 0.0
    ended_s: float = 0.0


async def perform(base_url: str, key: str, sample: Path) -> Run:
    """Perform a session. Raises `ContractBroken`, and the errors of a viewer that cannot join."""
    run = Run(speech=Speech.read(sample), reception=Reception())
    async with httpx.AsyncClient(base_url=base_url, headers={"x-api-key": key}, timeout=30) as http:
        sessions = SessionClient(http)
        session = await sessions.create(await sessions.first_look(), {"purpose": "demo"})
        session_id, room = session["session_id"], session["daily_room"]
        await sessions.read(session_id, "created")
        run.start_sent_s = time.monotonic()
        ws_uri = await sessions.start(session_id)
        async with (
            WhepViewer(whep_url=f"{room['url']}/whep", token=room["token"]) as viewer,
            connect(ws_uri, max_size=None) as connection,
        ):
            receiving = [
                asyncio.create_task(run.reception.take_pictures(viewer)),
                asyncio.create_task(run.reception.take_sound(viewer)),
            ]
            try:
                channel = ChannelClient(connection)
                await _join(run, channel, session)
                await sessions.read(session_id, "started")
                await _speak_to_the_end(run, channel)
                await _speak_and_interrupt(run, channel)
                run.ended_s = time.monotonic()
                await sessions.end(session_id)
                code, reason = await channel.wait_closed()
                if code != CloseCode.NORMAL or not reason:
                    raise ContractBroken(
                        f"The channel closed with {code} {reason!r} at the session's end instead of 1000 and the reason"
                    )
                await sessions.read(session_id, "ended")
            finally:
                for task in receiving:
                    task.cancel()
                await asyncio.gather(*receiving, return_exceptions=True)
    return run


async def _join(run: Run, channel: ChannelClient, session: dict[str, Any]) -> None:
    room = session["daily_room"]
    config = {
        "session_id": session["session_id"],
        "access_token": session["access_token"],
        "room": {"platform": "daily", "url": room["url"], "token": room["token"], "display_name": "AI Avatar (AH)"},
        "video_width": SIZE_PX[0],
        "video_height": SIZE_PX[1],
    }
    await channel.tell(type="session.init", config=config, features=["playback"])
    await channel.wait_for("connection.established", session_id=session["session_id"])
    try:
        async with asyncio.timeout(FIRST_PICTURE_WITHIN_S):
            await run.reception.wait_for_picture(*SIZE_PX)
    except TimeoutError:
        sizes = {(seen.frame.width, seen.frame.height) for seen in run.reception.pictures}
        raise ContractBroken(
            f"No picture of {SIZE_PX} reached the viewer within {FIRST_PICTURE_WITHIN_S:.0f} s (sizes seen: "
            f"{sizes or 'none'})"
        ) from None
    run.first_picture_s = run.reception.pictures[0].arrived_s
    await asyncio.sleep(IDLE_S)


async def _speak_to_the_end(run: Run, channel: ChannelClient) -> None:
    run.spoken_s = await channel.speak(run.speech.pcm, sample_rate_hz=run.speech.rate_hz, utterance_id="sample")
    await channel.wait_for("agent.playback.started", utterance_id="sample")
    finished = await channel.wait_for(
        "agent.playback.finished", within_s=run.speech.seconds + 20, utterance_id="sample"
    )
    run.finished_s = finished.arrived_s
    position_s = finished.message["position_s"]
    if finished.message["interrupted"] or abs(position_s - run.speech.seconds) > POSITION_TOLERANCE_S:
        raise ContractBroken(f"An utterance of {run.speech.seconds:.2f} s finished as {finished.message}")
    await asyncio.sleep(0.5)


async def _speak_and_interrupt(run: Run, channel: ChannelClient) -> None:
    run.spoken_again_s = await channel.speak(run.speech.pcm, sample_rate_hz=run.speech.rate_hz, utterance_id="cut")
    await channel.wait_for("agent.playback.started", utterance_id="cut")
    await asyncio.sleep(INTERRUPT_AFTER_S)
    run.interrupted_s = await channel.tell(type="agent.interrupt")
    run.interrupt_confirmed_s = (await channel.wait_for("agent.interrupt.confirmed")).arrived_s
    finished = await channel.wait_for("agent.playback.finished", utterance_id="cut")
    if not finished.message["interrupted"] or not 0 < finished.message["position_s"] < run.speech.seconds:
        raise ContractBroken(f"An utterance cut after about {INTERRUPT_AFTER_S:.0f} s finished as {finished.message}")
    await asyncio.sleep(AFTERMATH_S)
