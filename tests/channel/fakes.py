"""Live sessions without performers: an implementation of `channel.port` that records every call and emits the events
that a test wants.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

import anyio

from visavis.channel.handed_conversation import Note, pack
from visavis.channel.port import AttachedSession, LastEvent, SessionEvent, SessionInit, TakenOver
from visavis.engine.motion.states import SettableState
from visavis.engine.output import DEFAULT_OUTPUT, Output
from visavis.errors import BackgroundRefused, QueueFull, SessionEnded, SessionNotFound, Unauthorized
from visavis.output_json import OutputChange, PictureSource
from visavis.stage.port.notes import KeptNote, Notes
from visavis.stage.port.values import Speech, Spoken
from visavis.voice.port import TextPiece

QUEUE_LIMIT_S = 600.0


@dataclass
class FakeSession:
    """One session. `spoken` lists what took effect, in order: each accepted speech as (bytes, rate, utterance id,
    final), and "interrupt", "listening" and "thinking".
    """

    token: str
    ended: bool = False
    spoken: list[tuple[int, int, str | None, bool] | str] = field(default_factory=list)
    queued_s: float = 0.0
    attached: FakeAttachedSession | None = None
    detached: int = 0
    unsent: list[SessionEvent] = field(default_factory=list)  # of all channels that have left
    delivered: list[SessionEvent] = field(default_factory=list)
    left: anyio.Event = field(default_factory=anyio.Event)  # set at the first detachment
    speak_gate: anyio.Event | None = None  # when set, speak waits for it
    update_gate: anyio.Event | None = None  # when set, update waits for it
    note_gate: anyio.Event | None = None  # when set, take_note and flush wait for it
    broken_notes: bool = False
    owner_gate: anyio.Event | None = None  # when set, is_ours waits for it
    lost: bool = False  # another server owns it
    output: Output = DEFAULT_OUTPUT
    interrupts: list[tuple[int, int]] = field(default_factory=list)  # each `through`, and the length of `spoken` then
    dropped: list[int] = field(default_factory=list)  # numbers of the speech that came after its interrupt
    speak_calls: int = 0  # also those that still wait
    broken_interrupt: bool = False
    conversations: int = 0
    beginning: bytes = b""  # of the last conversation
    notes: Notes = field(default_factory=Notes)
    broken: bool = False  # speak raises an unexpected error
    said: list[TextPiece] = field(default_factory=list)


class FakeAttachedSession(AttachedSession):
    def __init__(self, session_id: str, session: FakeSession) -> None:
        self.session_id = session_id
        self.session = session
        self.taken_over = anyio.Event()
        self._send, self._receive = anyio.create_memory_object_stream[SessionEvent](100)

    async def is_ours(self) -> bool:
        if self.session.owner_gate is not None:
            await self.session.owner_gate.wait()
        return not self.session.lost

    async def speak(self, speech: Speech) -> Spoken:
        self.session.speak_calls += 1
        if self.session.broken:
            raise RuntimeError("the fake is broken")
        if self.session.speak_gate is not None:
            await self.session.speak_gate.wait()
        spoken = Spoken(utterance_id=speech.utterance_id or "utt_1", samples=len(speech.pcm) // 2)
        seconds = spoken.samples / speech.sample_rate_hz
        if self.session.queued_s + seconds > QUEUE_LIMIT_S:
            raise QueueFull("More than 600 s of speech are queued")
        if any(speech.number <= through for through, _ in self.session.interrupts):
            self.session.dropped.append(speech.number)
            return spoken
        self.session.queued_s += seconds
        self.session.spoken.append((len(speech.pcm), speech.sample_rate_hz, speech.utterance_id, speech.final))
        return spoken

    async def say(self, piece: TextPiece) -> str:
        self.session.said.append(piece)
        return piece.utterance_id or "say_1"

    def begin_conversation(self, pack: Callable[[int], bytes]) -> int:
        self.session.conversations += 1
        self.session.beginning = pack(self.session.conversations)
        self.session.notes.clear()
        return self.session.conversations

    def forget_conversation(self) -> None:
        self.session.beginning = b""

    async def flush(self) -> None:
        if self.session.broken_notes:
            raise RuntimeError("the fake is broken")
        if self.session.note_gate is not None:
            await self.session.note_gate.wait()

    async def take_note(self, note: Note) -> None:
        kept = KeptNote(number=note.last_number, note=pack(note))
        self.session.notes.add(kept, forget_through=note.forgotten)
        await self.flush()

    async def set_state(self, state: SettableState, *, message: int = 0) -> None:
        self.session.spoken.append(state)

    async def update(self, change: OutputChange) -> Output:
        if self.session.update_gate is not None:
            await self.session.update_gate.wait()
        if isinstance(change.background, PictureSource):
            raise BackgroundRefused("The image is not valid base64")
        self.session.output = change.apply_to(self.session.output)
        return self.session.output

    async def interrupt(self, *, through: int, message: int = 0) -> None:
        if self.session.broken_interrupt:
            raise RuntimeError("the fake is broken")
        self.session.interrupts.append((through, len(self.session.spoken)))
        self.session.queued_s = 0.0
        self.session.spoken.append("interrupt")

    def emit(self, event: SessionEvent) -> None:
        self._send.send_nowait(event)

    async def events(self) -> AsyncIterator[SessionEvent]:
        async for event in self._receive:
            yield event
            if isinstance(event, LastEvent):
                return

    def delivered(self, event: SessionEvent) -> None:
        self.session.delivered.append(event)

    async def detach(self, unsent: Sequence[SessionEvent] = ()) -> None:
        self.session.detached += 1
        self.session.unsent += unsent
        self.session.left.set()
        self._send.close()
        self._receive.close()
        if self.session.attached is self:
            self.session.attached = None


class FakeLiveSessions:
    def __init__(self, sessions: dict[str, FakeSession]) -> None:
        self.sessions = sessions

    async def attach(self, init: SessionInit) -> AttachedSession:
        session = self.sessions.get(init.session_id)
        if session is None:
            raise SessionNotFound
        if session.token != init.token:
            raise Unauthorized("Invalid session token")
        if session.ended:
            raise SessionEnded("Session has ended")
        if session.attached is not None:
            session.attached.emit(TakenOver())
            session.attached.taken_over.set()
        session.attached = FakeAttachedSession(init.session_id, session)
        return session.attached
