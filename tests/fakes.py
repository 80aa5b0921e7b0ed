"""Small implementations of the ports for tests: a fleet that performs nothing, and a preparation that does not look at
the photo.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from visavis.engine.motion.states import SettableState
from visavis.engine.output import Output
from visavis.engine.portrait.points import SevenPoints
from visavis.errors import (
    CandidatesRefused,
    NoCapacity,
    OfferRefused,
    PerformerLost,
    PreconditionFailed,
    QueueFull,
    VisavisError,
)
from visavis.fleet.port import Adopted, Capacity, Place
from visavis.rooms.spec import IceRestarted
from visavis.stage.port.events import (
    FirstFrameSent,
    PerformerEnded,
    PerformerEvent,
    PlaybackFinished,
    PlaybackStarted,
    StateChanged,
    ViewerJoined,
    ViewerLeft,
)
from visavis.stage.port.line import KeptLine, LineSoFar
from visavis.stage.port.messages import AnswerCall, KeepLine
from visavis.stage.port.notes import KeptNote, Notes
from visavis.stage.port.report import StageReport
from visavis.stage.port.values import PerformanceSpec, Speech, Spoken


class FakePerformer:
    """Implements `fleet.port.Performer`. Utterances never finish by themselves, and viewers are names in a set."""

    def __init__(self, spec: PerformanceSpec) -> None:
        self.session_id = spec.session_id
        self.spec = spec
        self.size_px = (spec.width_px, spec.height_px)
        self.spoken: list[tuple[str, Speech]] = []  # with the utterance of each
        self.queued: deque[str] = deque()
        self.viewers: set[str] = set()
        self.fragments: list[str] = []  # of candidates
        self.ice_sessions: dict[str, int] = {}  # by viewer: how often it has restarted ICE
        self.output = spec.output
        self.interrupts: list[int] = []  # the `through` of each
        self.state: SettableState | None = None
        self.refusal: VisavisError | None = None  # raised instead of answering an offer
        self.held_for_s: float | None = None
        self.answers: list[AnswerCall] = []  # to calls of the room's agent
        self.told: list[tuple[str, str, int | None]] = []  # to everybody in the room
        self.name = ""  # that the others in the room are shown
        self.ended = False
        self.ends_speech = False  # whether `end` emits the ends of the queued utterances, like a stage
        self.acknowledged: list[PerformerEvent] = []
        self.told_events: list[PerformerEvent] = []  # of which the client was told, also by an earlier server
        self._told_ids: set[int] = set()  # the identities of these
        self.memo = b""
        self.notes = Notes()
        self.line = KeptLine(LineSoFar())
        self._events: asyncio.Queue[PerformerEvent] = asyncio.Queue()
        self._count = 0

    async def speak(self, speech: Speech) -> Spoken:
        self._check()
        if len(speech.pcm) / 2 / speech.sample_rate_hz > 600:
            raise QueueFull("More than 600 s of speech are queued")
        utterance_id = speech.utterance_id
        if utterance_id is None:
            self._count += 1
            utterance_id = self.queued[-1] if self.queued else f"utterance-{self._count}"
        if utterance_id not in self.queued:
            self.queued.append(utterance_id)
            self.emit(PlaybackStarted(utterance_id=utterance_id))
        self.spoken.append((utterance_id, speech))
        if speech.line is not None:
            self.line.advance(speech.line)
        return Spoken(utterance_id=utterance_id, samples=len(speech.pcm) // 2)

    async def keep_line(self, keeping: KeepLine) -> Spoken:
        self._check()
        if keeping.waiting is not None:
            self.line.add(keeping.waiting, message=keeping.message)
        if keeping.mark is not None:
            self.line.advance(keeping.mark)
        return keeping.spoken

    async def interrupt(self, *, through: int, message: int = 0) -> None:
        self._check()
        self.interrupts.append(through)
        self.line.interrupt(through=through)
        while self.queued:
            self.emit(PlaybackFinished(utterance_id=self.queued.popleft(), position_s=0.0, interrupted=True))

    async def set_output(self, output: Output) -> None:
        self._check()
        self.output = output

    async def set_state(self, state: SettableState, *, message: int = 0) -> None:
        self._check()
        self.state = state
        self.emit(StateChanged(state=state))

    async def hold_for_viewer(self, seconds: float) -> None:
        self._check()
        self.held_for_s = seconds

    async def stream_motion(self, on: bool) -> None:
        self._check()

    async def resize(self, *, width_px: int, height_px: int) -> None:
        self._check()
        self.size_px = (width_px, height_px)

    async def show_name(self, name: str) -> None:
        self._check()
        self.name = name

    async def answer_call(self, answer: AnswerCall) -> None:
        self._check()
        self.answers.append(answer)

    async def tell_room(self, state: str, *, reason: str, seconds_left: int | None = None) -> None:
        self._check()
        self.told.append((state, reason, seconds_left))

    async def offer(self, *, viewer_id: str, sdp: str) -> str:
        self._check()
        if self.refusal is not None:
            raise self.refusal
        if "m=video" not in sdp:
            raise OfferRefused("The offer has no video")
        self.viewers.add(viewer_id)
        self.emit(ViewerJoined(viewer_id=viewer_id, viewers=len(self.viewers)))
        self.emit(FirstFrameSent())
        return "v=0\r\na=fake answer\r\n"

    async def add_candidates(self, *, viewer_id: str, fragment: str, ice_session: int = 0) -> None:
        self._check()
        if self.refusal is not None:
            raise self.refusal
        if not fragment:
            raise CandidatesRefused("The body is empty", suggestion="Send a=candidate lines")
        if ice_session != self.ice_sessions.get(viewer_id, 0):
            raise PreconditionFailed("This ICE session is over", suggestion="Send the ETag of the last ICE restart")
        self.fragments.append(fragment)

    async def restart_ice(self, *, viewer_id: str, fragment: str) -> IceRestarted:
        self._check()
        if self.refusal is not None:
            raise self.refusal
        if "a=ice-ufrag:" not in fragment:
            raise CandidatesRefused("An ICE restart needs a valid ice-ufrag and ice-pwd")
        self.ice_sessions[viewer_id] = self.ice_sessions.get(viewer_id, 0) + 1
        return IceRestarted(fragment="a=ice-ufrag:fake\r\n", ice_session=self.ice_sessions[viewer_id])

    async def remove_viewer(self, viewer_id: str) -> bool:
        self._check()
        was_there = viewer_id in self.viewers
        self.viewers.discard(viewer_id)
        if was_there:
            self.emit(ViewerLeft(viewer_id=viewer_id, viewers=len(self.viewers)))
        return was_there

    async def end(self) -> None:
        if not self.ended:
            self.ended = True
            while self.ends_speech and self.queued:
                name = self.queued.popleft()
                self.emit(PlaybackFinished(utterance_id=name, position_s=0.05, interrupted=True))
            self._events.put_nowait(PerformerEnded(reason="ended"))

    async def events(self) -> AsyncIterator[PerformerEvent]:
        while True:
            event = await self._events.get()
            yield event
            if isinstance(event, PerformerEnded):
                return

    def acknowledge(self, event: PerformerEvent) -> None:
        self.acknowledged.append(event)

    def remember(self, memo: bytes) -> None:
        self.memo = memo
        self.notes.clear()

    async def flush(self) -> None:
        pass

    def client_told(self, event: PerformerEvent) -> None:
        self.told_events.append(event)
        self._told_ids.add(id(event))

    def was_told(self, event: PerformerEvent) -> bool:
        return id(event) in self._told_ids

    async def take_note(self, note: KeptNote, *, forget_through: int, told: Sequence[PerformerEvent] = ()) -> None:
        for event in told:
            self.client_told(event)
        self.notes.add(note, forget_through=forget_through)

    def emit(self, event: PerformerEvent) -> None:
        self._events.put_nowait(event)

    def leave(self) -> None:
        self.ended = True
        self._events.put_nowait(PerformerEnded(reason="taken"))

    def die(self) -> None:
        """End like a performer whose stage process is killed."""
        self.ended = True
        self._events.put_nowait(PerformerEnded(reason="lost", detail="killed by the test"))

    def _check(self) -> None:
        if self.ended:
            raise PerformerLost("The performance has ended")


class FakeFleet:
    """Implements `fleet.port.Fleet`. Allocations wait until `gate` is set; with `failure` they raise it."""

    def __init__(self, *, places: int = 100) -> None:
        self.performers: dict[str, FakePerformer] = {}
        self.adopted: list[Adopted] = []  # what an earlier server has left living
        self.places = places
        self.allocations = 0
        self.failure: Exception | None = None
        self.allocation_requested = asyncio.Event()  # set by the first call of `allocate`
        self.gate = asyncio.Event()
        self.gate.set()

    async def start(self) -> None:
        pass

    async def adopt(self) -> list[Adopted]:
        return self.adopted

    def leave(self) -> None:
        pass

    async def let_go(self) -> None:
        self.performers.clear()

    async def allocate(self, spec: PerformanceSpec) -> FakePerformer:
        self.allocations += 1
        self.allocation_requested.set()
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure.with_traceback(None)  # raised again and again, it would grow
        if self.capacity().sessions >= self.places:
            raise NoCapacity("Every performer is busy")
        performer = self.performers[spec.session_id] = FakePerformer(spec)
        return performer

    def capacity(self) -> Capacity:
        sessions = sum(not performer.ended for performer in self.performers.values())
        free = max(0, self.places - sessions)
        sizes = ((512, 512), (1280, 720))
        return Capacity(
            sessions=sessions,
            places=tuple(Place(width_px=width_px, height_px=height_px, free=free) for width_px, height_px in sizes),
        )

    def reports(self) -> list[StageReport]:
        return [StageReport(machine_id="m", cores=2.0, unused_cores=0.5, own_cores=1.25, memory_bytes=1000)]

    def problem(self) -> str | None:
        return None

    async def aclose(self) -> None:
        for performer in self.performers.values():
            await performer.end()


async def fake_prepare(image: bytes, out_dir: Path, *, points: SevenPoints | None = None) -> None:
    """Accept any bytes as a face; write them as pack and pictures."""
    for name in ("pack.npz", "image.jpg", "preview.jpg"):
        (out_dir / name).write_bytes(image)
