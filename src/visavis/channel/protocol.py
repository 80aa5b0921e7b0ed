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

Replies wait in a queue behind the pending effects (reply_queue.py). This module decides which message is allowed when,
and what follows from it. The formats of the messages are checked where they are read: handshake.py, reading.py,
speech.py (with speech_annotations.py and timings.py), text.py and session_changes.py. None of them has I/O or a clock
either.

The messages are described in docs/reference/channel.md. Decided there, and carried out here:
- After a refused `session.init` that does not close, the client may try again within the same 10 s ("Opening").
- `audio_samples` is n * 16000 / rate, rounded. Within one utterance the remainder is carried over, so that the sum is
  the rounded count of the whole. n counts whole samples: an odd byte waits for the next piece of the utterance.
- A sound file instead of samples is refused, together with the rest of its utterance (sound_files.py).
- With the feature "resume" a conversation outlives its connection (conversation.py). The client's messages count from
  1 after `session.init`, without its `ack`; the server's messages have numbers, and are kept until they are
  acknowledged.
- Audio that sounds like another encoding is spoken all the same, and told once (encoding_check.py).
- Binary frames are confirmed like `agent.speak`. `audio.format` applies to all later binary frames and has no reply.
- Invalid timings or an invalid emotion are an error before the confirmation of their speech, which is spoken without
  them.
- Audio of no bytes is confirmed as 0 samples. With `final` it ends the utterance, otherwise it does nothing; with the
  feature "queued" it asks how much is queued.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Iterable
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
from visavis.channel.encoding_check import EncodingCheck
from visavis.channel.encodings import USUAL, Encoding
from visavis.channel.handed_conversation import HandedConversation, Mark, Note
from visavis.channel.handshake import FEATURES, read_first_message
from visavis.channel.port import ServerChanges, SessionEvent, SessionInit, SessionOver, TakenOver, TokenRevoked
from visavis.channel.reading import ReadFrame, read_frame
from visavis.channel.reply_queue import ReplyQueue
from visavis.channel.sample_count import SampleCount
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
from visavis.channel.sound_files import SoundFileCheck
from visavis.channel.speech import DEFAULT_RATE_HZ, ReadSpeech, read_audio_format, read_binary
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
class _SpeechSettings:
    """What earlier messages of the client, up to the number `after`, have set for the speech that follows."""

    after: int = 0
    binary_rate_hz: int = DEFAULT_RATE_HZ
    binary_encoding: Encoding = USUAL
    interrupted: bool = False


class ChannelProtocol:
    """One connection, from its acceptance to its close. `path_session_id`: the session that the address names, None for
    `/v1/channel`. `offered`: the features that this server has.
    """

    def __init__(self, *, path_session_id: str | None = None, offered: frozenset[str] = FEATURES) -> None:
        self.state = ChannelState.AWAITING_INIT
        self.path_session_id = path_session_id
        self._offered = offered
        self.features: frozenset[str] = frozenset()  # set when a session.init is accepted
        self.binary_rate_hz = DEFAULT_RATE_HZ  # changes with audio.format
        self.binary_encoding: Encoding = USUAL  # changes with an audio.format that names one
        self.taken = 0  # how many messages of the client were taken since the conversation began, without its acks
        self.sent = SentLog()
        self.index = 0  # of the conversation among those of its session, if it can be resumed
        self._session_id = ""  # set when a session.init is accepted
        self._pending_updates = 0
        self._interrupted = False  # by the last message but none of speech
        self._sample_count = SampleCount()
        self._sound_files = SoundFileCheck()
        self.encoding_check = EncodingCheck()
        self._named_encoding = False  # the client knows of encodings: it has named one
        self._replies = ReplyQueue()
        self._before = _SpeechSettings()  # before the message that is being taken
        self._before_effects: deque[_SpeechSettings] = deque()  # of each pending effect in the queue
        self._unanswered: set[int] = set()  # interrupts and updates that were taken and have no answer
        self._answered_ahead: set[int] = set()  # interrupts that were answered and perhaps not taken
        # From an earlier server: messages up to `_answered_before` have their answers, but those in `_to_repeat`.
        self._answered_before = 0
        self._to_repeat: set[int] = set()

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
        self.taken = self.mark().taken
        established = ConnectionEstablishedResumable(session_id=self._session_id, resumed=True, received=self.taken)
        again = (SendAgain(number=number, text=text, event=event) for number, text, event in self.sent.messages())
        return [Send(message=established), *again]

    def wants(self, event: SessionEvent) -> bool:
        """Whether the client is told of events of this kind."""
        return "playback" in self.features or not isinstance(event, PlaybackStarted | PlaybackFinished)

    def numbered(self, actions: Iterable[Action], mark: Mark, *, is_sent: bool) -> tuple[list[Action], Note | None]:
        """In a conversation that can be resumed: number and keep the messages that are to be sent. Return the actions
        with these, and a note of them for the next server. `mark`: as of when the protocol has returned the actions.
        `is_sent`: False if the client has left.
        """
        before = self.sent.last_number
        numbered: list[Action] = []
        for action in actions:
            if isinstance(action, Send) and not isinstance(action.message, ConnectionEstablishedResumable):
                text = f'{action.message.model_dump_json()[:-1]},"seq":{self.sent.last_number + 1},"ack":{mark.taken}}}'
                self.sent.add(text, action.event, is_sent=is_sent)
                numbered.append(SendAgain(number=self.sent.last_number, text=text, event=action.event))
            else:
                numbered.append(action)
        return numbered, self.note(mark, after=before) if self.sent.last_number > before else None

    def note(self, mark: Mark, *, after: int) -> Note:
        """Return a note for the next server, with the messages that have higher numbers than `after`."""
        return Note(
            mark=mark,
            last_number=self.sent.last_number,
            forgotten=self.sent.forgotten,
            messages=self.sent.messages_after(after),
        )

    def mark(self) -> Mark:
        """Return how far the conversation has come, if all messages are sent that were returned so far."""
        now = self._before_effects[0] if self._before_effects else self._settings()
        answered = max(now.after, self._answered_before)
        through = min(answered, self.taken)
        self._answered_ahead = {number for number in self._answered_ahead if number > through}
        return Mark(
            answered=answered,
            unanswered=(*self._unanswered, *self._to_repeat),
            interrupts=tuple(self._answered_ahead),
            binary_rate_hz=now.binary_rate_hz,
            binary_encoding=now.binary_encoding,
            interrupted=now.interrupted,
            sample_count=replace(self._sample_count),
        )

    def _settings(self) -> _SpeechSettings:
        return _SpeechSettings(
            after=self.taken,
            binary_rate_hz=self.binary_rate_hz,
            binary_encoding=self.binary_encoding,
            interrupted=self._interrupted,
        )

    @classmethod
    def take_over(cls, handed: HandedConversation) -> ChannelProtocol:
        """Go on with a conversation of another server."""
        protocol, mark = cls(), handed.mark
        protocol.state = ChannelState.OPEN
        protocol._session_id, protocol.index = handed.beginning.session_id, handed.beginning.index
        protocol.features = handed.beginning.features
        protocol.binary_rate_hz, protocol.binary_encoding = mark.binary_rate_hz, mark.binary_encoding
        protocol.sent = SentLog.take_over(handed)
        protocol._interrupted, protocol._sample_count = mark.interrupted, mark.sample_count
        protocol.taken, protocol._answered_before = mark.taken, mark.answered
        protocol._to_repeat, protocol._answered_ahead = set(mark.unanswered), set(mark.interrupts)
        return protocol

    def has_answered(self, message: int) -> bool:
        """Whether a message that the client sends again needs no answer, because an earlier server has answered it."""
        return message <= self._answered_before and message not in self._to_repeat

    def session_number(self, message: int) -> int:
        """Return a number for a client's message that rises through all conversations of the session; 0 if the
        conversation cannot be resumed, so that no message comes twice.
        """
        return self.index << 32 | message if self.index else 0

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
        self._take_number()
        try:
            if frame.message.get("type") != "ack":
                if self.has_answered(self.taken):
                    return []
                self._to_repeat.discard(self.taken)
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
            self._take_number()
            if self.has_answered(self.taken):
                return []
            self._require_feature("binary", "Binary frames need")
            read = read_binary(data, rate_hz=self.binary_rate_hz, number=number, encoding=self.binary_encoding)
            return self._take_speech(read, at_s)
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

    @property
    def _number(self) -> int:
        """The number of the message that was taken last, 0 if the conversation cannot be resumed."""
        return self.taken if self.index else 0

    def _take_number(self) -> None:
        self._before = self._settings()
        self.taken += 1

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
        if self._answer_interrupt(message) or self.state is ChannelState.CLOSED:
            return []
        return [Send(message=InterruptConfirmed())]

    def interrupt_failed(self, error: VisavisError, *, message: int = 0) -> list[Action]:
        """An `Interrupt` has failed and has changed nothing."""
        if self._answer_interrupt(message) or self.state is ChannelState.CLOSED:
            return []
        reply = Send(message=ErrorMessage(error=error.message, code=error.code))
        return [reply] if error.close_code is None else [reply, *self._close_now(error.close_code, error.close_reason)]

    def _answer_interrupt(self, message: int) -> bool:
        """Note that an interrupt is answered, perhaps before its turn; return whether it was before."""
        if not self.index:
            return False
        if not message or message in self._answered_ahead or self.has_answered(message):
            return True
        self._unanswered.discard(message)
        self._answered_ahead.add(message)
        return False

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
                piece = replace(read_say(message, number=number), message=self.session_number(self.taken))
                return self._start_effect(Say(piece=piece))
            case "agent.interrupt":
                self._sound_files.reset()
                self._interrupted = True
                if self.taken in self._answered_ahead:
                    return [Interrupt(through=number)]
                if self.index:
                    self._unanswered.add(self.taken)
                return [Interrupt(through=number, message=self._number)]
            case "session.update":
                return self._start_update(message)
            case "agent.state":
                self._require_feature("state", "agent.state needs")
                state = read_state(message)
                return self._start_effect(SetState(state=state, message=self.session_number(self.taken)))
            case "ack":
                self.taken -= 1
                self._require_feature("resume", "ack needs")
                self.sent.acknowledge(read_ack(message))
                return []
            case "audio.format":
                self._require_feature("binary", "audio.format needs")
                told = read_audio_format(message)
                self.binary_rate_hz, self.binary_encoding = told.sample_rate, told.encoding or USUAL
                self._named_encoding |= told.encoding is not None
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
        speech = read.speech
        try:
            self._sound_files.check(read.raw, utterance_id=speech.utterance_id, at_s=at_s)
        finally:
            if speech.final:
                self._sound_files.reset()
        self._named_encoding |= read.named
        actions = [action for error in read.refused for action in self._refuse(error)]
        return actions + self._warn_of_encoding(read) + self._speak(speech)

    def _warn_of_encoding(self, read: ReadSpeech) -> list[Action]:
        """Tell a client that can know of it, once, that its audio sounds like another encoding."""
        found = self.encoding_check.look(read.raw, read.encoding)
        if found is None or not (self._named_encoding or "metrics" in self.features):
            return []
        text = f"The audio sounds like {found}; it is taken as {read.encoding}"
        return self._send(WarningMessage(warning=text, encoding=found))

    def _speak(self, speech: Speech) -> list[Action]:
        if not speech.pcm and not speech.final and "queued" not in self.features:
            return self._send(SpeakConfirmed(audio_samples=0))
        after_interrupt, self._interrupted = self._interrupted, False
        if self.index:
            speech = msgspec.structs.replace(speech, message=self.session_number(self.taken))
        return self._start_effect(Speak(speech=speech, after_interrupt=after_interrupt))

    def _start_update(self, message: dict[str, Any]) -> list[Action]:
        if self._pending_updates >= MAX_PENDING_UPDATES:
            raise UpdatePending("Too many updates of the session are pending; wait for session.updated")
        change = read_update(message)
        self._pending_updates += 1
        if self.index:
            self._unanswered.add(self.taken)
        return [Update(change=change, message=self._number)]

    def _confirmation_of(self, effect: Speak, samples: int, queued_s: float) -> Send:
        speech = effect.speech
        if effect.after_interrupt:
            self._sample_count.reset()
        share = 0
        if samples:
            share = self._sample_count.add(samples, rate_hz=speech.sample_rate_hz, utterance_id=speech.utterance_id)
        if speech.final:
            self._sample_count.reset()
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
        self._unanswered.difference_update(reply.answers for reply in replies if isinstance(reply, Send))
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
