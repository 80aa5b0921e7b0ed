"""A bot that says one recording again and again to whoever comes by SmallWebRTC:

    python -m tests.talking_bot RECORDING EVERY_S

It prints the port to which an offer is sent, as JSON. `tests/pipecat/long_call.py` of the repository measures what
comes.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from aiohttp import web
from pipecat.frames.frames import TTSAudioRawFrame, TTSStartedFrame, TTSStoppedFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport
from pipecat.workers.runner import WorkerRunner
from pipecat_visavis import VisavisVideoService
from visavis_client import AsyncVisavis, Sound, read_sound

from tests.bot import params, public_avatar

WIDTH_PX, HEIGHT_PX = 480, 360


async def say(worker: PipelineWorker, sound: Sound) -> None:
    """Speak as a voice does: all at once, in pieces."""
    await worker.queue_frame(TTSStartedFrame())
    step = sound.sample_rate_hz // 5 * 2
    for at in range(0, len(sound.pcm), step):
        piece = sound.pcm[at : at + step]
        await worker.queue_frame(TTSAudioRawFrame(audio=piece, sample_rate=sound.sample_rate_hz, num_channels=1))
    await worker.queue_frame(TTSStoppedFrame())


async def talk(connection: SmallWebRTCConnection, avatar: str, sound: Sound, every_s: float) -> None:
    transport = SmallWebRTCTransport(
        webrtc_connection=connection, params=params(video_out_width=WIDTH_PX, video_out_height=HEIGHT_PX)
    )
    face = VisavisVideoService(avatar=avatar)
    worker = PipelineWorker(
        Pipeline([transport.input(), face, transport.output()]),
        params=PipelineParams(audio_out_sample_rate=24_000),
        idle_timeout_secs=None,
        enable_rtvi=False,
    )

    async def go_on() -> None:
        while True:
            await asyncio.sleep(every_s)
            await say(worker, sound)

    going_on: list[asyncio.Task[None]] = []

    @transport.event_handler("on_client_connected")
    async def _(*_: object) -> None:
        going_on.append(asyncio.create_task(go_on()))

    @transport.event_handler("on_client_disconnected")
    async def _(*_: object) -> None:
        for task in going_on:
            task.cancel()
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


async def serve(recording: Path, every_s: float) -> None:
    async with AsyncVisavis() as client:
        avatar = await public_avatar(client)
    bots: list[asyncio.Task[None]] = []

    async def offer(request: web.Request) -> web.Response:
        asked = await request.json()
        connection = SmallWebRTCConnection([])
        await connection.initialize(sdp=asked["sdp"], type=asked["type"])
        bots.append(asyncio.create_task(talk(connection, avatar, read_sound(recording), every_s)))
        return web.json_response(connection.get_answer())

    app = web.Application()
    app.add_routes([web.post("/offer", offer)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recording", type=Path)
    parser.add_argument("every_s", type=float)
    chosen = parser.parse_args()
    asyncio.run(serve(chosen.recording, chosen.every_s))
