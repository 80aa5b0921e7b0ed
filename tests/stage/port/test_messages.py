"""Messages of the port: each decodes to itself, and everything else is refused."""

from __future__ import annotations

import msgspec
import pytest

from visavis.engine.motion.mood import Mood
from visavis.engine.output import Output
from visavis.engine.pack_ref import PackRef
from visavis.engine.render.backdrop import Backdrop, Framing
from visavis.engine.speech.phones import TimedViseme
from visavis.rooms.spec import EmbeddedRoomSpec, IceRestarted, IceServer
from visavis.stage.port import events, messages
from visavis.stage.port.held import HeldSession, HeldUtterance
from visavis.stage.port.line import LineMark, Waiting
from visavis.stage.port.messages import Event, Hello, HttpSource, Request, decode_from_server, decode_from_stage, encode
from visavis.stage.port.notes import KeptNote
from visavis.stage.port.so_far import PerformanceSoFar, UtteranceSoFar
from visavis.stage.port.values import PerformanceSpec, Speech, Spoken

ROOM = EmbeddedRoomSpec(ice_servers=(IceServer(url="turn:t", username="1:sess", credential="c"),))
PACK = PackRef(avatar_id="avat_1", version=3, digest="0" * 64)
OUTPUT = Output(
    backdrop=Backdrop(kind="color", color=(1, 2, 3)), framing=Framing(zoom=1.25), mood=Mood(happy=0.5, sad=0.25)
)
SPEECH = Speech(
    pcm=b"\0\1",
    sample_rate_hz=8000,
    number=7,
    utterance_id="u",
    final=True,
    visemes=(TimedViseme(1, 0.0, 12.5), TimedViseme(2, 12.5, 20.0)),
    mood=Mood(serious=1.0),
)
COMMANDS: list[messages.Command] = [
    messages.Open(spec=PerformanceSpec(session_id="s", pack=PACK, output=OUTPUT, room=ROOM)),
    messages.Open(spec=PerformanceSpec(session_id="s", pack=PACK), position=48_000),
    messages.GoOn(
        so_far=PerformanceSoFar(
            spec=PerformanceSpec(session_id="s", pack=PACK),
            position=48_000,
            utterances=(
                UtteranceSoFar(
                    utterance_id="u",
                    named=True,
                    open=True,
                    first_number=7,
                    started=True,
                    played_samples=960,
                    mood=Mood(sad=1.0),
                    pieces=(SPEECH,),
                ),
            ),
            ended_ids={"t": True},
            state="speaking",
        ),
        untold=(
            Event(session_id="s", event=events.PlaybackStarted(utterance_id="t"), number=messages.UNTOLD_FROM),
            Event(session_id="s", event=events.SampleCut(utterance_id="t"), number=messages.UNTOLD_FROM + 1),
        ),
    ),
    messages.Speak(speech=SPEECH),
    messages.Speak(speech=Speech(pcm=b"", sample_rate_hz=48_000, number=1)),
    messages.KeepLine(
        waiting=Waiting(place=2, number=3, body=b"text"),
        mark=LineMark(through=1, rest=Waiting(place=1, number=2, body=b"rest", dropped=True), spent=4),
        message=5,
        spoken=Spoken(utterance_id="u", samples=0),
    ),
    messages.Interrupt(through=3),
    messages.Resize(width_px=64, height_px=64),
    messages.ShowName(name="AI Avatar (AH)"),
    messages.SetOutput(output=OUTPUT),
    messages.SetState(state="thinking"),
    messages.HoldForViewer(seconds=7.5),
    messages.StreamMotion(on=True),
    messages.AnswerCall(call_id="c", code="INVALID_EMOTION", problem="why"),
    messages.TellRoom(state="expiring", reason="expired", seconds_left=60),
    messages.Offer(viewer_id="v", sdp="v=0"),
    messages.AddCandidates(viewer_id="v", fragment="a=candidate:1", ice_session=2),
    messages.RestartIce(viewer_id="v", fragment="a=ice-ufrag:1"),
    messages.RemoveViewer(viewer_id="v"),
    messages.End(),
    messages.TakeOver(ownership=3),
]
EVENTS: list[events.PerformerEvent] = [
    events.FirstFrameSent(),
    events.ViewerJoined(viewer_id="v", viewers=1),
    events.ViewerLeft(viewer_id="v", viewers=0),
    events.PlaybackStarted(utterance_id="u"),
    events.PlaybackProgress(utterance_id="u", played_samples=4800),
    events.PlaybackFinished(utterance_id="u", position_s=0.125, interrupted=True),
    events.SampleCut(utterance_id="u"),
    events.StateChanged(state="listening"),
    events.MotionFrames(utterance_id=None, position_s=1.5, coefficients=[[0.0, 0.5]], heads=[[1.0, 2.0, 3.0]]),
    events.MotionCut(utterance_id="u", position_s=0.5),
    events.PerformerMetrics(frames=25, late_frames=1, queued_s=0.5, sample_to_frame_ms_p50=70.0),
    events.PerformerMetrics(
        frames=25,
        late_frames=0,
        queued_s=0.0,
        silent_ms=(14.5,),
        viewers=(events.ViewerQuality(round_trip_ms=20.5, lost_share=0.01), events.ViewerQuality()),
    ),
    events.UtteranceMeasured(
        utterance_id="u", received_s=1.5, frame_ms=70.5, finished_ms=900.0, played_s=0.5, interrupted=False
    ),
    events.PerformanceMoved(after_s=1.5, detail="why"),
    events.RoomEnded(end="agent_left", detail="why"),
    events.RoomCalled(call_id="c", method="visavis.output", payload="{}"),
    events.SegmentsOpen(agents={"segment_1": "agent"}),
    events.RoomTokenRefreshed(token="next"),
    events.PerformerEnded(reason="lost", detail="why"),
]


HELD = HeldSession(
    spec=PerformanceSpec(session_id="s", pack=PACK, output=OUTPUT, room=ROOM),
    performed_s=12.5,
    first_frame_s=3.25,
    viewers=("one", "two"),
    state="speaking",
    utterances=(
        HeldUtterance(utterance_id="u1", received_s=2.0, played_s=0.5),
        HeldUtterance(utterance_id="u2", received_s=1.0),
    ),
    streams_motion=True,
    memo=b"memo",
    notes=(KeptNote(number=7, note=b"note"),),
)
RESULTS: list[messages.Result] = [
    messages.Done(repeated=True),
    Spoken(utterance_id="u", samples=160),
    messages.OfferAnswered(sdp="v=0"),
    IceRestarted(fragment="a=mid:0", ice_session=2),
    messages.ViewerRemoved(was_there=False),
    messages.TakenOver(session=HELD),
    messages.NotHere(),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_a_command_decodes_to_itself(command: messages.Command) -> None:
    request = Request(number=3, session_id="s", epoch=2, command=command)
    assert decode_from_server(encode(request)) == request


def test_the_samples_contain_every_command_event_and_result() -> None:
    assert {type(result) for result in RESULTS} == set(messages.Result.__args__)
    assert {type(command) for command in COMMANDS} == set(messages.Command.__args__)
    assert {type(event) for event in EVENTS} == set(events.PerformerEvent.__args__)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_decodes_to_itself(event: events.PerformerEvent) -> None:
    message = Event(session_id="s", event=event)
    assert decode_from_stage(encode(message)) == message


@pytest.mark.parametrize(
    "message",
    [
        messages.Ready(version=messages.PORT_VERSION),
        messages.Rejected(code="WRONG_STAGE_TOKEN", message="no"),
        *(messages.Answer(number=1, result=result) for result in RESULTS),
        messages.Refusal(number=1, code="QUEUE_FULL", message="full", suggestion="wait"),
        messages.Pong(epochs={"sess_1": 1, "sess_2": 3}),
    ],
)
def test_an_answer_decodes_to_itself(message: messages.FromStage) -> None:
    assert decode_from_stage(encode(message)) == message


@pytest.mark.parametrize(
    "message",
    [
        messages.Ping(),
        messages.Acknowledge(session_id="sess_1", number=7),
        messages.Remember(session_id="sess_1", memo=b"\x00\xff"),
        messages.TakeNote(session_id="sess_1", note=KeptNote(number=3, note=b"\xff"), forget_through=2),
        messages.Leave(),
        messages.Prepare(spec=PerformanceSpec(session_id="s", pack=PACK, output=OUTPUT)),
    ],
)
def test_a_message_without_answer_decodes_to_itself(message: messages.FromServer) -> None:
    assert decode_from_server(encode(message)) == message


def test_what_a_stage_holds_decodes_to_itself() -> None:
    message = messages.Held(session=HELD)
    assert decode_from_stage(encode(message)) == message


def test_a_hello_decodes_to_itself_with_all_its_members() -> None:
    hello = Hello(
        version=messages.PORT_VERSION,
        token="t",
        server_id="a",
        source=HttpSource(url="https://service", token="u"),
        ice_servers=(IceServer(url="turn:t", username="n", credential="c"),),
        owner_grace_s=15.0,
        dropped_when_silent=True,
        epoch=7,
        oldest=messages.OLDEST_PORT_VERSION,
        program="0.1.0",
    )
    assert decode_from_server(encode(hello)) == hello


def test_a_spec_contains_no_path() -> None:
    body = encode(Request(number=1, session_id="s", epoch=1, command=COMMANDS[0]))
    assert b"/" not in body


def _packed(**members: object) -> bytes:
    return msgspec.msgpack.encode(members)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"garbage",
        _packed(),
        _packed(type="Nonsense"),
        _packed(type="Request", number=1),
        _packed(type="Request", number="1", session_id="s", epoch=1, command={"type": "End"}),
        _packed(type="Request", number=1, session_id="s", epoch=1, command={"type": "Explode"}),
        _packed(type="Request", number=1, session_id="s", epoch=1, command={"type": "SetState", "state": "asleep"}),
        _packed(
            type="Request",
            number=1,
            session_id="s",
            epoch=1,
            command={"type": "SetOutput", "output": {"backdrop": {"kind": "nonsense"}}},
        ),
        b"\x91" * 100_000,
        encode(messages.Ready(version=messages.PORT_VERSION)),
    ],
    ids=str,
)
def test_anything_but_a_message_of_a_server_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="not a message of the port"):
        decode_from_server(body)


def test_an_avatar_id_with_a_path_is_refused() -> None:
    spec = msgspec.to_builtins(COMMANDS[0])
    spec["spec"]["pack"]["avatar_id"] = "../../etc"
    body = _packed(type="Request", number=1, session_id="s", epoch=1, command=spec)
    with pytest.raises(ValueError, match="not a message of the port"):
        decode_from_server(body)


@pytest.mark.parametrize(
    ("version", "oldest", "common"),
    [(17, 0, 17), (17, 15, 17), (19, 16, 18), (19, 0, None), (18, 17, 18), (15, 14, None), (16, 0, 16), (20, 19, None)],
)
def test_both_ends_use_the_newest_version_that_both_speak(
    version: int, oldest: int, common: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "PORT_VERSION", 18)
    monkeypatch.setattr(messages, "OLDEST_PORT_VERSION", 16)
    hello = messages.Hello(version=version, oldest=oldest, token="t", server_id="s")
    assert messages.common_version(hello) == common
