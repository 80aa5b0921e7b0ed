"""One channel's conversation as a pure state machine, without socket, clock or session.

    AWAITING_INIT ──session.init──► ATTACHING ──attached──► OPEN ──an error that closes──► CLOSING ──replied──► CLOSED
          ▲                             │
          └──────── refused ────────────┘   from any state: SessionOver, TakenOver, 10 s, the client's close ──► CLOSED

Every method of `ChannelProtocol` that takes an input returns actions, in order: `Send` a message, `Close` the
connection, or one effect (`Attach`, `Speak`, `Say`, `Interrupt`, `SetState`, `Update`), which is always last. The
caller starts effects in the order in which they are returned, and reports their outcomes in that order by
`attach_succeeded`, `speech_queued`, `text_queued`, `effect_succeeded` or `effect_failed`. Several effects may be
pending, so that a small piece of speech does not wait until the performer has answered the one before. Only `Attach` is
alone: the caller passes no message in before its outcome. `Interrupt` and `Update` are outside this order (actions.py).

This module decides which message is allowed when, and what follows from it. It leaves
- to handshake.py, reading.py, speech.py, text.py and session_changes.py: the formats of the messages;
- to speech_intake.py: what earlier messages have set for speech, the checks of its audio, and the count of its samples;
- to reply_queue.py: that replies wait behind the pending effects;
- to client_messages.py, sent_log.py and conversation.py: what makes a conversation outlive its connection, with the
  feature "resume".
None of them but conversation.py has I/O or a clock, either.

The messages are described in docs/reference/channel.md. Decided there, and carried out here:
- After a refused `session.init` that does not close, the client may try again within the same 10 s ("Opening").
- Binary frames are confirmed like `agent.speak`. `audio.format` applies to all later binary frames and has no reply.
- Invalid timings or an invalid emotion are an error before the confirmation of their speech, which is spoken without
  them. Audio that sounds like another encoding is spoken all the same.
- Audio of no bytes is confirmed as 0 samples. With `final` it ends the utterance, otherwise it does nothing; with the
  feature "queued" it asks how much is queued.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from visavis.channel.actions import (
    Action,
    Attach,
    Close,
    Effect,
    Interrupt,
    Say,
    Send,
    SendAgain,
    SetState,
    Speak,
    Update,
)
from visavis.channel.client_message import MAX_TEXT_CHARS, message_too_large
from visavis.channel.client_messages import ClientMessages
from visavis.channel.handed_conversation import HandedConversation, Mark
from visavis.channel.handshake import FEATURES, read_first_message
from visavis.channel.port import ServerChanges, SessionEvent, SessionInit, SessionOver, TakenOver, TokenRevoked
from visavis.channel.reading import ReadFrame, read_frame
from visavis.channel.reply_queue import ReplyQueue
from visavis.channel.sent_log import SentLog
from visavis.channel.server_messages import (
    ConnectionEstablished,
    ConnectionEstablishedResumable,
    ErrorMessage,
    InterruptConfirmed,
    MotionFormat,
    SayConfirmed,
    ServerMessage,
    SessionUpdated,
    SpeakConfirmed,
    SpeakConfirmedWithQueue,
    WarningMessage,
    message_for,
)
from visavis.channel.session_changes import read_ack, read_state, read_update
from visavis.channel.speech import ReadSpeech, read_audio_format
from visavis.channel.speech_intake import SpeechIntake, SpeechSettings
from visavis.channel.text import read_say
from visavis.engine.output import Output
from visavis.errors import (
    AlreadyInitialized,
    CloseCode,
    FeatureNotEnabled,
    InitRequired,
    InitTimeout,
    InternalError,
    InvalidUtf8,
    UnknownType,
    UpdatePending,
    VisavisError,
)
from visavis.output_json import write_output
from visavis.stage.port.events import PlaybackFinished, PlaybackStarted
from visavis.stage.port.values import Speech

INIT_TIMEOUT_S = 10.0
MAX_PENDING_UPDATES = 4


class ChannelState(enum.Enum):
    AWAITING_INIT = enum.auto()
    ATTACHING = enum.auto()
    OPEN = enum.auto()
    CLOSING = enum.auto()  # a close waits behind pending effects; the client's messages are ignored
    CLOSED = enum.auto()


@dataclass(frozen=True, slots=True)
class _Progress:
    """How many messages of the client were taken, and what they have set for the speech that follows."""

    taken: int
    speech: SpeechSettings


class ChannelProtocol:
    """One connection, from its acceptance to its close. `path_session_id`: the session that the address names, None for
    `/v1/channel`. `offered`: the features that this server has.
    """

    def __init__(self, *, path_session_id: str | None = None, offered: frozenset[str] = FEATURES) -> None:
        self.state = ChannelState.AWAITING_INIT
        self.path_session_id = path_session_id
        self._offered = offered
        self.features: frozenset[str] = frozenset()  # set when a session.init is accepted
        self.messages = ClientMessages()
        self.speech = SpeechIntake()
        self.sent = SentLog()
        self._session_id = ""  # set when a session.init is accepted
        self._pending_updates = 0
        self._replies = ReplyQueue()
        self._before = self._progress  # before the message that is being taken
        self._before_effects: deque[_Progress] = deque()  # of each pending effect in the queue

    @property
    def awaiting_init(self) -> bool:
        return self.state is ChannelState.AWAITING_INIT

    @property
    def resumable(self) -> bool:
        """Whether the conversation outlives its connection."""
        return self.state is ChannelState.OPEN and "resume" in self.features

    def can_resume(self, init: SessionInit) -> bool:
        """Whether the conversation can go on with this client, on another connection."""
        same = self.resumable and init.features == self.features
        return same and init.received is not None and self.sent.can_go_on_after(init.received)

    def resume(self, received: int) -> list[Action]:
        """Go on with a client that has received the messages up to a number."""
        self.sent.acknowledge(received)
        taken = self.messages.taken = self.mark().taken
        established = ConnectionEstablishedResumable(session_id=self._session_id, resumed=True, received=taken)
        again = (SendAgain(number=number, text=text, event=event) for number, text, event in self.sent.messages())
        return [Send(message=established), *again]

    def wants(self, event: SessionEvent) -> bool:
        """Whether the client is told of events of this kind."""
        return "playback" in self.features or not isinstance(event, PlaybackStarted | PlaybackFinished)

    def mark(self) -> Mark:
        """Return how far the conversation has come, if all messages are sent that were returned so far."""
        now = self._before_effects[0] if self._before_effects else self._progress
        answered, unanswered, interrupts = self.messages.answers(now.taken)
        return Mark(
            answered=answered,
            unanswered=unanswered,
            interrupts=interrupts,
            binary_rate_hz=now.speech.binary_rate_hz,
            binary_encoding=now.speech.binary_encoding,
            interrupted=now.speech.interrupted,
            sample_count=replace(self.speech.sample_count),
        )

    @property
    def _progress(self) -> _Progress:
        return _Progress(self.messages.taken, self.speech.settings)

    @classmethod
    def take_over(cls, handed: HandedConversation) -> ChannelProtocol:
        """Go on with a conversation of another server."""
        protocol, mark = cls(), handed.mark
        protocol.state = ChannelState.OPEN
        protocol._session_id, protocol.features = handed.beginning.session_id, handed.beginning.features
        protocol.messages = ClientMessages.take_over(handed.beginning.index, mark)
        protocol.speech = SpeechIntake.take_over(mark)
        protocol.sent = SentLog.take_over(handed)
        return protocol

    # The client's messages

    def receive_text(self, text: str, number: int = 0, at_s: float = 0.0) -> list[Action]:
        """Take a text frame. `number`: its place among the client's frames. `at_s`: the time of any monotonic clock."""
        if not self.awaiting_init:
            return self.receive_frame(read_frame(text, number=number), number, at_s)
        try:
            if len(text) > MAX_TEXT_CHARS:
                raise message_too_large()
            return self._take_init(text)
        except VisavisError as error:
            return self._refuse(error)

    def receive_frame(self, frame: ReadFrame, number: int = 0, at_s: float = 0.0) -> list[Action]:
        """Take a text frame that has been read already. Not while `session.init` is awaited: that is read here."""
        if self._is_closed():
            return []
        try:
            has_number = frame.message.get("type") != "ack"
            if has_number and not self._count_message():
                return []
            if frame.error is not None:
                raise frame.error
            return self._take_message(frame, number, at_s)
        except VisavisError as error:
            return self._refuse(error)

    def receive_binary(self, data: bytes, number: int = 0, at_s: float = 0.0) -> list[Action]:
        """Take a binary frame: audio as the last `audio.format` tells. `number`, `at_s` as for a text frame."""
        if self._is_closed():
            return []
        try:
            if self.awaiting_init:
                raise InitRequired
            if not self._count_message():
                return []
            self._require_feature("binary", "Binary frames need")
            return self._take_speech(self.speech.read_binary(data, number=number), at_s)
        except VisavisError as error:
            return self._refuse(error)

    def receive_invalid_text(self) -> list[Action]:
        """Take a text frame that is not UTF-8. RFC 6455 requires that such a connection fails."""
        if self._is_closed():
            return []
        return self._refuse(InvalidUtf8("Text frames must be UTF-8"))

    def client_disconnected(self) -> list[SessionEvent]:
        """The client has left; nothing more can be sent. Return the events that wait to be sent."""
        self.state = ChannelState.CLOSED
        return [send.event for send in self._replies.drain() if send.event is not None]

    def _count_message(self) -> bool:
        """Count the client's next message; return False if an earlier server has answered it."""
        self._before = self._progress
        return self.messages.take()

    # Time, and the outcomes of effects

    def init_timed_out(self) -> list[Action]:
        """10 s have passed since the connection was accepted."""
        if not self.awaiting_init:
            return []
        return self._refuse(InitTimeout("No session.init within 10 s"))

    def attach_succeeded(self) -> list[Action]:
        """The session is attached: its avatar is in the room."""
        effect = self._pop_effect()
        if effect is None:
            return []
        assert isinstance(effect, Attach)
        self.features = effect.init.features
        self.state = ChannelState.OPEN
        self._session_id = effect.init.session_id
        established = Send(message=ConnectionEstablished(session_id=self._session_id))
        if "resume" in self.features:
            message = ConnectionEstablishedResumable(session_id=self._session_id, resumed=False, received=0)
            established = Send(message=message)
        return [established, Send(message=MotionFormat())] if "motion" in self.features else [established]

    def speech_queued(self, samples: int, queued_s: float = 0.0) -> list[Action]:
        """The oldest pending effect, a `Speak`, has succeeded; `samples`: how many samples it completed, at its own
        rate; `queued_s`: how much speech waits to be played now.
        """
        effect = self._pop_effect()
        if effect is None:
            return []
        assert isinstance(effect, Speak)
        return [self._confirmation_of(effect, samples, queued_s), *self._pop_replies()]

    def text_queued(self, utterance_id: str) -> list[Action]:
        """The oldest pending effect, a `Say`, has succeeded."""
        effect = self._pop_effect()
        if effect is None:
            return []
        assert isinstance(effect, Say)
        return [Send(message=SayConfirmed(utterance_id=utterance_id)), *self._pop_replies()]

    def effect_succeeded(self) -> list[Action]:
        """The oldest pending effect has succeeded: the state was set."""
        effect = self._pop_effect()
        if effect is None:
            return []
        assert isinstance(effect, SetState)
        return self._pop_replies()

    def effect_failed(self, error: VisavisError) -> list[Action]:
        """The oldest pending effect has failed and has changed nothing."""
        effect = self._pop_effect()
        if effect is None:
            return []
        if isinstance(effect, Attach):
            self.state = ChannelState.AWAITING_INIT
        reply = Send(message=ErrorMessage(error=error.message, code=error.code))
        if error.close_code is not None:
            return [reply, *self._close_now(error.close_code, error.close_reason)]
        return [reply, *self._pop_replies()]

    def interrupt_succeeded(self, message: int = 0) -> list[Action]:
        """An `Interrupt` has taken effect. Its confirmation waits for nothing."""
        if not self.messages.answer_interrupt(message) or self.state is ChannelState.CLOSED:
            return []
        return [Send(message=InterruptConfirmed())]

    def interrupt_failed(self, error: VisavisError, *, message: int = 0) -> list[Action]:
        """An `Interrupt` has failed and has changed nothing."""
        if not self.messages.answer_interrupt(message) or self.state is ChannelState.CLOSED:
            return []
        reply = Send(message=ErrorMessage(error=error.message, code=error.code))
        return [reply] if error.close_code is None else [reply, *self._close_now(error.close_code, error.close_reason)]

    def update_succeeded(self, output: Output, message: int = 0) -> list[Action]:
        """The oldest pending `Update` has taken effect; `output` is the session's output now."""
        self._pending_updates -= 1
        if self.state is ChannelState.CLOSED:
            return []
        return self._send(SessionUpdated(output=write_output(output)), answers=message)

    def update_failed(self, error: VisavisError, *, message: int = 0) -> list[Action]:
        """The oldest pending `Update` has failed; the session's output has not changed."""
        self._pending_updates -= 1
        if self.state is ChannelState.CLOSED:
            return []
        actions = self._send(ErrorMessage(error=error.message, code=error.code), answers=message)
        if error.close_code is None:
            return actions
        return [*actions, *self._close_now(error.close_code, error.close_reason)]

    def server_failed(self) -> list[Action]:
        """An error in this server: report it and close."""
        if self.state is ChannelState.CLOSED:
            return []
        reply = Send(message=ErrorMessage(error="Internal error", code=InternalError.code))
        return [reply, *self._close_now(CloseCode.INTERNAL_ERROR, "Internal error")]

    # The session's events

    def receive_event(self, event: SessionEvent) -> list[Action]:
        """Take the next event of the attached session. The session's end does not wait for pending effects; messages
        that wait behind them are sent before the close.
        """
        if self.state is ChannelState.CLOSED:
            return []
        if isinstance(event, SessionOver):
            return self._close_now(CloseCode.NORMAL, event.reason)
        if isinstance(event, TakenOver):
            return self._close_now(CloseCode.TAKEN_OVER, "Another channel has taken over this session")
        if isinstance(event, TokenRevoked):
            return self._close_now(CloseCode.UNAUTHORIZED, "The token of this channel was revoked")
        if isinstance(event, ServerChanges):
            code, reason = CloseCode.SERVER_CHANGES, "The server changes; connect again"
            return [Close.truncated(code, reason)] if self.resumable else self._close_now(code, reason)
        message = message_for(event, self.features)
        return [] if message is None else self._send(message, event)

    # Private

    def _take_init(self, text: str) -> list[Action]:
        init = read_first_message(text, path_session_id=self.path_session_id, offered=self._offered)
        self.state = ChannelState.ATTACHING
        return self._start_effect(Attach(init=init))

    def _take_message(self, frame: ReadFrame, number: int, at_s: float) -> list[Action]:
        message = frame.message
        match message.get("type"):
            case "agent.speak":
                assert frame.speech is not None
                return self._take_speech(frame.speech, at_s)
            case "agent.say":
                self._require_feature("text", "agent.say needs")
                piece = replace(read_say(message, number=number), message=self._session_number)
                return self._start_effect(Say(piece=piece))
            case "agent.interrupt":
                self.speech.interrupt()
                if self.messages.is_answered_ahead:
                    return [Interrupt(through=number)]
                return [Interrupt(through=number, message=self.messages.answer_later())]
            case "session.update":
                return self._start_update(message)
            case "agent.state":
                self._require_feature("state", "agent.state needs")
                state = read_state(message)
                return self._start_effect(SetState(state=state, message=self._session_number))
            case "ack":
                self._require_feature("resume", "ack needs")
                self.sent.acknowledge(read_ack(message))
                return []
            case "audio.format":
                self._require_feature("binary", "audio.format needs")
                self.speech.set_format(read_audio_format(message))
                return []
            case "session.init":
                raise AlreadyInitialized("The session is already open")
            case _:
                raise UnknownType("Unknown message type")

    def _require_feature(self, feature: str, subject: str) -> None:
        """Raises `FeatureNotEnabled`, whose message begins with `subject`."""
        if feature not in self.features:
            raise FeatureNotEnabled(f'{subject} the feature "{feature}" in session.init')

    def _take_speech(self, read: ReadSpeech, at_s: float) -> list[Action]:
        """Raises `InvalidAudio` for a piece of a sound file."""
        self.speech.check(read, at_s=at_s)
        actions = [action for error in read.refused for action in self._refuse(error)]
        return actions + self._warn_of_encoding(read) + self._speak(read.speech)

    def _warn_of_encoding(self, read: ReadSpeech) -> list[Action]:
        """Tell a client that can know of it, once, that its audio sounds like another encoding."""
        found = self.speech.other_encoding(read, tells_all="metrics" in self.features)
        if found is None:
            return []
        text = f"The audio sounds like {found}; it is taken as {read.encoding}"
        return self._send(WarningMessage(warning=text, encoding=found))

    def _speak(self, speech: Speech) -> list[Action]:
        if not speech.pcm and not speech.final and "queued" not in self.features:
            return self._send(SpeakConfirmed(audio_samples=0))
        after_interrupt = self.speech.take_interrupted()
        if self.messages.index:
            speech = msgspec.structs.replace(speech, message=self._session_number)
        return self._start_effect(Speak(speech=speech, after_interrupt=after_interrupt))

    @property
    def _session_number(self) -> int:
        """That of the message that is being taken."""
        return self.messages.session_number(self.messages.taken)

    def _start_update(self, message: dict[str, Any]) -> list[Action]:
        if self._pending_updates >= MAX_PENDING_UPDATES:
            raise UpdatePending("Too many updates of the session are pending; wait for session.updated")
        change = read_update(message)
        self._pending_updates += 1
        return [Update(change=change, message=self.messages.answer_later())]

    def _confirmation_of(self, effect: Speak, samples: int, queued_s: float) -> Send:
        share = self.speech.confirm(effect.speech, samples, after_interrupt=effect.after_interrupt)
        if "queued" in self.features:
            return Send(message=SpeakConfirmedWithQueue(audio_samples=share, queued_s=queued_s))
        return Send(message=SpeakConfirmed(audio_samples=share))

    def _start_effect(self, effect: Effect) -> list[Action]:
        self._replies.add(effect)
        self._before_effects.append(self._before)
        return [effect]

    def _pop_effect(self) -> Effect | None:
        """Remove and return the oldest pending effect; None if the channel has closed in the meantime."""
        if self.state is ChannelState.CLOSED:
            return None
        self._before_effects.popleft()
        return self._replies.pop_effect()

    def _send(self, message: ServerMessage, event: SessionEvent | None = None, *, answers: int = 0) -> list[Action]:
        self._replies.add(Send(message=message, event=event, answers=answers))
        return self._pop_replies()

    def _pop_replies(self) -> list[Action]:
        replies = self._replies.pop_ready()
        if replies and isinstance(replies[-1], Close):
            self.state = ChannelState.CLOSED
        self.messages.note_answers(reply.answers for reply in replies if isinstance(reply, Send))
        return [*replies]

    def _refuse(self, error: VisavisError) -> list[Action]:
        """Reply with the error, and close after it if its class has a close code."""
        self._replies.add(Send(message=ErrorMessage(error=error.message, code=error.code)))
        if error.close_code is not None:
            self.state = ChannelState.CLOSING
            self._replies.add(Close.truncated(error.close_code, error.close_reason))
        return self._pop_replies()

    def _close_now(self, code: CloseCode, reason: str) -> list[Action]:
        """Send the queued messages and close, without waiting for pending effects or replying to them."""
        self.state = ChannelState.CLOSED
        return [*self._replies.drain(), Close.truncated(code, reason)]

    def _is_closed(self) -> bool:
        assert self.state is not ChannelState.ATTACHING, "a message came before the outcome of Attach"
        return self.state in (ChannelState.CLOSING, ChannelState.CLOSED)
