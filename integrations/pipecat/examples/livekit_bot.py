"""A bot in a LiveKit room whose avatar joins the room itself, without any cloud: its voice is scripted.

    make livekit-demo BOT=pipecat        # starts all that it needs: a LiveKit server, a Visavis server, and a page

By itself it needs LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET, VISAVIS_API_URL, VISAVIS_API_KEY and a room's name.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from typing import Any

import httpx
from livekit import api
from pipecat.frames.frames import (
    InterruptionFrame,
    ServiceUpdateSettingsFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.transports.livekit.transport import LiveKitParams, LiveKitTransport
from pipecat.workers.runner import WorkerRunner
from pipecat_visavis import VisavisVideoSettings
from pipecat_visavis.livekit import VisavisLiveKitService
from visavis_client import AsyncVisavis, Sound, read_sound


async def say(worker: PipelineWorker, sound: Sound) -> None:
    """Speak as a voice does: all at once, in pieces."""
    await worker.queue_frame(TTSStartedFrame())
    step = sound.sample_rate_hz // 5 * 2
    for at in range(0, len(sound.pcm), step):
        piece = sound.pcm[at : at + step]
        await worker.queue_frame(TTSAudioRawFrame(audio=piece, sample_rate=sound.sample_rate_hz, num_channels=1))
    await worker.queue_frame(TTSStoppedFrame())


async def run(room: str) -> None:
    """Run a bot until its user leaves."""
    async with AsyncVisavis() as client:
        avatar = os.environ.get("AVATAR") or (await client.avatars.public())[0].id
        async with httpx.AsyncClient(base_url=client.base_url) as http:
            greeting, sample = [
                read_sound((await http.get(f"/samples/{name}.wav")).raise_for_status().content)
                for name in ("greeting", "sample")
            ]
    grants = api.VideoGrants(room_join=True, room=room)
    token = api.AccessToken().with_identity("bot").with_kind("agent").with_grants(grants).to_jwt()
    transport = LiveKitTransport(
        url=os.environ["LIVEKIT_URL"], token=token, room_name=room, params=LiveKitParams(audio_out_enabled=True)
    )
    face = VisavisLiveKitService(transport, avatar=avatar)
    worker = PipelineWorker(
        Pipeline([transport.input(), face, transport.output()]),
        params=PipelineParams(enable_metrics=True, audio_out_sample_rate=24_000),
        enable_rtvi=False,
    )

    @transport.event_handler("on_first_participant_joined")
    async def greet(*_: object) -> None:
        await say(worker, greeting)

    @transport.event_handler("on_app_message")
    async def told(_transport: object, message: dict[str, Any], *_: object) -> None:
        match message.get("wish"):
            case "talk":
                await say(worker, sample)
            case "interrupt":
                await worker.queue_frame(InterruptionFrame())
            case "happy" | "sad" | "neutral" as emotion:
                wanted = VisavisVideoSettings(emotion=emotion)
                await worker.queue_frame(ServiceUpdateSettingsFrame(delta=wanted, service=face))

    @transport.event_handler("on_participant_left")
    async def leave(*_: object) -> None:
        await worker.cancel()

    runner = WorkerRunner()
    await runner.add_workers(worker)
    await runner.run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("room")
    asyncio.run(run(parser.parse_args().room))
