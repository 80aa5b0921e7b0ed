"""The avatar in the bot's own LiveKit room: it joins as a participant, and its media never pass through the bot.

    transport = LiveKitTransport(url=…, token=…, room_name=…, params=LiveKitParams(audio_out_enabled=True))
    avatar = VisavisLiveKitService(transport, avatar="avat_…")
    Pipeline([transport.input(), stt, user, llm, tts, avatar, transport.output(), assistant])

The users see and hear the avatar; the bot's own track is silent. What the transport would tell of its speech (that the
bot speaks, and the sound for recorders) is told here, at the transport's place, when the avatar says it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipecat.frames.frames import (
    BotSpeakingFrame,
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    Frame,
    TTSAudioRawFrame,
)
from pipecat.transports.livekit.transport import LiveKitTransport
from visavis_client import AsyncSession, AsyncVisavis

from pipecat_visavis import tokens
from pipecat_visavis.avatar_service import AspectRatio, AvatarService
from pipecat_visavis.bot_room import BotRoom
from pipecat_visavis.settings import VisavisVideoSettings
from pipecat_visavis.spoken import Began, Heard, Over, Spoken

TICK_S = 0.02  # how often what was heard is passed on while the avatar speaks
SPEAKING_EVERY_S = 0.2  # as Pipecat's transports do
JOIN_TIMEOUT_S = 20  # the server ends a session whose bot has not been seen for so long


class VisavisLiveKitService(AvatarService):
    """A live avatar in a bot's LiveKit room that speaks what the text-to-speech service before it says.

    Events: `on_connected(service, session)`, `on_playback_started(service, utterance_id)`,
    `on_playback_finished(service, utterance_id, position_s, interrupted)`, `on_disconnected(service, reason)`.
    """

    def __init__(
        self,
        transport: LiveKitTransport,
        *,
        avatar: str | Path | bytes,
        api_url: str | None = None,
        api_key: str | None = None,
        aspect_ratio: AspectRatio = "4:3",
        livekit_url: str | None = None,
        livekit_api_key: str | None = None,
        livekit_api_secret: str | None = None,
        avatar_token: str | None = None,
        participant_name: str = "Avatar",
        hold_for_viewer_s: float | None = None,
        settings: VisavisVideoSettings | None = None,
        metadata: Mapping[str, Any] | None = None,
        shows_states: bool = True,
        **kwargs: Any,
    ) -> None:
        """Prepare the service; the avatar joins when the pipeline is set up. Raises ValueError without a token for the
        bot's room, and RuntimeError for a transport that this package does not know.

        Args:
            transport: The bot's, whose room the avatar joins.
            avatar: An avatar's id, the address of a photo, or a photo (path or bytes).
            api_url: Of the Visavis server. Default: VISAVIS_API_URL, else port 8000 of this machine.
            api_key: Default: VISAVIS_API_KEY.
            aspect_ratio: Of the picture.
            livekit_url: Where the Visavis server reaches the LiveKit server. Default: where the bot reaches it.
            livekit_api_key: Of the LiveKit project. Default: LIVEKIT_API_KEY.
            livekit_api_secret: Default: LIVEKIT_API_SECRET.
            avatar_token: The avatar's token for the room, in place of the two before.
            participant_name: The avatar's name in the room.
            hold_for_viewer_s: The first words wait so long for a user, or for a telephone to be answered; above 0, at
                most 60. Default: they wait for nobody.
            settings: What the avatar shows at first.
            metadata: Of the session.
            shows_states: Whether the avatar listens while the user speaks, and thinks until the bot does.
            **kwargs: For AIService.
        """
        self._spoken: Spoken[Frame] = Spoken()
        super().__init__(
            self._spoken,
            avatar=avatar,
            api_url=api_url,
            api_key=api_key,
            settings=settings,
            metadata=metadata,
            shows_states=shows_states,
            **kwargs,
        )
        room = BotRoom(transport)
        self._transport, self._aspect_ratio = transport, aspect_ratio
        self._url = livekit_url or room.url
        self._hold_for_viewer_s = hold_for_viewer_s
        if avatar_token is None:
            self._identity = f"visavis-avatar-{secrets.token_hex(4)}"
            self._token = tokens.mint(
                room=room.name,
                identity=self._identity,
                name=participant_name,
                bot=room.bot,
                api_key=livekit_api_key,
                api_secret=livekit_api_secret,
            )
        else:
            self._token = avatar_token
            opens, self._identity = tokens.room_and_identity(avatar_token)
            if opens != room.name:
                raise ValueError(f"avatar_token opens the room {opens!r}, and the bot is in {room.name!r}")
        room.leave_out(self._identity)
        self._told = asyncio.Event()  # the channel has told that speech began or ended
        self._turn = 0  # how often the bot was interrupted
        self._bot_speaks = False  # as the pipeline was told
        self._speaking_told_s = 0.0

    @property
    def avatar_identity(self) -> str:
        """The avatar's identity in the room."""
        return self._identity

    # Where the avatar is seen

    def _check_transport(self) -> None:
        output = self._transport.output()
        if output._params.video_out_enabled:  # noqa: SLF001  # the transport has them nowhere else
            raise ValueError(
                f"{output.name} publishes a picture beside the avatar's: leave video_out_enabled=False in its "
                "LiveKitParams"
            )

    async def _open(self, client: AsyncVisavis) -> AsyncSession:
        room: dict[str, Any] = {"platform": "livekit", "url": self._url, "token": self._token}
        if self._hold_for_viewer_s is not None:
            room["hold_for_viewer_s"] = self._hold_for_viewer_s
        return await client.sessions.create(
            self._avatar,
            aspect_ratio=self._aspect_ratio,
            room=room,
            metadata=self._metadata,
            output=self._settings.output(),
            options={"options": {"join_timeout": JOIN_TIMEOUT_S}},
        )

    def _begin_work(self, session: AsyncSession) -> list[asyncio.Task[Any]]:
        return [self.create_task(self._follow(), "follow")]

    def _finish_speech(self) -> None:
        if self._speech is not None:
            self._spoken.whole(self._speech.id)
        super()._finish_speech()

    def _started(self, utterance_id: str) -> None:
        self._spoken.started(utterance_id, asyncio.get_running_loop().time())
        self._told.set()

    def _finished(self, utterance_id: str, position_s: float) -> None:
        self._spoken.finished(utterance_id, position_s)
        self._told.set()

    async def _drop_speech(self) -> list[Frame]:
        self._turn += 1
        waited = self._spoken.drop()
        await self._tell_silence()
        return waited

    async def _lost(self) -> None:
        await self._tell_silence()

    # What is heard

    async def _follow(self) -> None:
        """Pass on what was heard, as the transport would that had played it."""
        loop = asyncio.get_running_loop()
        while True:
            turn = self._turn
            for item in self._spoken.advance(loop.time()):
                if turn == self._turn:
                    await self._pass_on(item)
                elif isinstance(item, Frame) and not item.interruptible:
                    await self.push_frame(item)
            self._heard.set()
            if self._spoken.is_speaking:
                await asyncio.sleep(TICK_S)
            else:
                await self._told.wait()
                self._told.clear()

    async def _pass_on(self, item: Began | Heard | Over | Frame) -> None:
        output = self._transport.output()
        match item:
            case Began():
                self._bot_speaks = True
                await output.broadcast_frame(BotStartedSpeakingFrame)
            case Heard(pcm=pcm, rate_hz=rate_hz):
                await self._tell_speaking()
                await output.push_frame(TTSAudioRawFrame(audio=pcm, sample_rate=rate_hz, num_channels=1))
            case Over():
                await self._tell_silence()
            case _:
                await self.push_frame(item)

    async def _tell_speaking(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s - self._speaking_told_s >= SPEAKING_EVERY_S:
            self._speaking_told_s = now_s
            await self._transport.output().broadcast_frame(BotSpeakingFrame)

    async def _tell_silence(self) -> None:
        if self._bot_speaks:
            self._bot_speaks = False
            await self._transport.output().broadcast_frame(BotStoppedSpeakingFrame)
