"""Behaviour of the protocol that the golden transcripts cannot show: order under concurrency, counts, sizes, and
generated input.
"""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from visavis.channel.actions import Action, Attach, Close, Interrupt, Send, Speak, Update
from visavis.channel.client_message import MAX_AUDIO_BYTES, MAX_TEXT_CHARS
from visavis.channel.handshake import FEATURES
from visavis.channel.port import SessionOver, TakenOver
from visavis.channel.protocol import MAX_PENDING_UPDATES, ChannelProtocol, ChannelState
from visavis.channel.server_messages import ErrorMessage, PlaybackStartedMessage, SpeakConfirmed
from visavis.channel.video_size import is_valid_video_size
from visavis.engine.output import DEFAULT_OUTPUT
from visavis.errors import CloseCode, PerformerLost, QueueFull, SessionEnded
from visavis.stage.port.events import PlaybackFinished, PlaybackStarted

# The machine may be busy: no test fails because an example is slow.
no_deadline = settings(deadline=None, max_examples=60, database=None, suppress_health_check=[HealthCheck.too_slow])


def flat_init(**members: object) -> str:
    return json.dumps({"type": "session.init", "session_id": "sess_1", "session_token": "t", **members})


def open_protocol(*features: str) -> ChannelProtocol:
    protocol = ChannelProtocol()
    protocol.receive_text(flat_init(features=list(features)))
    protocol.attach_succeeded()
    return protocol


def speak(samples: int, rate: int = 16_000, **members: object) -> str:
    return json.dumps(
        {"type": "agent.speak", "audio": base64.b64encode(bytes(2 * samples)).decode(), "sample_rate": rate, **members}
    )


def confirmed(actions: list[Action]) -> int:
    (reply,) = actions
    assert isinstance(reply, Send) and isinstance(reply.message, SpeakConfirmed)
    return reply.message.audio_samples


@no_deadline
@given(st.lists(st.integers(1, 2000), min_size=1, max_size=20), st.integers(8_000, 48_000))
def test_confirmed_samples_sum_to_the_whole_utterance(pieces: list[int], rate: int) -> None:
    protocol, total = open_protocol(), 0
    for piece in pieces:
        protocol.receive_text(speak(piece, rate, utterance_id="u"))
        total += confirmed(protocol.speech_queued(piece))
    assert abs(total - sum(pieces) * 16_000 / rate) <= 0.5


@pytest.mark.parametrize("audio", ["AAAAAA", "AAAAAA==", "AAAA\nAA==", "AAAA\r\nAA", " AA AA AA\t==\n"])
def test_base64_with_line_breaks_or_without_padding_is_taken(audio: str) -> None:
    protocol = open_protocol()
    protocol.receive_text("\ufeff" + json.dumps({"type": "agent.speak", "audio": audio}))
    assert confirmed(protocol.speech_queued(2)) == 2


def test_a_refused_message_is_not_counted() -> None:
    protocol = open_protocol()
    protocol.receive_text(speak(1, 48_000))  # a third of a sample
    assert confirmed(protocol.speech_queued(1)) == 0
    protocol.receive_text(speak(1, 48_000))
    protocol.effect_failed(QueueFull("full"))
    protocol.receive_text(speak(1, 48_000))
    assert confirmed(protocol.speech_queued(1)) == 1  # two thirds, rounded


def test_a_new_utterance_starts_its_own_count() -> None:
    protocol = open_protocol()
    for utterance in ("a", "b"):
        protocol.receive_text(speak(1, 48_000, utterance_id=utterance))
        assert confirmed(protocol.speech_queued(1)) == 0


def test_playback_never_overtakes_the_confirmation_of_its_speech() -> None:
    protocol = open_protocol("playback")
    protocol.receive_text(speak(160))
    assert protocol.receive_event(PlaybackStarted(utterance_id="u")) == []
    first, second = protocol.speech_queued(160)
    assert isinstance(first, Send) and isinstance(first.message, SpeakConfirmed)
    assert isinstance(second, Send) and second.message == PlaybackStartedMessage(utterance_id="u")


def codes(actions: list[Action]) -> list[str]:
    """Return the code of each error, and the type of every other message."""
    return [
        action.message.model_dump().get("code") or action.message.model_dump()["type"]
        for action in actions
        if isinstance(action, Send)
    ]


def test_replies_wait_behind_pending_effects() -> None:
    protocol = open_protocol("playback")
    assert isinstance(protocol.receive_text(speak(160))[-1], Speak)
    assert isinstance(protocol.receive_text(speak(320))[-1], Speak)
    assert protocol.receive_text("nonsense") == []
    assert protocol.receive_event(PlaybackStarted(utterance_id="u")) == []
    assert codes(protocol.speech_queued(160)) == ["agent.speak.confirmed"]
    assert codes(protocol.effect_failed(QueueFull("full"))) == ["QUEUE_FULL", "INVALID_JSON", "agent.playback.started"]


def test_an_interrupt_is_confirmed_ahead_of_everything() -> None:
    protocol = open_protocol("playback")
    protocol.receive_text(speak(160))
    (interrupt,) = protocol.receive_text('{"type": "agent.interrupt"}', 7)
    assert interrupt == Interrupt(through=7)
    assert protocol.receive_event(PlaybackFinished(utterance_id="u", position_s=0.0, interrupted=True)) == []
    assert codes(protocol.interrupt_succeeded()) == ["agent.interrupt.confirmed"]
    assert codes(protocol.interrupt_failed(PerformerLost("gone"))) == ["PERFORMER_LOST"]
    assert codes(protocol.speech_queued(0)) == ["agent.speak.confirmed", "agent.playback.finished"]


def test_the_samples_after_an_interrupt_are_counted_anew() -> None:
    protocol = open_protocol()
    protocol.receive_text(speak(1, 44_100))
    protocol.receive_text('{"type": "agent.interrupt"}')
    for _ in range(2):
        protocol.receive_text(speak(1, 44_100))
    confirmed = [protocol.speech_queued(1) for _ in range(3)]
    counts = [action.message.audio_samples for (action,) in confirmed]  # type: ignore[union-attr]
    assert counts == [0, 0, 1], "0.36, then 0.36 and 0.73 in sum"


def test_events_that_were_not_sent_are_given_back_when_the_client_leaves() -> None:
    protocol = open_protocol("playback")
    protocol.receive_text(speak(160))
    started = PlaybackStarted(utterance_id="u")
    assert protocol.receive_event(started) == []
    assert protocol.client_disconnected() == [started]
    assert protocol.client_disconnected() == []


def test_a_close_waits_for_the_effects_that_began_before_it() -> None:
    protocol = open_protocol()
    protocol.receive_text(speak(160))
    assert protocol.receive_text("x" * (MAX_TEXT_CHARS + 1)) == []
    assert protocol.receive_text(speak(160)) == []  # further messages are ignored
    actions = protocol.speech_queued(160)
    assert codes(actions) == ["agent.speak.confirmed", "MESSAGE_TOO_LARGE"]
    assert isinstance(actions[-1], Close) and actions[-1].code == 1009 and protocol.state is ChannelState.CLOSED


def test_nothing_is_sent_after_a_close() -> None:
    protocol = open_protocol("playback")
    protocol.receive_text(json.dumps({"type": "session.update", "output": {}}))
    protocol.receive_text(speak(160))
    protocol.receive_text("x" * (MAX_TEXT_CHARS + 1))
    assert (
        protocol.receive_event(PlaybackStarted(utterance_id="u")) == []
        and protocol.update_succeeded(DEFAULT_OUTPUT) == []
    )
    actions = protocol.speech_queued(160)
    assert codes(actions) == ["agent.speak.confirmed", "MESSAGE_TOO_LARGE"]
    assert isinstance(actions[-1], Close) and protocol.state is ChannelState.CLOSED


def test_session_over_during_an_effect_closes_at_once_and_its_outcome_is_ignored() -> None:
    protocol = open_protocol("playback")
    protocol.receive_text(speak(160))
    protocol.receive_event(PlaybackStarted(utterance_id="u"))
    held, close = protocol.receive_event(SessionOver(reason="ended"))
    assert isinstance(held, Send) and close == Close(code=CloseCode.NORMAL, reason="ended")
    assert (
        protocol.speech_queued(160) == []
        and protocol.receive_text(speak(160)) == []
        and protocol.receive_binary(b"") == []
    )
    assert protocol.receive_event(TakenOver()) == [] and protocol.init_timed_out() == []


def test_the_init_timeout_does_not_apply_while_attaching_or_after() -> None:
    protocol = ChannelProtocol()
    (attach,) = protocol.receive_text(flat_init())
    assert isinstance(attach, Attach)
    assert protocol.init_timed_out() == []
    protocol.attach_succeeded()
    assert protocol.init_timed_out() == []


def test_a_failed_attachment_leaves_the_channel_awaiting_an_init() -> None:
    protocol = ChannelProtocol()
    protocol.receive_text(flat_init())
    protocol.effect_failed(QueueFull("no room"))
    reply, close = protocol.receive_text(speak(160))
    assert isinstance(reply, Send) and isinstance(close, Close) and close.code == 4400


def test_an_error_in_the_server_closes_1011() -> None:
    protocol = open_protocol()
    protocol.receive_text(speak(160))
    reply, close = protocol.server_failed()
    assert isinstance(reply, Send) and close == Close(code=CloseCode.INTERNAL_ERROR, reason="Internal error")


def test_a_reason_too_long_for_a_close_frame_is_truncated_between_characters() -> None:
    (close,) = open_protocol().receive_event(SessionOver(reason="ä" * 100))
    assert isinstance(close, Close) and close.reason == "ä" * 61


def test_a_text_frame_beyond_the_limit_closes_before_it_is_parsed() -> None:
    reply, close = open_protocol().receive_text("x" * (MAX_TEXT_CHARS + 1))
    assert isinstance(reply, Send) and isinstance(close, Close) and close.code == 1009


def test_a_first_message_beyond_the_limits_closes_too() -> None:
    reply, close = ChannelProtocol().receive_text("x" * (MAX_TEXT_CHARS + 1))
    assert isinstance(reply, Send) and isinstance(close, Close) and close.code == 1009
    reply, close = ChannelProtocol().receive_binary(bytes(MAX_AUDIO_BYTES + 2))
    assert isinstance(reply, Send) and isinstance(close, Close) and close.code == 4400


def test_the_published_token_name_takes_precedence_and_features_come_from_both_objects() -> None:
    (attach,) = ChannelProtocol().receive_text(flat_init(access_token="other"))
    assert isinstance(attach, Attach) and attach.init.token == "t"
    room = {"platform": "daily", "url": "u", "token": "r"}
    config = {"session_id": "s", "access_token": "t", "session_token": "other", "room": room, "features": ["binary"]}
    (attach,) = ChannelProtocol().receive_text(
        json.dumps({"type": "session.init", "config": config, "features": ["playback"]})
    )
    assert isinstance(attach, Attach) and attach.init.token == "t" and attach.init.features == {"binary", "playback"}


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"type": "agent.speak", "sample_rate": ' + "9" * 5000 + "}", '"\\ud800"', "", "null"]
)
def test_malformed_or_excessive_json_is_reported_as_invalid(text: str) -> None:
    (reply,) = open_protocol().receive_text(text)
    assert isinstance(reply, Send) and isinstance(reply.message, ErrorMessage) and reply.message.code == "INVALID_JSON"


@pytest.mark.parametrize(
    "members",
    [
        {"session_id": 7},
        {"session_id": ""},
        {"session_id": "\ud800"},
        {"session_id": "a\0b"},
        {"session_id": "x" * 5000},
        {"session_token": None},
        {"config": None},
        {"config": []},
        {"config": {"session_id": "s"}},
        {"config": {"session_id": "s", "access_token": ["t"]}},
    ],
    ids=str,
)
def test_an_init_with_a_wrong_member_is_refused_and_may_be_tried_again(members: dict[str, object]) -> None:
    protocol = ChannelProtocol()
    (reply,) = protocol.receive_text(flat_init(**members))
    assert isinstance(reply, Send) and isinstance(reply.message, ErrorMessage) and reply.message.code == "INVALID_INIT"
    assert protocol.state is ChannelState.AWAITING_INIT
    (attach,) = protocol.receive_text(flat_init())
    assert isinstance(attach, Attach)


@pytest.mark.parametrize("features", [["telepathy"], "playback", {"playback": True}, [1], None, [None]], ids=str)
def test_unknown_features_are_an_error(features: object) -> None:
    (reply,) = ChannelProtocol().receive_text(flat_init(features=features))
    assert (
        isinstance(reply, Send) and isinstance(reply.message, ErrorMessage) and reply.message.code == "UNKNOWN_FEATURE"
    )


def test_a_server_without_a_synthesiser_offers_no_text() -> None:
    protocol = ChannelProtocol(offered=FEATURES - {"text"})
    (reply,) = protocol.receive_text(flat_init(features=["text"]))
    assert isinstance(reply, Send) and isinstance(reply.message, ErrorMessage)
    assert reply.message.code == "UNKNOWN_FEATURE" and "speech synthesiser" in reply.message.error
    (attach,) = protocol.receive_text(flat_init(features=["playback"]))
    assert isinstance(attach, Attach)


@pytest.mark.parametrize(
    ("output", "code"),
    [
        ({"background": {"type": "color", "\ud800": 1}}, "INVALID_BACKGROUND"),
        ({"framing": {"\ud800": 1}}, "INVALID_FRAMING"),
        ({"\ud800": 1}, "INVALID_OUTPUT"),
        ({"emotion": {"\ud800": 1}}, "INVALID_EMOTION"),
        ({"framing": {"zoom": 10**400}}, "INVALID_FRAMING"),
        ({"background": {"type": "blur", "strength": -(10**400)}}, "INVALID_BACKGROUND"),
        ({"emotion": {"name": "sad", "weight": 10**400}}, "INVALID_EMOTION"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_an_update_with_surrogates_or_huge_numbers_gets_a_specific_error(output: dict[str, object], code: str) -> None:
    (reply,) = open_protocol().receive_text(json.dumps({"type": "session.update", "output": output}))
    assert isinstance(reply, Send) and isinstance(reply.message, ErrorMessage) and reply.message.code == code
    reply.message.model_dump_json().encode()


NAMES = [
    "type",
    "config",
    "room",
    "audio",
    "background",
    "framing",
    "zoom",
    "emotion",
    "name",
    "weight",
    "strength",
    "symbol",
    "start_ms",
    "\ud800",
]
ODD_TEXTS = ["\ud800", "a\0b", "blur", "happy", "ipa", "sapi", "listening"]
PCM_OF_100_MS = base64.b64encode(bytes(3200)).decode()
JSON_NUMBERS = st.integers() | st.just(10**400) | st.floats()
JSON_LEAVES = st.none() | st.booleans() | JSON_NUMBERS | st.text(max_size=8) | st.sampled_from(ODD_TEXTS)
JSON_VALUES: st.SearchStrategy[object] = st.deferred(
    lambda: JSON_LEAVES | st.lists(JSON_VALUES, max_size=3) | JSON_OBJECTS
)
JSON_OBJECTS: st.SearchStrategy[dict[str, object]] = st.dictionaries(st.sampled_from(NAMES), JSON_VALUES, max_size=4)
MEMBERS = [
    "session_id",
    "session_token",
    "access_token",
    "config",
    "features",
    "audio",
    "sample_rate",
    "utterance_id",
    "final",
]
MEMBERS += ["phonemes", "alphabet", "emotion", "output", "state"]
KINDS = ["session.init", "agent.speak", "agent.interrupt", "audio.format", "session.update", "agent.state", "?"]


@no_deadline
@given(
    st.dictionaries(st.sampled_from(MEMBERS), JSON_VALUES),
    st.sampled_from(KINDS),
    st.booleans(),
)
def test_no_json_object_breaks_the_protocol(members: dict[str, object], kind: str, is_open: bool) -> None:
    protocol = open_protocol("binary", "state") if is_open else ChannelProtocol()
    actions = protocol.receive_text(json.dumps({"type": kind, "audio": PCM_OF_100_MS, **members}))
    assert actions or kind == "audio.format"
    for action in actions:
        if isinstance(action, Send):
            action.message.model_dump_json().encode()
        if isinstance(action, Speak):
            assert len(action.speech.pcm) % 2 == 0 and 8_000 <= action.speech.sample_rate_hz <= 48_000


LISTED = "64x64 128x64 1280x720 512x512 1920x1080 1080x1920 1920x960 854x480 1366x768 640x480 1280x768 1280x800 "
LISTED += "720x480 500x300"
REFUSED = "0x0 2x2 62x62 -2x-2 1921x1080 2048x1152 1280x722 1278x722 641x480 1000x300 1280x600 1920x0"


@pytest.mark.parametrize("size", LISTED.split())
def test_listed_ratios_are_accepted(size: str) -> None:
    assert is_valid_video_size(*map(int, size.split("x")))


@pytest.mark.parametrize("size", REFUSED.split())
def test_other_sizes_are_refused(size: str) -> None:
    assert not is_valid_video_size(*map(int, size.split("x")))


def test_updates_do_not_delay_replies_and_their_number_is_limited() -> None:
    protocol = open_protocol()
    update = json.dumps({"type": "session.update", "output": {"emotion": "happy"}})
    for _ in range(MAX_PENDING_UPDATES):
        (effect,) = protocol.receive_text(update)
        assert isinstance(effect, Update)
    (refused,) = protocol.receive_text(update)
    assert isinstance(refused, Send) and refused.message.code == "UPDATE_PENDING"  # type: ignore[attr-defined]
    protocol.receive_text(speak(160))
    assert codes(protocol.speech_queued(160)) == ["agent.speak.confirmed"]
    (updated,) = protocol.update_succeeded(DEFAULT_OUTPUT)
    assert isinstance(updated, Send) and updated.message.type == "session.updated"  # type: ignore[attr-defined]
    assert isinstance(protocol.receive_text(update)[0], Update)


def test_the_reply_to_an_update_waits_for_earlier_confirmations() -> None:
    protocol = open_protocol()
    (update,) = protocol.receive_text(json.dumps({"type": "session.update", "output": {}}))
    assert isinstance(update, Update)
    protocol.receive_text(speak(160))
    assert protocol.update_succeeded(DEFAULT_OUTPUT) == []
    assert codes(protocol.speech_queued(160)) == ["agent.speak.confirmed", "session.updated"]


def test_an_update_of_an_ended_session_closes_the_channel() -> None:
    protocol = open_protocol()
    protocol.receive_text(json.dumps({"type": "session.update", "output": {}}))
    reply, close = protocol.update_failed(SessionEnded("Session has already ended", reason="expired"))
    assert isinstance(reply, Send) and reply.message.error == "Session has already ended"  # type: ignore[attr-defined]
    assert isinstance(close, Close) and (close.code, close.reason) == (4410, "expired")
    assert protocol.update_succeeded(DEFAULT_OUTPUT) == []
