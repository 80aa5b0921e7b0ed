"""One channel's conversation as a pure state machine: no socket, no clock, no session; it is told what happens and says what to do.

    AWAITING_INIT ──session.init──► ATTACHING ──attached──► OPEN ──agent.speak──► SPEAKING ──done──► OPEN
          ▲                             │                     └──agent.interrupt──► INTERRUPTING ──done──► OPEN
          └──────── refused ────────────┘          any state ──close──► CLOSED

Inputs are the methods of `ChannelProtocol`; each returns what is to be done, in order: `Send` a message, `Close` the connection, or one effect
(`Attach`, `Speak`, `Interrupt`). An effect is always last, and its outcome (`attached`, `done` or `refused`) must be told before the next message is
given in, so confirmations come in the order of their messages and the one who does not read on is the client. Session events may come at any time
after `attached`.

Decisions where the contract is open:
- A refused `session.init` that does not close may be tried again, within the same 10 s.
- `audio_samples` is n * 16000 / rate, rounded; within one utterance the remainder is carried on, so that the sum is the rounded count of the whole.
- Binary frames are confirmed like `agent.speak`; `audio.format` holds from then on and has no answer of its own.
- Audio of no bytes is confirmed as 0 samples; with `final` it ends the utterance, else it does nothing.
- No playback event of an utterance overtakes the confirmation of the message that began it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from visavis.channel import messages
from visavis.channel.messages import ChannelError, ErrorMessage, ServerMessage
from visavis.channel.port import SessionEvent, SessionInit, SessionOver, TakenOver
from visavis.errors import VisavisError
from visavis.fleet.port import PlaybackFinished, PlaybackStarted

INIT_TIMEOUT_S = 10.0
DEFAULT_RATE_HZ = 16_000
MAX_REASON_BYTES = 123  # RFC 6455, section 5.5: a control frame holds 125 bytes, two of them the close code

CLOSE_NORMAL = 1000
CLOSE_TOO_LARGE = 1009
CLOSE_INTERNAL = 1011
CLOSE_INIT_REQUIRED = 4400
CLOSE_INIT_TIMEOUT = 4408
CLOSE_TAKEN_OVER = 4409


class ChannelState(enum.Enum):
    AWAITING_INIT = enum.auto()
    ATTACHING = enum.auto()
    OPEN = enum.auto()
    SPEAKING = enum.auto()
    INTERRUPTING = enum.auto()
    CLOSED = enum.auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    message: ServerMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    code: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attach:
    init: SessionInit


@dataclass(frozen=True, slots=True, kw_only=True)
class Speak:
    pcm: bytes
    sample_rate_hz: int
    utterance_id: str | None
    final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupt:
    pass


Effect = Attach | Speak | Interrupt
Output = Send | Close | Effect


@dataclass(slots=True)
class SampleCount:
    """Counts one utterance's samples at 16 kHz: each message gets its share, and the shares sum to the rounded whole."""

    rate_hz: int = DEFAULT_RATE_HZ
    utterance_id: str | None = None
    received: int = 0  # samples at rate_hz, of this utterance
    confirmed: int = 0  # samples at 16 kHz, of this utterance

    def add(self, samples: int, *, rate_hz: int, utterance_id: str | None) -> int:
        if (rate_hz, utterance_id) != (self.rate_hz, self.utterance_id):
            self.rate_hz, self.utterance_id, self.received, self.confirmed = rate_hz, utterance_id, 0, 0
        self.received += samples
        total = (2 * self.received * messages.CONFIRMED_RATE_HZ + rate_hz) // (2 * rate_hz)  # rounded half up, in integers
        share, self.confirmed = total - self.confirmed, total
        return share

    def restart(self) -> None:
        self.received = self.confirmed = 0


class ChannelProtocol:
    """One connection, from its acceptance to its close. `path_session_id`: the session named in the address, None at `/v1/channel`."""

    def __init__(self, *, path_session_id: str | None = None) -> None:
        self.state = ChannelState.AWAITING_INIT
        self.path_session_id = path_session_id
        self.features: frozenset[str] = frozenset()  # set when a session.init is accepted
        self.binary_rate_hz = DEFAULT_RATE_HZ  # changes with audio.format
        self._count = SampleCount()
        self._pending: Effect | None = None  # the effect whose outcome is awaited
        self._held: list[ServerMessage] = []  # playback events that wait for a confirmation

    @property
    def awaiting_init(self) -> bool:
        return self.state is ChannelState.AWAITING_INIT

    # What the client does

    def receive_text(self, text: str) -> list[Output]:
        """Take a text frame."""
        if self.state is ChannelState.CLOSED:
            return []
        self._assert_ready()
        try:
            if len(text) > messages.MAX_TEXT_CHARS:
                raise messages.too_large()
            return self._init(text) if self.awaiting_init else self._command(text)
        except ChannelError as error:
            return self._error(error, close_with=error.close_with)

    def receive_binary(self, data: bytes) -> list[Output]:
        """Take a binary frame: PCM16 at the rate of the last `audio.format`."""
        if self.state is ChannelState.CLOSED:
            return []
        self._assert_ready()
        try:
            if self.awaiting_init:
                raise _init_required()
            if "binary" not in self.features:
                raise ChannelError('Binary frames need the feature "binary" in session.init', "FEATURE_NOT_ENABLED")
            messages.check_pcm(data)
        except ChannelError as error:
            return self._error(error, close_with=error.close_with)
        return self._speak(data, rate_hz=self.binary_rate_hz, utterance_id=None, final=False)

    def peer_closed(self) -> None:
        """The client has gone; nothing more is to be done."""
        self.state, self._pending = ChannelState.CLOSED, None

    # What time and effects do

    def init_timed_out(self) -> list[Output]:
        """10 s have passed since the connection was made."""
        if not self.awaiting_init:
            return []
        return self._error(ChannelError("No session.init within 10 s", "INIT_TIMEOUT"), close_with=CLOSE_INIT_TIMEOUT)

    def attached(self) -> list[Output]:
        """`Attach` has succeeded: the avatar is in the room."""
        effect = self._settle()
        if effect is None:
            return []
        assert isinstance(effect, Attach)
        self.features = effect.init.features
        self.state = ChannelState.OPEN
        return [Send(message=messages.ConnectionEstablished(session_id=effect.init.session_id))]

    def done(self) -> list[Output]:
        """`Speak` was accepted, or `Interrupt` has taken effect."""
        effect = self._settle()
        if effect is None:
            return []
        self.state = ChannelState.OPEN
        if isinstance(effect, Interrupt):
            self._count.restart()
            return [Send(message=messages.InterruptConfirmed())]
        assert isinstance(effect, Speak)
        return [self._confirmed(effect), *self._release()]

    def refused(self, error: VisavisError) -> list[Output]:
        """The effect has failed; nothing of its message was taken."""
        effect = self._settle()
        if effect is None:
            return []
        self.state = ChannelState.AWAITING_INIT if isinstance(effect, Attach) else ChannelState.OPEN
        return [*self._error(error, close_with=error.close_code), *self._release()]

    def failed(self) -> list[Output]:
        """Something of ours has broken."""
        if self.state is ChannelState.CLOSED:
            return []
        self._pending = None
        return self._error(ChannelError("Internal error", "INTERNAL"), close_with=CLOSE_INTERNAL)

    # What the session does

    def session_event(self, event: SessionEvent) -> list[Output]:
        """Take the next event of the attached session."""
        if self.state is ChannelState.CLOSED:
            return []
        if isinstance(event, SessionOver):
            return [*self._release(), self._close(CLOSE_NORMAL, event.reason)]
        if isinstance(event, TakenOver):
            return [*self._release(), self._close(CLOSE_TAKEN_OVER, "Another channel has taken over this session")]
        if "playback" not in self.features:
            return []
        message: ServerMessage
        if isinstance(event, PlaybackStarted):
            message = messages.PlaybackStartedMessage(utterance_id=event.utterance_id)
        elif isinstance(event, PlaybackFinished):
            message = messages.PlaybackFinishedMessage(utterance_id=event.utterance_id, position_s=event.position_s, interrupted=event.interrupted)
        else:
            return []
        if self.state is ChannelState.SPEAKING:
            self._held.append(message)  # as few as happen during one call of speak
            return []
        return [Send(message=message)]

    # Within

    def _init(self, text: str) -> list[Output]:
        try:
            message = messages.parse_object(text)
        except ChannelError:
            raise _init_required() from None
        if message.get("type") != "session.init":
            raise _init_required()
        init = messages.parse_init(message)
        if self.path_session_id not in (None, init.session_id):
            raise ChannelError("session_id is not the session of this address", "SESSION_MISMATCH")
        self.state = ChannelState.ATTACHING
        return [self._begin(Attach(init=init))]

    def _command(self, text: str) -> list[Output]:
        message = messages.parse_object(text)
        match message.get("type"):
            case "agent.speak":
                speak, pcm = messages.parse_speak(message)
                return self._speak(pcm, rate_hz=speak.sample_rate, utterance_id=speak.utterance_id, final=speak.final)
            case "agent.interrupt":
                self.state = ChannelState.INTERRUPTING
                return [self._begin(Interrupt())]
            case "audio.format":
                if "binary" not in self.features:
                    raise ChannelError('audio.format needs the feature "binary" in session.init', "FEATURE_NOT_ENABLED")
                self.binary_rate_hz = messages.parse_audio_format(message)
                return []
            case "session.init":
                raise ChannelError("The session is open already", "ALREADY_INITIALIZED")
            case _:
                raise ChannelError("Unknown message type", "UNKNOWN_TYPE")

    def _speak(self, pcm: bytes, *, rate_hz: int, utterance_id: str | None, final: bool) -> list[Output]:
        effect = Speak(pcm=pcm, sample_rate_hz=rate_hz, utterance_id=utterance_id, final=final)
        if not pcm and not final:
            return [self._confirmed(effect)]
        self.state = ChannelState.SPEAKING
        return [self._begin(effect)]

    def _confirmed(self, effect: Speak) -> Send:
        share = self._count.add(len(effect.pcm) // 2, rate_hz=effect.sample_rate_hz, utterance_id=effect.utterance_id)
        if effect.final:
            self._count.restart()
        return Send(message=messages.SpeakConfirmed(audio_samples=share))

    def _begin(self, effect: Effect) -> Effect:
        self._pending = effect
        return effect

    def _settle(self) -> Effect | None:
        """Return the effect whose outcome has come, None when the channel closed meanwhile."""
        effect, self._pending = self._pending, None
        assert effect is not None or self.state is ChannelState.CLOSED
        return effect if self.state is not ChannelState.CLOSED else None

    def _release(self) -> list[Output]:
        held, self._held = self._held, []
        return [] if self.state is ChannelState.CLOSED else [Send(message=message) for message in held]

    def _error(self, error: VisavisError, *, close_with: int | None) -> list[Output]:
        said = Send(message=ErrorMessage(error=error.message, code=error.code))
        return [said] if close_with is None else [said, self._close(close_with, error.message)]

    def _close(self, code: int, reason: str) -> Close:
        self.state = ChannelState.CLOSED
        return Close(code=code, reason=reason.encode()[:MAX_REASON_BYTES].decode(errors="ignore"))

    def _assert_ready(self) -> None:
        assert self._pending is None, f"a message came while {self._pending!r:.80} was under way"


def _init_required() -> ChannelError:
    return ChannelError("First message must be session.init", "INIT_REQUIRED", close_with=CLOSE_INIT_REQUIRED)
