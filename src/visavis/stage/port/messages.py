"""The messages between a server and a stage.

    server                                   stage
      │ ── Hello ────────────────────────────► │   token, version, ICE servers, limits, pack source
      │ ◄────────────── Ready(sessions) | Rejected │
      │ ◄───────────────────── Held(session)   │   of each of the server's sessions that the stage performs
      │ ── Request(number, session, command) ► │
      │ ◄────────────── Answer | Refusal(number) │   exactly one for each request
      │ ◄────── Event(session, event, number)  │   kept until it is acknowledged
      │ ── Acknowledge(session, number) ─────► │
      │ ── Remember(session, memo) ──────────► │   for the next process of this server
      │ ── TakeNote(session, note) ──────────► │   likewise, beside the memo
      │ ── Ping ─────────────────────────────► │   every second (heartbeat.py)
      │ ◄─────────────────────── Pong(sessions) │
      │ ◄────────────────── Reported(report)   │   once a second
      │ ── SetPace(pace) ────────────────────► │   the slowest that a stage of its machine needs
      │ ── Prepare(spec) ────────────────────► │   a session like this one may come
      │ ── Leave ────────────────────────────► │   the server ends in order

Every message is one msgpack map. `encode` and `decode` are strict: an unknown message or a member of the wrong type is
a `ValueError`. A member that is unknown is passed over, and one that is missing has its default: so an end that speaks
the version before may get a message with a new member, but no new message (versions.py).
"""

from __future__ import annotations

from typing import TypeVar

import msgspec

from visavis.engine.motion.states import SettableState
from visavis.engine.output import Output
from visavis.errors import VisavisError
from visavis.rooms.spec import IceRestarted, IceServer
from visavis.stage.port.events import PerformerEvent
from visavis.stage.port.held import HeldSession
from visavis.stage.port.line import LineMark, Waiting
from visavis.stage.port.notes import KeptNote
from visavis.stage.port.report import StageReport
from visavis.stage.port.so_far import PerformanceSoFar
from visavis.stage.port.values import PerformanceSpec, Speech, Spoken

PORT_VERSION = 18  # the newest that this program speaks
OLDEST_PORT_VERSION = 17  # the oldest: servers and stages of a fleet are updated one after the other (versions.py)
UNTOLD_FROM = -(2**40)  # see `Event`


# --- commands, each with its result


class Done(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The command has taken effect. It has no other result. `repeated`: it had taken effect before."""

    repeated: bool = False


class OfferAnswered(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    sdp: str


class ViewerRemoved(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    was_there: bool


class TakenOver(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What the stage holds of a session that it has given to this server. Its events that nobody has acknowledged
    follow.
    """

    session: HeldSession


class NotHere(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The stage does not perform the session that a server wants to take over. Version 18; before, it was a `Refusal`
    with PERFORMER_LOST, which a stage that has failed sends, too.
    """


Result = Done | Spoken | OfferAnswered | IceRestarted | ViewerRemoved | TakenOver | NotHere


class Open(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Begin a session. When this is done, its idle picture runs. `position`: where its clock begins, in samples at
    48 kHz; above 0 another stage has performed the session before.

    `GoOn` may never come, if the server is killed. So all that it brings is here, too: `position_ns` and `so_far` as in
    `GoOn`, `memo` and `notes` for the next process of this server. The session goes on with that when the next process
    is admitted; until then it waits.

    `untold`: events of playback, the oldest first, that this server has not told its client yet. The stage keeps them
    for the next process, before events of its own, until they are acknowledged; it does not send them to this one.
    """

    spec: PerformanceSpec
    position: int = 0
    position_ns: int | None = None
    so_far: PerformanceSoFar | None = None
    memo: bytes = b""
    notes: tuple[KeptNote, ...] = ()
    untold: tuple[Event, ...] = ()


class GoOn(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Go on with what another stage has performed of this session. The first command after `Open`.

    `position_ns`: when `so_far.position` was reached, on the monotonic clock of the machine. None from another machine.
    `untold`: all that are open now.
    """

    so_far: PerformanceSoFar
    position_ns: int | None = None
    untold: tuple[Event, ...] = ()


class Speak(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Result: `Spoken`."""

    speech: Speech


class KeepLine(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Keep what has come into the session's line, or forget what is done there, for the next server. `message`: as in
    `Speech`. Result: `spoken`, which is what the client is told.
    """

    waiting: Waiting | None = None
    mark: LineMark | None = None
    message: int = 0
    spoken: Spoken = Spoken(utterance_id="", samples=0)


class Interrupt(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Drop all speech up to the piece with the number `through`, also pieces that have not arrived yet. `message`: as
    in `Speech`.
    """

    through: int
    message: int = 0


class Resize(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    width_px: int
    height_px: int


class ShowName(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Show the avatar under this name to the others in its room, if the room can."""

    name: str


class SetOutput(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    output: Output


class SetState(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """`message`: as in `Speech`."""

    state: SettableState
    message: int = 0


class HoldForViewer(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Begin no utterance until a viewer has come, but for `seconds` at most. No effect while anybody watches."""

    seconds: float


class StreamMotion(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Switch the events MotionFrames and MotionCut on or off."""

    on: bool


class AnswerCall(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Answer a `RoomCalled`. `code`, `problem`: of an error, empty for none."""

    call_id: str
    payload: str = ""
    code: str = ""
    problem: str = ""


class TellRoom(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Tell everybody in the session's room what becomes of it: `expiring` or `ended`. A room of this server tells
    nothing.
    """

    state: str
    reason: str
    seconds_left: int | None = None


class Offer(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Result: `OfferAnswered`."""

    viewer_id: str
    sdp: str


class AddCandidates(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Check addresses of a viewer that its offer did not name: a fragment of SDP (RFC 8840)."""

    viewer_id: str
    fragment: str
    ice_session: int = 0


class RestartIce(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Look for another path to a viewer. Result: `IceRestarted`."""

    viewer_id: str
    fragment: str


class RemoveViewer(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Result: `ViewerRemoved`."""

    viewer_id: str


class End(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """End the session. No error if it does not exist."""


class TakeOver(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Give a session to this server: the lease of the one that owns it has ended. `ownership`: see `PerformanceSpec`;
    it must be higher than the owner's. The request's epoch does not count, and the session's rises. Result:
    `TakenOver`, or `NotHere`.
    """

    ownership: int


Command = (
    Open
    | GoOn
    | Speak
    | KeepLine
    | Interrupt
    | Resize
    | ShowName
    | SetOutput
    | SetState
    | HoldForViewer
    | StreamMotion
    | AnswerCall
    | TellRoom
    | Offer
    | AddCandidates
    | RestartIce
    | RemoveViewer
    | End
    | TakeOver
)
IN_ORDER = (GoOn, Speak, KeepLine, Resize, ShowName, SetOutput, SetState, HoldForViewer, StreamMotion)
"""Commands of a session that take effect in the order in which they were sent. All others overtake them."""


def is_sent_in_order(command: Command) -> bool:
    """Whether a command is sent in pieces, after the earlier ones of its session: it may be large."""
    return isinstance(command, IN_ORDER) or (isinstance(command, Open) and command.so_far is not None)


# --- the messages


class FolderSource(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Packs and pictures are in the data folder that the stage was started with."""


class HttpSource(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Packs and pictures come over HTTP from the service at `url`, which expects `token` as a bearer token.
    `authority_pem`: who has signed the service's certificate; None for an authority that the stage's machine believes.
    """

    url: str
    token: str
    authority_pem: str | None = None


class Hello(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The first message of a server: its token, its id and the stage's configuration.

    `version`, `oldest`: the newest and the oldest version of the port that the server speaks; without `oldest` only
    the newest. They use the newest that both speak. `server_id`: the same in every connection of one server, also
    after it was started again. `epoch`: rises with every start of the server; a stage refuses a lower one.
    `owner_grace_s`: how long the stage keeps the server's sessions after the connection is lost.
    `dropped_when_silent`: whether the stage drops a connection from which nothing comes; a server on the same machine
    may be stopped for as long as it likes. `program`: the server's version of Visavis, for the stage's log; empty
    before 18.
    """

    version: int
    token: str
    server_id: str
    source: FolderSource | HttpSource = FolderSource()
    ice_servers: tuple[IceServer, ...] = ()
    owner_grace_s: float = 0.0
    dropped_when_silent: bool = False
    epoch: int = 1
    oldest: int = 0
    program: str = ""


def common_version(hello: Hello) -> int | None:
    """Return the version of the port that a server and this program use together; None if there is none."""
    newest = min(hello.version, PORT_VERSION)
    return newest if newest >= max(hello.oldest or hello.version, OLDEST_PORT_VERSION) else None


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The stage's answer to `Hello`: the server is admitted and may send requests. `version`: of the port, that both
    use from now on. `sessions`: how many of its sessions the stage performs; so many `Held` follow, and events may come
    between them. `program`: the stage's version of Visavis, for the server's log; empty before 18.
    """

    version: int
    report: StageReport | None = None  # as of now; the next ones come as Reported
    sessions: int = 0
    program: str = ""


class Held(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What the stage holds of one session of the server."""

    session: HeldSession


class Rejected(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The stage refuses a `Hello`, or drops the server after a wrong message. Then it closes the connection."""

    code: str
    message: str


class Request(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A command to one session. `number`: unique on this connection. `epoch`: that of the owner who sends it."""

    number: int
    session_id: str
    epoch: int
    command: Command


class Answer(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    number: int
    result: Result


class Refusal(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The request has changed nothing. `code`, `message` and `suggestion`: those of an error in `visavis.errors`."""

    number: int
    code: str
    message: str
    suggestion: str | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """An event of a session, in its envelope. `number`: its place among the session's events that are kept until they
    are acknowledged; 0 for an event that is not kept. Those that were `untold` when the session came to its stage have
    numbers from UNTOLD_FROM on, below all others. `told`: an earlier process of the server has told its client of it.
    """

    session_id: str
    event: PerformerEvent
    number: int = 0
    told: bool = False


class Acknowledge(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The server needs the session's events up to `number` no more. `told`: the numbers of others, of which its client
    has been told.
    """

    session_id: str
    number: int
    told: tuple[int, ...] = ()


class Remember(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """What the stage shall tell the next process of this server about a session, in `HeldSession.memo`. It takes the
    place of the memo before it and of all notes, with `notes` of its own.
    """

    session_id: str
    memo: bytes
    notes: tuple[KeptNote, ...] = ()


class TakeNote(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A note that the stage shall keep beside the memo, for `HeldSession.notes`. Those up to the number
    `forget_through` are not needed any more. `told`: as in `Acknowledge`, by the note.
    """

    session_id: str
    note: KeptNote
    forget_through: int = 0
    told: tuple[int, ...] = ()


class Prepare(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A session like this one may come soon: load its avatar, and lay it out."""

    spec: PerformanceSpec


class Leave(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The server ends in order: when its connection is over, its sessions do not wait for it."""


class Ping(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Asks whether the stage is alive."""


class Pong(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The stage's answer to `Ping`. `epochs`: of the server's sessions that run on the stage now, by session."""

    epochs: dict[str, int]


class Reported(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The state of the stage: once a second, and at once when it needs another pace."""

    report: StageReport


class SetPace(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The pace of the machine: the slowest that one of its stages needs. It holds for some seconds."""

    pace: int


FromServer = Hello | Request | Ping | SetPace | Acknowledge | Remember | TakeNote | Prepare | Leave
FromStage = Ready | Held | Rejected | Answer | Refusal | Event | Pong | Reported
Message = FromServer | FromStage

_encoder = msgspec.msgpack.Encoder()
_from_server: msgspec.msgpack.Decoder[FromServer] = msgspec.msgpack.Decoder(FromServer)
_from_stage: msgspec.msgpack.Decoder[FromStage] = msgspec.msgpack.Decoder(FromStage)
_M = TypeVar("_M")


def encode(message: Message) -> bytes:
    return _encoder.encode(message)


def decode_from_server(body: bytes) -> FromServer:
    """Raises `ValueError` for anything that is not a message of a server."""
    return _decode(_from_server, body)


def decode_from_stage(body: bytes) -> FromStage:
    """Raises `ValueError` for anything that is not a message of a stage."""
    return _decode(_from_stage, body)


def _decode(decoder: msgspec.msgpack.Decoder[_M], body: bytes) -> _M:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, VisavisError) as error:
        raise ValueError(f"this is not a message of the port: {error}") from error
