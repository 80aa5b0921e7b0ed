"""The port between the service and the performers of its sessions: the service allocates a performer and calls its
methods; the performer emits events.

To the service it makes no difference whether a performer runs in a child process or on another machine. Everything that
crosses this port is a value of `stage/port`, and none of them contains a path.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from visavis.engine.motion.states import SettableState
from visavis.engine.output import Output
from visavis.rooms.spec import IceRestarted
from visavis.stage.port.events import PerformerEvent
from visavis.stage.port.held import HeldSession
from visavis.stage.port.messages import AnswerCall, KeepLine
from visavis.stage.port.notes import KeptNote
from visavis.stage.port.report import StageReport
from visavis.stage.port.values import PerformanceSpec, Speech, Spoken


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """How many more sessions of one size there is room for; the sizes share the room."""

    width_px: int
    height_px: int
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cores:
    """The cores that stages were `given`; of these, those that nobody uses, that a hypervisor has stolen, and that a
    quota has throttled.
    """

    given: float = 0.0
    unused: float = 0.0
    stolen: float = 0.0
    throttled: float = 0.0

    @property
    def load(self) -> float:
        """The share that is taken, 0 to 1."""
        return min(1.0, max(0.0, 1 - self.unused / self.given)) if self.given else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetRoom:
    """The machines of a fleet that take sessions, and the cores that sessions may take there and have taken: those of
    all servers.
    """

    machines: int = 0
    room_cores: float = 0.0
    taken_cores: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """`sessions`: those that are performed now. `load`: the share of all cores that anybody takes, 0 to 1. `rate`: the
    share of the full frame rate that sessions show now; below 1 a machine is overloaded. `cores`: of all machines.
    `room`: of a fleet that stands in a database; all but `places` and this is then of this server's sessions alone.
    """

    sessions: int
    places: tuple[Place, ...]
    load: float = 0.0
    rate: float = 1.0
    cores: Cores = Cores()
    room: FleetRoom = FleetRoom()

    @property
    def most_sessions(self) -> int:
        """How many sessions there can be at once, if all further ones have the default size."""
        default = next((place.free for place in self.places if (place.width_px, place.height_px) == (1280, 720)), 0)
        return self.sessions + default


class Performer(Protocol):
    """One session's performance. All tasks of one event loop may call it. Whoever has allocated it ends it.

    `speak`, `keep_line`, `resize`, `show_name`, `set_output`, `set_state`, `hold_for_viewer` and `stream_motion` take
    effect, and complete, in the order of their calls. All other calls overtake them. After `PerformerEnded` every call
    except `end` raises `PerformerLost`, or `HandOverBegun` if another server performs the session now: whether it has
    taken what was called is not known here.
    """

    session_id: str

    async def speak(self, speech: Speech) -> Spoken:
        """Queue a piece of speech.

        Without `utterance_id` the piece continues the open utterance, or opens a new one. An utterance ends by `final`,
        by a piece with another id, by an interrupt or the performance's end; one that was opened without an id also
        when it has got no audio for 300 ms. A piece whose number is not above that of an earlier interrupt, and one of
        an interrupted utterance, is accepted with 0 samples and dropped. An odd byte at the end of a piece waits for
        the next piece of the utterance; without one, `SampleCut` is emitted. Raises `QueueFull` if more than 600 s of
        speech would be queued; then nothing of the piece is queued.
        """
        ...

    async def keep_line(self, keeping: KeepLine) -> Spoken:
        """Keep what waits in the session's line, or forget what is done there. Returns when the next server would find
        it so.
        """
        ...

    async def interrupt(self, *, through: int, message: int = 0) -> None:
        """Drop all speech up to the piece with the number `through`, whether it plays, is queued or has not arrived.
        `message`: as in `Speech`.

        The caller calls this before it calls `speak` with a higher number. Returns when the interrupt has taken effect:
        the sound has faded out and the lips go to rest.
        """
        ...

    async def resize(self, *, width_px: int, height_px: int) -> None:
        """Change the size of the picture. Viewers stay connected."""
        ...

    async def show_name(self, name: str) -> None:
        """Show the avatar under this name to the others in its room. No effect in a room that shows none, or cannot
        change it.
        """
        ...

    async def set_output(self, output: Output) -> None:
        """Change the output. Viewers stay connected.

        Raises `BackgroundRefused` for a picture that cannot be read; then nothing has changed.
        """
        ...

    async def set_state(self, state: SettableState, *, message: int = 0) -> None:
        """Set the state for the time without speech: "listening" lasts, "thinking" ends when the next speech starts.
        `message`: as in `Speech`.
        """
        ...

    async def hold_for_viewer(self, seconds: float) -> None:
        """Begin no utterance until a viewer has come, but for `seconds` at most. No effect while anybody watches."""
        ...

    async def stream_motion(self, on: bool) -> None:
        """Switch the events MotionFrames and MotionCut on or off."""
        ...

    async def answer_call(self, answer: AnswerCall) -> None:
        """Answer a call that the event RoomCalled has told."""
        ...

    async def tell_room(self, state: str, *, reason: str, seconds_left: int | None = None) -> None:
        """Tell everybody in the session's room what becomes of it. No effect while the session has no stage."""
        ...

    async def offer(self, *, viewer_id: str, sdp: str) -> str:
        """Return the SDP answer to a viewer's offer (recvonly audio, video, or both), with all ICE candidates.

        Raises `OfferRefused` for an offer that cannot be answered (no VP8, not recvonly, not SDP), and `RoomFull`.
        """
        ...

    async def add_candidates(self, *, viewer_id: str, fragment: str, ice_session: int = 0) -> None:
        """See `rooms.port.ViewerEntrance`."""
        ...

    async def restart_ice(self, *, viewer_id: str, fragment: str) -> IceRestarted:
        """See `rooms.port.ViewerEntrance`."""
        ...

    async def remove_viewer(self, viewer_id: str) -> bool:
        """Disconnect a viewer; return whether it was in the room."""
        ...

    async def end(self) -> None:
        """End the performance: end all utterances, disconnect viewers and free resources. Idempotent.

        A caller that waits no longer changes nothing: the performance ends as soon as its stage answers.
        """
        ...

    def leave(self) -> None:
        """Another server performs the session now: nothing is ended. The last event is `PerformerEnded`, "taken"."""
        ...

    def events(self) -> AsyncIterator[PerformerEvent]:
        """Every event, in order, once. One consumer. Ends after PerformerEnded."""
        ...

    def acknowledge(self, event: PerformerEvent) -> None:
        """An event is done with. Those that are not are given to the next server, if this one dies. In any order; a
        second call, and one for an event that is never given again, has no effect.
        """
        ...

    def client_told(self, event: PerformerEvent) -> None:
        """The client has been told of an event that others may still need. If this server dies, the next one gets the
        event, but does not tell its client again.
        """
        ...

    def was_told(self, event: PerformerEvent) -> bool:
        """Whether the client has been told of an event, by this server or the one before."""
        ...

    def remember(self, memo: bytes) -> None:
        """Have the stage keep a memo for the next server, if this one dies. It takes the place of the one before, and
        of all notes.
        """
        ...

    async def flush(self) -> None:
        """Wait until the stage gets the memo even if this server dies now, or until it is lost; at most 10 s."""
        ...

    async def take_note(self, note: KeptNote, *, forget_through: int, told: Sequence[PerformerEvent] = ()) -> None:
        """Have the stage keep a note beside the memo; those up to the number `forget_through` are not needed any more.
        `told`: events of which the client is told by what is noted: in one step with the note, as by `client_told`.
        Returns when the stage gets the note even if this server dies now, or when it is lost; after 10 s at the latest.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted:
    """A performance that an earlier server has begun, and what its stage holds of it. `told_s`: when the stage has told
    it, on `time.monotonic`.
    """

    performer: Performer
    held: HeldSession
    told_s: float = field(default_factory=time.monotonic)


class Fleet(Protocol):
    """Allocates performers. Opened by `start`, closed by `aclose`."""

    async def start(self) -> None:
        """Start the first stage. Raises `PerformerLost` if that fails; may then be called again."""
        ...

    async def adopt(self) -> list[Adopted]:
        """Find the stages that an earlier server of this data folder has left living, and go on with what they perform.
        Called once, before all else. One that does not answer within 5 s is given up. The caller ends the performances
        that it has no use for.
        """
        ...

    async def allocate(self, spec: PerformanceSpec) -> Performer:
        """Return a performer whose idle picture is running.

        Raises `NoCapacity`, `PackUnreadable` for an avatar pack that cannot be fetched or loaded, and
        `BackgroundRefused`.
        """
        ...

    def capacity(self) -> Capacity:
        """Return what is performed now, and what can still be taken."""
        ...

    def problem(self) -> str | None:
        """Return why no session can be placed, as a sentence; None if one can. A full fleet has no problem."""
        ...

    def reports(self) -> list[StageReport]:
        """Return the newest report of every stage that is connected."""
        ...

    def leave(self) -> None:
        """This server ends in order: whatever happens to it from now on, its stages do not wait for the next one."""
        ...

    async def let_go(self) -> None:
        """Leave all stages and what they perform to the next server; idempotent. Takes at most 3 s, and 8 s more if
        a stage dies or hangs just then. Afterwards only `aclose` may be called, and it ends nothing.
        """
        ...

    async def aclose(self) -> None:
        """End all performers, and all stage processes that this fleet has started; idempotent, takes at most 5 s."""
        ...
