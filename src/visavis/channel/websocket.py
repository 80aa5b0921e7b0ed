"""The channel over WebSocket: reads frames, passes them to the protocol, carries out its actions, and forwards the
session's events.

    app.include_router(channel_router(live))

serves `/v1/channel` and `/v1/channel/{session_id}`. protocol.py decides what is accepted, refused and answered;
`LiveSessions` decides who may attach. A frame with neither text nor bytes is a text frame that was not UTF-8
(server.py). The server must accept messages of up to WS_MAX_SIZE_BYTES, so that a client whose message is a little too
large gets an error before the close with 1009.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import anyio
import structlog
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint
from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from visavis.channel.actions import (
    Action,
    Attach,
    Close,
    Effect,
    Interrupt,
    Reply,
    Say,
    Send,
    SendAgain,
    SetState,
    Speak,
    Update,
)
from visavis.channel.conversation import Conversation, Conversations
from visavis.channel.handed_conversation import Beginning, pack
from visavis.channel.handshake import FEATURES
from visavis.channel.port import (
    AttachedSession,
    LastEvent,
    LiveSessions,
    ServerChanges,
    SessionEvent,
    SessionInit,
    TakenOver,
)
from visavis.channel.protocol import INIT_TIMEOUT_S, ChannelProtocol, ChannelState
from visavis.channel.read_ahead import ReadAheadQueue
from visavis.channel.reading import LARGE_CHARS, read_frame
from visavis.connections.scope import CAME_S, session_attached, session_refused
from visavis.errors import CloseCode, PerformerLost, UpgradeRequired, VisavisError
from visavis.large_work import run_large

WS_MAX_SIZE_BYTES = 16 * 1024 * 1024  # above client_message.MAX_TEXT_CHARS; uvicorn's `ws_max_size`
MAX_PENDING_EFFECTS = 32  # with more, the next frame is not processed until one has its outcome
LARGE_SPEECH_BYTES = 256 * 1024  # the outcome of a larger piece of speech comes before the next frame is processed
# Below the 20 s of a keepalive: while a client with a full queue is not read, its pongs are not read either.
EFFECT_TIMEOUT_S = 18.0
UPDATE_TIMEOUT_S = 60.0  # a picture may be fetched and decoded, after those of other sessions
SEND_TIMEOUT_S = 30.0  # a client that accepts nothing for this long counts as disconnected
# How long a message may wait for its client when another connection has taken over. Below `RELEASE_WITHIN_S`.
LEFT_TIMEOUT_S = 1.0
DETACH_TIMEOUT_S = 5.0

ReportOutcome = Callable[[], list[Action]]
"""Reports an effect's outcome to the protocol; returns the protocol's next actions."""

log = structlog.get_logger()


def channel_router(
    live: LiveSessions,
    conversations: Conversations | None = None,
    offered: frozenset[str] = FEATURES,
    *,
    init_timeout_s: float = INIT_TIMEOUT_S,
    effect_timeout_s: float = EFFECT_TIMEOUT_S,
) -> APIRouter:
    """Return a router that serves channels to the sessions of `live`. `conversations`: those that can be resumed.
    `offered`: the features that this server has.
    """
    router = APIRouter()
    conversations = conversations or Conversations()

    @router.websocket("/v1/channel")
    async def channel(websocket: WebSocket) -> None:
        await _Connection(websocket, live, conversations, None, offered, init_timeout_s, effect_timeout_s).run()

    @router.websocket("/v1/channel/{session_id}")
    async def session_channel(websocket: WebSocket, session_id: str) -> None:
        await _Connection(websocket, live, conversations, session_id, offered, init_timeout_s, effect_timeout_s).run()

    @router.get("/v1/channel", include_in_schema=False)
    @router.get("/v1/channel/{session_id}", include_in_schema=False)
    async def no_upgrade() -> None:
        raise UpgradeRequired(
            "This is a WebSocket address, and the request has no `Upgrade: websocket`",
            suggestion="Connect by a WebSocket; a proxy must pass the headers Upgrade and Connection on",
        )

    return router


class _ClientDisconnected(Exception):
    """The client has disconnected, or accepts nothing any more."""


@dataclass(slots=True)
class _Connection:
    """One client's connection. One task reads frames, one processes them, one forwards events, and each effect is a
    task. Effects run at the same time; their outcomes are reported in order.
    """

    websocket: WebSocket
    live: LiveSessions
    conversations: Conversations
    path_session_id: str | None
    offered: frozenset[str]
    init_timeout_s: float
    effect_timeout_s: float
    session: AttachedSession | None = None  # set when attached
    close_code: CloseCode | None = None  # set when this server closes
    client_left: bool = False  # set when a message could not be sent
    protocol: ChannelProtocol = field(init=False)  # replaced when a conversation is resumed
    conversation: Conversation | None = None  # with the feature "resume"
    send_lock: anyio.Lock = field(default_factory=anyio.Lock)  # messages leave in the protocol's order
    sending: anyio.CancelScope = field(default_factory=anyio.CancelScope)  # of the last message; replaced by each
    frames: ReadAheadQueue = field(init=False)
    # the numbers of the interrupts that were sent to the session before their turn, until that comes
    early_interrupts: set[int] = field(default_factory=set)
    uncounted: int = 0  # the number of a frame without those before it that are `ack`, less that of its message
    unsent: list[SessionEvent] = field(default_factory=list)  # events that did not reach the client
    tasks: TaskGroup = field(init=False)
    reading: anyio.CancelScope = field(default_factory=anyio.CancelScope)  # of the wait for the next frame
    leaving: bool = False  # no more frames are taken: another channel goes on with the conversation
    client_told: anyio.Event = field(default_factory=anyio.Event)  # unset while a close is sent because it leaves
    running_effects: int = 0  # speech, states, interrupts and updates that have no outcome yet
    effects_done: anyio.Event = field(default_factory=anyio.Event)  # replaced when one begins
    effect_slots: anyio.Semaphore = field(default_factory=lambda: anyio.Semaphore(MAX_PENDING_EFFECTS))
    # replaced by each effect: set when it and all before it have been answered
    all_answered: anyio.Event = field(default_factory=anyio.Event)

    def __post_init__(self) -> None:
        self.protocol = ChannelProtocol(path_session_id=self.path_session_id, offered=self.offered)
        self.frames = ReadAheadQueue(self.websocket.receive, self._send_interrupt_early)
        self.all_answered.set()
        self.effects_done.set()
        self.client_told.set()

    async def run(self) -> None:
        """Serve the client until either side closes; always detaches the session."""
        await self.websocket.accept()
        try:
            async with anyio.create_task_group() as self.tasks:
                self.tasks.start_soon(self.frames.run)
                await self._process_frames()
                if self.protocol.resumable or self.leaving:
                    await self.effects_done.wait()
                await self.client_told.wait()
                self.tasks.cancel_scope.cancel()
        except* _ClientDisconnected:
            pass
        finally:
            if not self.protocol.resumable or self.running_effects:
                self.unsent += self.protocol.client_disconnected()
            if self.conversation is not None:
                self.unsent[:0] = self.conversations.release(self.conversation)
            if self.session is not None:
                with anyio.CancelScope(shield=True), anyio.move_on_after(DETACH_TIMEOUT_S):
                    await self.session.detach(self.unsent)
                close_code = None if self.close_code is None else self.close_code.value
                log.info("channel_closed", session_id=self.session.session_id, close_code=close_code)

    async def _process_frames(self) -> None:
        deadline_s = self.websocket.scope.get(CAME_S, anyio.current_time()) + self.init_timeout_s
        while self.close_code is None and not self.leaving:
            if self.protocol.state is ChannelState.CLOSING:
                await self.all_answered.wait()
                continue
            actions: list[Action] = []
            try:
                with anyio.CancelScope() as self.reading:
                    actions = await self._next_actions(deadline_s)
            except _ClientDisconnected:
                self.client_left = True
                if not self.protocol.resumable:
                    self.unsent += self.protocol.client_disconnected()
                await self.effects_done.wait()  # the effects of all that the client sent before it left
                raise
            self._log_encoding()
            await self._carry_out(actions)
            if self.protocol.awaiting_init:
                session_refused(self.websocket.scope)

    def _log_encoding(self) -> None:
        """Log once that the client's audio sounds like another encoding."""
        suspected = self.protocol.speech.take_suspected_encoding()
        if suspected is not None and self.session is not None:
            log.warning("speech_encoding_suspected", session_id=self.session.session_id, sounds_like=suspected)

    async def _next_actions(self, deadline_s: float) -> list[Action]:
        """Pass the next frame to the protocol, or the timeout of `session.init` at `deadline_s`; return its actions."""
        await checkpoint()  # other clients have their turn between two frames, also while nothing is sent for them
        if not self.protocol.awaiting_init:
            return await self._process_frame()
        if anyio.current_time() < deadline_s:  # a frame that has arrived is taken without a wait that could time out
            with anyio.CancelScope(deadline=deadline_s):
                return await self._process_frame()
        return self.protocol.init_timed_out()

    async def _process_frame(self) -> list[Action]:
        frame, number = await self.frames.next()
        if frame["type"] == "websocket.disconnect":
            raise _ClientDisconnected
        text: str | None = frame.get("text")
        if text is not None and len(text) > LARGE_CHARS and not self.protocol.awaiting_init:
            read = await run_large("message", read_frame, text, number=number)
            return self.protocol.receive_frame(read, number, anyio.current_time())
        if text is not None:
            return self.protocol.receive_text(text, number, anyio.current_time())
        if frame.get("bytes") is None:
            return self.protocol.receive_invalid_text()
        return self.protocol.receive_binary(frame["bytes"], number, anyio.current_time())

    def _send_interrupt_early(self, number: int) -> None:
        """Send an interrupt to the session at once, before the frames that precede it."""
        message = number - self.frames.acks_read - self.uncounted
        if self.session is None or len(self.early_interrupts) >= MAX_PENDING_EFFECTS:
            return
        if not self.protocol.messages.has_answered(message):
            self.early_interrupts.add(number)
            self._start(self._run_interrupt, Interrupt(through=number, message=message))

    def _start(self, run: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """Run an effect in a task of its own."""
        self.running_effects += 1
        self.effects_done = anyio.Event()
        self.tasks.start_soon(self._run_counted, run, *arguments)

    async def _run_counted(self, run: Callable[..., Awaitable[None]], *arguments: object) -> None:
        await run(*arguments)
        self.running_effects -= 1
        if not self.running_effects:
            self.effects_done.set()

    async def _run_interrupt(self, interrupt: Interrupt) -> None:
        """Interrupt the session, and report the outcome as soon as it comes."""
        failed = partial(self.protocol.interrupt_failed, message=interrupt.message)
        report = await self._try_effect(interrupt, failed, timeout_s=self.effect_timeout_s)
        await self._send(report())

    async def _run_interrupt_in_turn(self, interrupt: Interrupt) -> None:
        try:
            await self._run_interrupt(interrupt)
        finally:
            self.effect_slots.release()

    async def _carry_out(self, actions: list[Action]) -> None:
        """Send the messages and start the effect. Waits for the outcome of an attachment and of a large message."""
        await self._send([action for action in actions if isinstance(action, Reply)])
        if not actions or isinstance(actions[-1], Reply):
            return
        effect = actions[-1]
        if isinstance(effect, Update):
            self._start(self._run_update, effect)
            return
        if isinstance(effect, Interrupt) and effect.through in self.early_interrupts:
            self.early_interrupts.remove(effect.through)
            return
        await self.effect_slots.acquire()
        if isinstance(effect, Interrupt):
            self._start(self._run_interrupt_in_turn, effect)
            return
        previous_answered, self.all_answered = self.all_answered, anyio.Event()
        self._start(self._run_effect, effect, previous_answered, self.all_answered)
        if isinstance(effect, Attach) or (isinstance(effect, Speak) and len(effect.speech.pcm) > LARGE_SPEECH_BYTES):
            await self.all_answered.wait()
        if isinstance(effect, Attach) and self.session is not None:
            log.info("channel_opened", session_id=self.session.session_id)
            self.tasks.start_soon(self._forward_events, self.session, self.tasks.cancel_scope)
            self.tasks.start_soon(self._leave_when_taken_over, self.session)

    async def _leave_when_taken_over(self, session: AttachedSession) -> None:
        """Another connection has taken over. If this one still waits for its client to accept a message, leave that to
        the other: it is kept in the conversation, and what became of speech is passed on.
        """
        await session.taken_over.wait()
        await anyio.sleep(LEFT_TIMEOUT_S)
        self.client_left = True
        self.sending.cancel()

    async def _run_effect(self, effect: Effect, previous_answered: anyio.Event, answered: anyio.Event) -> None:
        """Apply an effect, and report its outcome after the outcomes of all effects before it. Always sets `answered`
        at the end.
        """
        try:
            report = await self._try_effect(effect, self.protocol.effect_failed, timeout_s=self.effect_timeout_s)
            await previous_answered.wait()
            await self._send(report())
        finally:
            answered.set()
            self.effect_slots.release()

    async def _run_update(self, effect: Update) -> None:
        """Change the session's output, and report the outcome whenever it comes."""
        failed = partial(self.protocol.update_failed, message=effect.message)
        report = await self._try_effect(effect, failed, timeout_s=UPDATE_TIMEOUT_S)
        await self._send(report())

    async def _try_effect(
        self, effect: Effect, report_error: Callable[[VisavisError], list[Action]], *, timeout_s: float
    ) -> ReportOutcome:
        """Apply an effect; return the function that reports its outcome: success, `report_error`, or an error in this
        server.
        """
        try:
            with anyio.fail_after(timeout_s):
                return await self._apply_effect(effect)
        except VisavisError as error:
            return partial(report_error, error)
        except TimeoutError:
            log.error("channel_effect_timed_out", effect=type(effect).__name__)
            lost = PerformerLost("The avatar does not answer", suggestion="Try again, or start a new session")
            return partial(report_error, lost)
        except Exception:  # the outermost edge of a channel
            log.exception("channel_effect_failed", effect=type(effect).__name__)
            return self.protocol.server_failed

    async def _apply_effect(self, effect: Effect) -> ReportOutcome:
        """Apply an effect; return the function that reports its success. Raises what the methods of channel/port.py
        raise.
        """
        if isinstance(effect, Attach):
            origin = self.websocket.headers.get("origin")
            self.session = await self.live.attach(replace(effect.init, origin=origin))
            session_attached(self.websocket.scope)
            return await self._begin_or_resume(effect.init)
        assert self.session is not None
        match effect:
            case Update():
                output = await self.session.update(effect.change)
                return partial(self.protocol.update_succeeded, output, effect.message)
            case Speak():
                spoken = await self.session.speak(effect.speech)
                return partial(self.protocol.speech_queued, spoken.samples, spoken.queued_s)
            case Say():
                return partial(self.protocol.text_queued, await self.session.say(effect.piece))
            case SetState():
                await self.session.set_state(effect.state, message=effect.message)
            case Interrupt():
                message = self.protocol.messages.session_number(effect.message)
                await self.session.interrupt(through=effect.through, message=message)
                return partial(self.protocol.interrupt_succeeded, effect.message)
        return self.protocol.effect_succeeded

    async def _begin_or_resume(self, init: SessionInit) -> ReportOutcome:
        """Resume the session's conversation, or begin one; return the function that reports it to the client."""
        assert self.session is not None
        frames_before = self.frames.frames_taken - self.frames.acks_taken
        self.conversation = await self.conversations.resume(init)
        if self.conversation is not None:
            assert init.received is not None
            self.protocol = self.conversation.protocol
            self.uncounted = frames_before - self.protocol.mark().taken
            return partial(self.protocol.resume, init.received)
        self.uncounted = frames_before
        events = self.conversations.end(init.session_id)
        self.unsent += events  # until they are the client's
        if "resume" in init.features:
            pack_beginning = partial(_pack_beginning, init)
            self.protocol.messages.index = self.session.begin_conversation(pack_beginning)
            self.conversation = self.conversations.start(init.session_id, self.protocol)
            await self.session.flush()  # before the client knows of the conversation
        else:
            self.session.forget_conversation()

        def begin() -> list[Action]:
            self.unsent = self.unsent[len(events) :]
            established = self.protocol.attach_succeeded()
            return established + [action for event in events for action in self.protocol.receive_event(event)]

        return begin

    async def _forward_events(self, session: AttachedSession, connection_scope: anyio.CancelScope) -> None:
        """Forward the session's events until the session is over; then end the connection's tasks. While the client has
        left and its last messages are still carried out, events are kept for the next channel.
        """
        try:
            async for event in session.events():
                if self.protocol.state is ChannelState.CLOSED and not isinstance(event, LastEvent):
                    self.unsent.append(event)
                    continue
                if isinstance(event, ServerChanges):
                    if event.taken:
                        await self._leave_at_once(event)
                        break
                    await self._leave_to_next_server(event)
                    return
                if not self.protocol.wants(event):
                    session.delivered(event)
                if isinstance(event, TakenOver):
                    await self._leave_to_another_channel(event)
                    return
                await self._send(self.protocol.receive_event(event))
                if self.close_code is not None:
                    break
            else:  # the client has left, so nothing was sent
                assert self.protocol.state is ChannelState.CLOSED, "the events ended without a last one"
        except _ClientDisconnected:
            pass
        except Exception:  # the outermost edge of a channel
            log.exception("channel_events_failed", session_id=session.session_id)
            await self._send(self.protocol.server_failed())
        connection_scope.cancel()

    async def _leave_to_another_channel(self, event: TakenOver) -> None:
        """Take no more frames, but for interrupts that have arrived, and close. What was taken is still carried out,
        and the conversation may go on.
        """
        self.client_told = anyio.Event()
        try:
            self.leaving = True
            self.reading.cancel()
            await self.frames.catch_up()
            if not self.protocol.resumable:
                await self._send(self.protocol.receive_event(event))
                return
            async with self.send_lock:
                if self._is_here:
                    await self._send_one(
                        Close.truncated(CloseCode.TAKEN_OVER, "Another channel has taken over this session")
                    )
                self.client_left = True
        finally:
            self.client_told.set()

    async def _leave_at_once(self, event: ServerChanges) -> None:
        """The session is another server's. Close without an answer to what has none: the client asks the other one."""
        self.leaving = True
        async with self.send_lock:
            for action in self.protocol.receive_event(event):
                await self._send_one(action)
            self.client_left = True

    async def _leave_to_next_server(self, event: ServerChanges) -> None:
        """Take no more frames, but for interrupts that have arrived; when what was taken is answered, close. The client
        sends the rest to the next server.
        """
        self.client_told = anyio.Event()
        try:
            self.leaving = True
            self.reading.cancel()
            await self.frames.catch_up()
            await self.effects_done.wait()
            await self._send(self.protocol.receive_event(event))
            self.client_left = True
        finally:
            self.client_told.set()

    async def _send(self, actions: Sequence[Action]) -> None:
        """Send messages and close, in order. Raises `_ClientDisconnected` if the client accepts nothing for
        SEND_TIMEOUT_S.

        Nothing is sent to a client that has left. Its earlier frames are still processed, until its disconnection is
        read. If the conversation can be resumed, the messages are numbered and kept for it; they leave when the next
        server has them, if this one dies then: what the client has received is always known.
        """
        unsent = deque(actions)
        if not unsent:
            return
        mark = self.protocol.mark() if self.protocol.resumable else None
        try:
            async with self.send_lock:
                if mark is not None and self.protocol.resumable:
                    numbered, note = self.protocol.sent.numbered(actions, mark, is_sent=self._is_here)
                    unsent = deque(numbered)  # from here on the conversation keeps them
                    if note is not None and self.session is not None:
                        await self.session.take_note(note)
                while unsent and (self._is_here or self.protocol.resumable):
                    if self.protocol.resumable:  # it is kept, whether it arrives or not
                        await self._send_one(unsent.popleft())
                    elif await self._send_one(unsent[0]):
                        unsent.popleft()
        finally:
            self.unsent += [send.event for send in unsent if isinstance(send, Send) and send.event is not None]

    @property
    def _is_here(self) -> bool:
        """Whether the client may still get messages."""
        return self.close_code is None and not self.client_left

    async def _send_one(self, action: Action) -> bool:
        """Send a message or the close; return False if the client has left. Raises `_ClientDisconnected`. The client
        of a session that is another server's by now gets the close alone.
        """
        if not isinstance(action, Close) and self.session is not None and not await self.session.is_ours():
            return True
        if not self._is_here:
            return False
        with anyio.move_on_after(SEND_TIMEOUT_S) as self.sending:
            try:
                if isinstance(action, Close):
                    self.close_code = action.code
                    await self.websocket.close(action.code, action.reason)
                elif isinstance(action, Send):
                    await self.websocket.send_text(action.message.model_dump_json())
                elif isinstance(action, SendAgain):
                    await self.websocket.send_text(action.text)
            # RuntimeError: the server has already answered the client's close
            except (WebSocketDisconnect, RuntimeError):
                self.client_left = True
        if self.sending.cancelled_caught and not self.client_left:
            raise _ClientDisconnected
        event = action.event if isinstance(action, Send | SendAgain) else None
        if not self.client_left and isinstance(action, SendAgain):
            self.protocol.sent.note_sent(action.number)
        if not self.client_left and event is not None and self.session is not None:
            self.session.delivered(event)
        return not self.client_left


def _pack_beginning(init: SessionInit, index: int) -> bytes:
    return pack(Beginning(session_id=init.session_id, features=init.features, index=index))
