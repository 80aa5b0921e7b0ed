"""The avatar of one agent's session."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from livekit import rtc
from livekit.agents import (
    NOT_GIVEN,
    AgentSession,
    AgentStateChangedEvent,
    CloseReason,
    NotGivenOr,
    UserStateChangedEvent,
    get_job_context,
    utils,
)
from livekit.agents.tts import TTSError
from livekit.agents.voice.avatar import AvatarSession as BaseAvatarSession
from livekit.agents.voice.avatar import DataStreamAudioOutput
from livekit.agents.voice.io import AudioOutput
from livekit.plugins.visavis.access import LiveKitProject, require_suitable, room_and_agent
from livekit.plugins.visavis.calls import AvatarCalls
from livekit.plugins.visavis.errors import AvatarError, AvatarLost, AvatarNotReady
from livekit.plugins.visavis.log import logger
from livekit.plugins.visavis.output import AvatarOutput
from livekit.plugins.visavis.own_voice import OwnVoice
from livekit.plugins.visavis.portraits import find_avatar
from visavis_client import AsyncVisavis, Refused, SessionDocument, VisavisError, last_answer

if TYPE_CHECKING:
    from livekit.plugins.visavis.portraits import AvatarChoice

READY_WITHIN_S = 10.0
BACK_WITHIN_S = 2.0  # after it has left: an avatar whose connection was lost joins again
JOIN_TIMEOUT_S = 20  # the server ends a session whose agent has not been seen for so long
END_WITHIN_S = 5.0
STATE_TOPIC = "session.state"

AspectRatio = Literal["4:3", "3:4", "1:1"]
Fallback = Literal["voice", "end"]


class AvatarSession(BaseAvatarSession[Literal["avatar_ready", "avatar_failed", "session_expiring"]]):
    """A Visavis avatar that speaks what an agent says.

    Events: `avatar_ready` (without arguments), `avatar_failed` (the error, at most once), `session_expiring` (how many
    seconds are left).
    """

    def __init__(
        self,
        avatar: AvatarChoice = "iris",
        *,
        api_url: str | None = None,
        api_key: str | None = None,
        aspect_ratio: AspectRatio = "4:3",
        background: Mapping[str, Any] | None = None,
        framing: Mapping[str, Any] | None = None,
        emotion: str | Mapping[str, Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
        fallback: Fallback = "voice",
        ready_within_s: float = READY_WITHIN_S,
        hold_for_viewer_s: float | None = None,
        participant_name: str = "Avatar",
    ) -> None:
        """`avatar`: the name of an avatar, its id, the address of a photo, or a photo (path, bytes, PIL image).
        `api_url`, `api_key`: of the Visavis server; default: the variables VISAVIS_API_URL and VISAVIS_API_KEY.
        `background`, `framing`, `emotion`: as in the server's reference. `fallback`: what becomes of the conversation
        without the avatar: the agent speaks itself, or its session ends. `ready_within_s`: how long the avatar may take
        until it is seen. `hold_for_viewer_s`: the first sentence waits so long for a user, or for a telephone to be
        answered; above 0, at most 60.
        """
        super().__init__()
        self._choice = avatar
        self._client = AsyncVisavis(api_url, api_key)
        self._aspect_ratio: AspectRatio = aspect_ratio
        look = {"background": background, "framing": framing, "emotion": emotion}
        self._look: dict[str, Any] = {name: value for name, value in look.items() if value is not None}
        self._metadata = metadata
        self._fallback, self._ready_within_s = fallback, ready_within_s
        self._hold_for_viewer_s = hold_for_viewer_s
        self._identity, self._name = f"visavis-avatar-{secrets.token_hex(4)}", participant_name
        self._document: SessionDocument | None = None  # set when the session was created
        self._ended_early: AvatarLost | None = None  # before its create was answered
        self._failure: VisavisError | None = None
        self._settled = asyncio.Event()  # the avatar is ready, or has failed, or none comes
        self._closing: asyncio.Task[None] | None = None  # set by the first `aclose`
        self._started = self._is_ready = False
        self._tasks: set[asyncio.Task[None]] = set()
        # set by `start`:
        self._agent: AgentSession[Any] | None = None
        self._joined_room: rtc.Room | None = None
        self._calls: AvatarCalls | None = None
        self._output: AvatarOutput | None = None
        self._before: AudioOutput | None = None  # what the agent spoke with, if it had begun
        self._voice: AudioOutput | None = None  # what it speaks with when there is no avatar

    @property
    def avatar_identity(self) -> str:
        return self._identity

    @property
    def provider(self) -> str:
        return "visavis"

    @property
    def session_id(self) -> str | None:
        """The id of the Visavis session, once it was created."""
        return None if self._document is None else self._document.id

    # --- starting
    async def start(
        self,
        agent_session: AgentSession[Any],
        room: rtc.Room,
        *,
        livekit_url: NotGivenOr[str] = NOT_GIVEN,
        livekit_api_key: NotGivenOr[str] = NOT_GIVEN,
        livekit_api_secret: NotGivenOr[str] = NOT_GIVEN,
    ) -> None:
        """Have the avatar join the room, before or after the agent's session was started. Returns at once: `wait_ready`
        waits until it is seen. Until then the agent's speech waits.

        `livekit_url`, …: default: the variables LIVEKIT_URL, LIVEKIT_API_KEY, LIVEKIT_API_SECRET. The Visavis server
        must reach this address, too. Raises `AvatarError`; then nothing was started.
        """
        if self._started:
            raise AvatarError("This AvatarSession was started before: make another one")
        self._started = True
        if (why := _no_face_because(agent_session)) is not None:
            logger.info(f"no avatar is started: {why}")
            self._settled.set()
            return
        project = LiveKitProject.of(livekit_url or None, livekit_api_key or None, livekit_api_secret or None)
        require_suitable(room)
        room_name, agent = room_and_agent(room, get_job_context(required=False))
        token = project.token(room=room_name, identity=self._identity, name=self._name, agent=agent)
        await super().start(agent_session, room)
        self._agent, self._joined_room = agent_session, room
        self._calls = AvatarCalls(room, self._identity)
        self._output = self._route(agent_session, room)
        agent_session.on("close", self._agent_closed)
        agent_session.on("agent_state_changed", self._agent_state_changed)
        agent_session.on("user_state_changed", self._user_state_changed)
        room.on("participant_disconnected", self._participant_left)
        room.on("data_received", self._data_received)
        where: dict[str, Any] = {"platform": "livekit", "url": project.url, "token": token}
        if self._hold_for_viewer_s is not None:
            where["hold_for_viewer_s"] = self._hold_for_viewer_s
        self._spawn(self._bring(where))

    async def wait_ready(self) -> None:
        """Wait until the avatar is seen. Raises what has kept it from coming."""
        await self._settled.wait()
        if self._failure is not None:
            raise self._failure

    def _route(self, agent_session: AgentSession[Any], room: rtc.Room) -> AvatarOutput:
        """Send the agent's speech to the avatar. What carried it before is what the agent falls back to."""
        self._before = _tail(agent_session.output.audio)
        self._voice = self._before or OwnVoice(room)
        stream = DataStreamAudioOutput(
            room=room,
            destination_identity=self._identity,
            wait_remote_track=rtc.TrackKind.KIND_VIDEO,
            wait_playback_start=True,
        )
        output = AvatarOutput(stream, pause_avatar=self._pause)
        agent_session.output.replace_audio_tail(output)
        return output

    async def _bring(self, room: Mapping[str, Any]) -> None:
        """Create the session, and wait until the avatar is seen. A task that is cancelled leaves no session."""
        assert self._output is not None
        try:
            async with asyncio.timeout(self._ready_within_s):
                await self._create(room)
                await self._appear()
        except TimeoutError as late:
            where = "has not joined the room" if self._document is None else "shows no picture"
            not_ready = AvatarNotReady(
                f"The avatar {where} after {self._ready_within_s:g} s. Check that the Visavis server at "
                f"{self._client.base_url} runs and reaches {room['url']}"
            )
            said = last_answer(late)
            await self._fail(said if isinstance(said, Refused) else not_ready)  # a refusal says more
        except VisavisError as error:
            await self._fail(error)
        else:
            self._is_ready = True
            self._output.open()
            self._settled.set()
            logger.info("the avatar is ready", extra={"session_id": self.session_id})
            self.emit("avatar_ready")

    async def _create(self, room: Mapping[str, Any]) -> None:
        avatar = await find_avatar(self._client, self._choice)
        sent = dict(self._look)
        created = await self._client.sessions.create(
            avatar,
            aspect_ratio=self._aspect_ratio,
            room=room,
            metadata=self._metadata,
            output=sent,
            options={"options": {"join_timeout": JOIN_TIMEOUT_S}},
        )
        self._document = created.document
        if self._ended_early is not None:
            raise self._ended_early
        if self._calls is not None and self._look != sent:
            self._calls.send("visavis.output", self._look)

    async def _appear(self) -> None:
        room = self._joined_room
        assert room is not None
        connected = asyncio.Event()

        def look(_: object = None) -> None:
            if room.isconnected():
                connected.set()

        room.on("connection_state_changed", look)
        look()
        try:
            await connected.wait()
        finally:
            room.off("connection_state_changed", look)
        require_suitable(room)
        await utils.wait_for_participant(room=room, identity=self._identity)
        await utils.wait_for_track_publication(room=room, identity=self._identity, kind=rtc.TrackKind.KIND_VIDEO)

    # --- what the avatar shows
    async def set_emotion(self, emotion: str | Mapping[str, Any]) -> Mapping[str, Any]:
        """Show an emotion from now on: `"happy"`, or `{"name": "happy", "weight": 0.6}`. Raises `AvatarRefused`."""
        return await self.update(emotion=emotion)

    async def update(
        self,
        *,
        background: Mapping[str, Any] | None = None,
        framing: Mapping[str, Any] | None = None,
        emotion: str | Mapping[str, Any] | None = None,
    ) -> Mapping[str, Any]:
        """Change what the avatar shows, and return all that it shows then. Before it has come, this is what it comes
        with. Raises `AvatarRefused`.
        """
        given = {"background": background, "framing": framing, "emotion": emotion}
        change = {name: value for name, value in given.items() if value is not None}
        self._look |= change
        if change and self._is_ready and self._failure is None and self._calls is not None:
            shown: Mapping[str, Any] = json.loads(await self._calls.call("visavis.output", change))
            return shown
        return dict(self._look)

    def _pause(self, on: bool) -> None:
        if self._calls is not None and self._failure is None:
            self._calls.pause(on)

    def _show_state(self, state: str) -> None:
        if self._calls is not None and self._is_ready and self._failure is None:
            self._calls.send("visavis.state", {"state": state})

    def _agent_state_changed(self, event: AgentStateChangedEvent) -> None:
        if event.new_state == "thinking":
            self._show_state("thinking")
        elif event.old_state == "thinking" and event.new_state != "speaking":
            self._show_state("listening")

    def _user_state_changed(self, event: UserStateChangedEvent) -> None:
        if event.new_state == "speaking":
            self._show_state("listening")

    # --- trouble
    def _participant_left(self, participant: rtc.RemoteParticipant) -> None:
        if participant.identity == self._identity and self._is_ready and self._closing is None:
            self._spawn(self._await_return())

    async def _await_return(self) -> None:
        """Give an avatar that has left the room a moment to come back."""
        try:
            async with asyncio.timeout(BACK_WITHIN_S):
                await self._appear()
        except TimeoutError:
            await self._fail(
                AvatarLost(
                    f"The avatar has left the room. The server's log tells why, by the session {self.session_id}"
                )
            )
        else:
            await self._interrupt()  # what it had not said is lost

    def _data_received(self, packet: rtc.DataPacket) -> None:
        if packet.topic != STATE_TOPIC or packet.participant is None or packet.participant.identity != self._identity:
            return
        try:
            told = json.loads(packet.data)
            state, reason = told["state"], told.get("reason", "")
        except (ValueError, KeyError, TypeError):
            return
        match state:
            case "expiring":
                self.emit("session_expiring", told.get("seconds_left"))
            case "error":
                logger.warning(f"the avatar cannot speak what it was sent: {reason}")
            case "ended" if self._closing is None:
                ended = AvatarLost(f"The avatar's session has ended: {reason or 'without a reason'}")
                if self._document is not None:
                    self._spawn(self._fail(ended))
                else:  # perhaps because its create is given up: then that says why
                    self._ended_early = ended

    async def _fail(self, error: VisavisError) -> None:
        """Go on without the avatar, or end the agent's session. The first failure counts."""
        if self._failure is not None or self._closing is not None:
            return
        assert self._output is not None and self._voice is not None and self._agent is not None
        self._failure = error
        logger.error(f"the avatar has failed: {error}", extra={"session_id": self.session_id})
        was_ready, self._is_ready = self._is_ready, False
        self._settled.set()
        self.emit("avatar_failed", error)
        if was_ready:
            await self._interrupt()
        self._output.fail_over(self._voice)
        if self._fallback == "end":
            _close(self._agent, error)
        await self._end_session()

    async def _interrupt(self) -> None:
        """End what the agent says now as interrupted."""
        if self._agent is not None:
            try:
                self._agent.interrupt(force=True)
            except RuntimeError:  # the agent's session does not run
                logger.debug("nothing was interrupted", exc_info=True)

    async def _end_session(self) -> None:
        if self._document is not None:
            try:
                async with asyncio.timeout(END_WITHIN_S):
                    await self._client.sessions.end(self._document.id)
            except (TimeoutError, VisavisError) as error:
                logger.warning(
                    f"the avatar's session could not be ended, it ends when the agent leaves: {error}",
                    extra={"session_id": self.session_id},
                )

    # --- closing
    async def aclose(self) -> None:
        """End the session; the agent speaks itself from then on. May be called several times, and at the same time."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        agent, room, output = self._agent, self._joined_room, self._output
        if agent is not None and room is not None and output is not None and self._voice is not None:
            agent.off("close", self._agent_closed)
            agent.off("agent_state_changed", self._agent_state_changed)
            agent.off("user_state_changed", self._user_state_changed)
            room.off("participant_disconnected", self._participant_left)
            room.off("data_received", self._data_received)
            if _tail(agent.output.audio) is output and self._before is not None:
                agent.output.replace_audio_tail(self._before)
            else:  # an avatar that has taken over may fall back to this output
                output.fail_over(self._voice)
            output.aclose()
        if self._calls is not None:
            await self._calls.aclose()
        self._settled.set()
        await self._end_session()
        await self._client.aclose()
        await super().aclose()

    def _agent_closed(self, _: object) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _tail(output: AudioOutput | None) -> AudioOutput | None:
    """Return the last output of a chain."""
    while output is not None and output.next_in_chain is not None:
        output = output.next_in_chain
    return output


def _no_face_because(agent_session: AgentSession[Any]) -> str | None:
    """Return why an agent needs no avatar, None if it needs one."""
    job = get_job_context(required=False)
    if job is not None and job.is_fake_job():
        return "the agent runs in the console"
    if not agent_session.output.audio_enabled:
        return "the agent's session has no sound"
    return None


def _close(agent_session: AgentSession[Any], error: Exception) -> None:
    """Close an agent's session because of an error, which its event `close` carries as one of the voice."""
    told = TTSError(timestamp=time.time(), label="livekit.plugins.visavis", error=error, recoverable=False)
    agent_session._close_soon(reason=CloseReason.ERROR, error=told)  # noqa: SLF001  # no public way has an error
