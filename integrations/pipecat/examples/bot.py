"""A bot with a face, without any cloud: a scripted voice, Visavis, and a page that shows it over SmallWebRTC.

    VISAVIS_API_KEY=ah_live_… uv run --project integrations/pipecat --extra example integrations/pipecat/examples/bot.py

Then open http://127.0.0.1:7860. The voice is that of the server's samples; put a text-to-speech service in its place.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from pathlib import Path

import httpx
from aiohttp import web
from pipecat.frames.frames import InterruptionFrame, TTSAudioRawFrame, TTSStartedFrame, TTSStoppedFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport
from pipecat.workers.runner import WorkerRunner
from pipecat_visavis import VisavisVideoService
from visavis_client import AsyncVisavis, Sound, read_sound

PAGE = Path(__file__).with_name("bot.html")
SAMPLES = ("greeting.wav", "sample.wav")


async def say(worker: PipelineWorker, sound: Sound) -> None:
    """Speak as a voice does: all at once, in pieces."""
    await worker.queue_frame(TTSStartedFrame())
    step = sound.sample_rate_hz // 5 * 2
    for at in range(0, len(sound.pcm), step):
        piece = sound.pcm[at : at + step]
        await worker.queue_frame(TTSAudioRawFrame(audio=piece, sample_rate=sound.sample_rate_hz, num_channels=1))
    await worker.queue_frame(TTSStoppedFrame())


async def run_bot(connection: SmallWebRTCConnection, avatar: str, sounds: list[Sound]) -> None:
    """Run a bot for one visitor, until the visitor leaves."""
    transport = SmallWebRTCTransport(
        webrtc_connection=connection,
        params=TransportParams(
            audio_out_enabled=True,
            video_out_enabled=True,
            video_out_is_live=True,
            video_out_width=1024,
            video_out_height=768,
        ),
    )
    face = VisavisVideoService(avatar=avatar)
    worker = PipelineWorker(
        Pipeline([transport.input(), face, transport.output()]),
        params=PipelineParams(enable_metrics=True, audio_out_sample_rate=24_000),
        enable_rtvi=False,
    )

    @transport.event_handler("on_client_connected")
    async def greet(*_: object) -> None:
        await say(worker, sounds[0])

    @transport.event_handler("on_app_message")
    async def told(_transport: object, message: dict[str, str], *_: object) -> None:
        if message.get("type") == "interrupt":
            await worker.queue_frame(InterruptionFrame())
        elif message.get("type") == "speak":
            await say(worker, sounds[1])

    @transport.event_handler("on_client_disconnected")
    async def leave(*_: object) -> None:
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


async def serve(port: int) -> None:
    async with AsyncVisavis() as client:
        avatar = (await client.avatars.public())[0].id
        async with httpx.AsyncClient(base_url=client.base_url) as http:
            sounds = [read_sound((await http.get(f"/samples/{name}")).raise_for_status().content) for name in SAMPLES]
    bots: set[asyncio.Task[None]] = set()

    async def page(_: web.Request) -> web.Response:
        return web.Response(text=PAGE.read_text(encoding="utf-8"), content_type="text/html")

    async def offer(request: web.Request) -> web.Response:
        asked = await request.json()
        connection = SmallWebRTCConnection([])
        await connection.initialize(sdp=asked["sdp"], type=asked["type"])
        bot = asyncio.create_task(run_bot(connection, avatar, sounds))
        bots.add(bot)
        bot.add_done_callback(bots.discard)
        return web.json_response(connection.get_answer())

    app = web.Application()
    app.add_routes([web.get("/", page), web.post("/offer", offer)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    print(f"open http://127.0.0.1:{port}", flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        for bot in list(bots):
            bot.cancel()
        await asyncio.gather(*bots, return_exceptions=True)
        await runner.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=7860)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(parser.parse_args().port))
