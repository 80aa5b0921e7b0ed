"""A LiveKit agent with a face that follows a script: no language model, no speech synthesiser, no network.

`run.py` beside it starts all that it needs. An agent of yours differs in its `AgentSession`, which has a model, a voice
and ears; the lines with `avatar` stay as they are.
"""

from __future__ import annotations

import asyncio
import json
import os
import wave
from collections.abc import AsyncIterator
from pathlib import Path

from livekit import rtc
from livekit.agents import Agent, AgentSession, JobContext, JobExecutorType, WorkerOptions, cli
from livekit.plugins import visavis

VOICES = Path(__file__).parents[2] / "src" / "visavis" / "library" / "voices"
GREETING = "Hello! I am an avatar."
SAMPLE = "This is a longer text, which you may interrupt at any time."


async def recording(name: str) -> AsyncIterator[rtc.AudioFrame]:
    """Yield a recording in frames of 20 ms, as a speech synthesiser would."""
    with wave.open(str(VOICES / name)) as file:
        rate_hz = file.getframerate()
        while pcm := file.readframes(rate_hz // 50):
            yield rtc.AudioFrame(pcm, rate_hz, 1, len(pcm) // 2)
            await asyncio.sleep(0)


async def entrypoint(ctx: JobContext) -> None:
    await ctx.connect()
    session: AgentSession[None] = AgentSession()

    avatar = visavis.AvatarSession(avatar=os.environ.get("AVATAR", "iris"))
    await avatar.start(session, room=ctx.room)
    await session.start(agent=Agent(instructions="none"), room=ctx.room)
    await ctx.wait_for_participant()
    await avatar.wait_ready()

    session.say(GREETING, audio=recording("greeting.wav"))

    async def obey(wish: str) -> None:
        match wish:
            case "talk":
                session.say(SAMPLE, audio=recording("sample.wav"))
            case "interrupt":
                await session.interrupt()
            case "happy" | "sad" | "neutral":
                await avatar.set_emotion(wish)

    tasks: set[asyncio.Task[None]] = set()

    @ctx.room.on("data_received")
    def take(packet: rtc.DataPacket) -> None:
        if packet.topic == "wish":
            task = asyncio.create_task(obey(json.loads(packet.data)["wish"]))
            tasks.add(task)
            task.add_done_callback(tasks.discard)


if __name__ == "__main__":
    cli.run_app(
        WorkerOptions(
            entrypoint_fnc=entrypoint,
            job_executor_type=JobExecutorType.THREAD,
            load_fnc=lambda: 0.0,  # this machine draws the avatars, too, and is busy: it takes the job all the same
            host="127.0.0.1",
            port=0,
        )
    )
