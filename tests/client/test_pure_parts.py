"""What the client decides without a network: sound files, refusals, retries, reconnects and numbered messages."""

from __future__ import annotations

import itertools
import json
import math
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from visavis_client.answers import refusal
from visavis_client.conversation import Conversation
from visavis_client.documents import Avatar, Room, SessionDocument
from visavis_client.errors import (
    Conflict,
    InvalidSound,
    LimitReached,
    NoCapacity,
    NotFound,
    RateLimited,
    Refused,
    ServerFault,
    ServerUnreachable,
    Unauthorized,
    VisavisError,
)
from visavis_client.events import Other, PlaybackFinished, StateChanged, event_of
from visavis_client.reconnects import MOST_TRIES, Reconnects
from visavis_client.retries import wait_before_retry_s
from visavis_client.sound import read_sound


def wav(kind: int, channels: int, rate_hz: int, bits: int, data: bytes) -> bytes:
    layout = struct.pack("<HHIIHH", kind, channels, rate_hz, rate_hz * channels * bits // 8, channels * bits // 8, bits)
    chunks = b"LIST" + struct.pack("<I", 3) + b"abc\0" + b"fmt " + struct.pack("<I", len(layout)) + layout
    chunks += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


SINE = np.sin(np.arange(800) / 10) * 0.5


@pytest.mark.parametrize(
    ("kind", "bits", "data"),
    [
        (1, 8, (SINE * 128 + 128).astype(np.uint8).tobytes()),
        (1, 16, (SINE * 32768).astype("<i2").tobytes()),
        (1, 24, b"".join(int(value * 2**23).to_bytes(3, "little", signed=True) for value in SINE)),
        (1, 32, (SINE * 2**31).astype("<i4").tobytes()),
        (3, 32, SINE.astype("<f4").tobytes()),
        (3, 64, SINE.astype("<f8").tobytes()),
    ],
)
def test_every_wav_is_read_to_the_same_sound(kind: int, bits: int, data: bytes) -> None:
    sound = read_sound(wav(kind, 1, 22_050, bits, data))
    heard = np.frombuffer(sound.pcm, "<i2") / 32768
    assert sound.sample_rate_hz == 22_050 and len(heard) == 800
    assert np.abs(heard - SINE).max() < (0.01 if bits == 8 else 0.0002)


def test_of_several_channels_the_loudest_is_taken() -> None:
    both = np.stack([SINE * 0.1, -SINE], axis=1)
    heard = np.frombuffer(read_sound(wav(1, 2, 16_000, 16, (both * 32767).astype("<i2").tobytes())).pcm, "<i2")
    assert np.corrcoef(heard, -SINE)[0, 1] > 0.99


def test_floats_beyond_full_scale_are_clipped_and_no_number_is_silence() -> None:
    data = np.array([2.0, -2.0, math.nan, 0.0], "<f4").tobytes()
    assert np.frombuffer(read_sound(wav(3, 1, 16_000, 32, data)).pcm, "<i2").tolist() == [32767, -32767, 0, 0]


@pytest.mark.parametrize(
    "content",
    [
        wav(1, 1, 16_000, 16, b""),
        wav(1, 0, 16_000, 16, b"abcd"),
        wav(1, 1, 4_000, 16, b"abcd"),
        wav(7, 1, 16_000, 8, b"abcd"),
        wav(1, 1, 16_000, 16, b"abcd")[:30],
        b"RIFF\0\0\0\0WAVE",
    ],
)
def test_what_is_no_speech_is_refused_in_words(content: bytes) -> None:
    with pytest.raises(InvalidSound):
        read_sound(content)


@given(st.binary(max_size=200))
def test_no_bytes_of_a_wav_break_the_reader(rest: bytes) -> None:
    try:
        sound = read_sound(b"RIFF\0\0\0\0WAVE" + rest)
    except InvalidSound:
        return
    assert len(sound.pcm) % 2 == 0 and 8_000 <= sound.sample_rate_hz <= 48_000


def test_raw_samples_have_no_default_rate() -> None:
    with pytest.raises(InvalidSound, match="sample_rate"):
        read_sound(b"\0\0")
    assert read_sound(b"\0\0", 24_000).sample_rate_hz == 24_000


def test_refusals_are_typed_and_keep_what_they_say() -> None:
    body = {
        "success": False,
        "error": {
            "code": "CONCURRENCY_LIMIT_REACHED",
            "message": "Full",
            "suggestion": "End one",
            "details": {"concurrency": {"max": 1}},
        },
    }
    error = refusal(429, {"request-id": "req_1", "retry-after": "7"}, json.dumps(body).encode())
    assert type(error) is LimitReached
    assert (error.code, error.status, error.request_id) == ("CONCURRENCY_LIMIT_REACHED", 429, "req_1")
    assert error.retry_after_s == 7 and error.details["concurrency"]["max"] == 1
    assert str(error) == "Full. End one [CONCURRENCY_LIMIT_REACHED]"


@pytest.mark.parametrize(
    ("status", "body", "kind", "word"),
    [
        (401, b'{"error":"Invalid API key"}', Unauthorized, "Invalid API key"),
        (429, b'{"success":false,"error":"Too many requests."}', RateLimited, "Too many"),
        (503, b'{"error":{"code":"NO_CAPACITY","message":"Full"}}', NoCapacity, "Full"),
        (404, b'{"error":{"code":"A_NEW_CODE","message":"?","more":[1]}}', NotFound, "A_NEW_CODE"),
        (502, b"<html>Bad Gateway</html>", ServerFault, "behind it does not"),
        (504, b"", ServerFault, "took too long"),
        (413, b"<html>", VisavisError, "proxy"),
        (418, b"[]", VisavisError, "not one of a Visavis server"),
    ],
)
def test_what_a_proxy_says_becomes_true_words(status: int, body: bytes, kind: type[VisavisError], word: str) -> None:
    error = refusal(status, {}, body)
    assert isinstance(error, kind) and word in str(error)


def test_fifty_clients_refused_at_once_come_back_spread_over_a_third_of_the_wait() -> None:
    full = refusal(503, {"retry-after": "9"}, b'{"error":{"code":"NO_CAPACITY","message":"Full"}}')
    waits = sorted(wait_before_retry_s(full, 1, chance / 49) or 0 for chance in range(50))
    assert waits[0] == 9 and waits[-1] == pytest.approx(12)
    assert max(later - earlier for earlier, later in itertools.pairwise(waits)) < 0.1


def test_a_full_plan_and_a_wrong_call_are_never_tried_again() -> None:
    for status, code in (
        (429, "CONCURRENCY_LIMIT_REACHED"),
        (429, "AVATAR_LIMIT_REACHED"),
        (400, "NO_FACE"),
        (500, "INTERNAL"),
    ):
        error = refusal(status, {"retry-after": "1"}, json.dumps({"error": {"code": code, "message": "no"}}).encode())
        assert wait_before_retry_s(error, 1, 0.5) is None
    assert wait_before_retry_s(refusal(409, {}, b'{"error":{"code":"SESSION_ENDED","message":"no"}}'), 1, 0) is None
    busy = refusal(409, {"retry-after": "1"}, b'{"error":{"code":"IDEMPOTENCY_IN_PROGRESS","message":"wait"}}')
    assert isinstance(busy, Conflict) and wait_before_retry_s(busy, 1, 0) == 1


def test_a_refusal_is_told_by_its_headers_where_its_body_has_no_code() -> None:
    headers = {"visavis-error-code": "INVALID_API_KEY", "visavis-should-retry": "false"}
    error = refusal(401, headers, b'{"error":"Invalid API key"}')
    assert (type(error), error.code, error.should_retry) == (Unauthorized, "INVALID_API_KEY", False)
    rate = refusal(
        429, {"visavis-error-code": "RATE_LIMITED", "visavis-should-retry": "true"}, b'{"error":"Slow down"}'
    )
    assert type(rate) is RateLimited and wait_before_retry_s(rate, 1, 0.0) == 0.5
    assert refusal(502, {}, b"<html>").should_retry is None


def test_what_the_server_says_is_no_use_is_not_tried_again_whatever_its_status() -> None:
    body = b'{"error":{"code":"ROOM_PLATFORM_UNAVAILABLE","message":"no"}}'
    for said, wait_s in (("false", None), ("true", 0.5)):
        assert wait_before_retry_s(refusal(503, {"visavis-should-retry": said}, body), 1, 0.0) == wait_s


def test_waits_without_advice_double_up_to_eight_seconds() -> None:
    lost = ServerUnreachable("gone")
    assert [wait_before_retry_s(lost, attempt, 0.0) for attempt in (1, 2, 5, 9)] == [0.5, 1.0, 8.0, 8.0]


@given(st.lists(st.tuples(st.floats(0, 30), st.floats(0, 1)), min_size=20, max_size=60))
def test_a_server_that_accepts_and_closes_sees_at_most_eight_tries_a_minute(tries: list[tuple[float, float]]) -> None:
    reconnects, now_s, at_s = Reconnects(), 0.0, []
    for lasted_s, chance in tries:
        reconnects.tries(now_s)
        at_s.append(now_s)
        reconnects.lost(lasted_s=min(lasted_s, 9.9))
        now_s += reconnects.wait_s(now_s, chance)
    assert all(later - earlier >= 59.999 for earlier, later in zip(at_s, at_s[MOST_TRIES:], strict=False))


def test_the_first_reconnect_comes_at_once_after_a_good_connection() -> None:
    reconnects = Reconnects()
    reconnects.tries(0.0)
    reconnects.lost(lasted_s=11.0)
    assert reconnects.wait_s(11.0, 0.5) == 0.0


def test_a_server_that_asks_to_wait_is_left_alone_for_so_long_and_up_to_a_third_more() -> None:
    reconnects = Reconnects()
    reconnects.tries(0.0)
    reconnects.lost(lasted_s=0.0)
    waits = [reconnects.wait_s(0.0, chance, asked_s=6.0) for chance in (0.0, 0.5, 1.0)]
    assert waits == pytest.approx([6.0, 7.0, 8.0])


def test_without_a_network_a_channel_tries_every_second_and_none_of_these_tries_counts() -> None:
    reconnects, now_s = Reconnects(), 0.0
    for _ in range(30):
        reconnects.tries(now_s)
        reconnects.lost(lasted_s=0.0, reached=False)
        now_s += reconnects.wait_s(now_s, 0.0)
    assert 29 <= now_s + 1.25 <= 31
    reconnects.tries(now_s)
    reconnects.lost(lasted_s=0.0)
    assert reconnects.wait_s(now_s, 0.0) == 8.0


def test_a_conversation_sends_again_what_was_not_taken_and_hears_nothing_twice() -> None:
    conversation = Conversation()
    assert [conversation.push(text) for text in ("a", "b", "c")] == [1, 2, 3]
    assert [conversation.next_unsent() for _ in range(4)] == ["a", "b", "c", None]
    assert conversation.arrived({"seq": 1, "ack": 1}) and conversation.due_acknowledgement() == 1
    conversation.resume(2)
    assert conversation.next_unsent() == "c" and conversation.next_unsent() is None
    assert conversation.is_taken(2) and not conversation.is_taken(3)
    assert not conversation.arrived({"seq": 1, "ack": 3}) and conversation.arrived({"seq": 2, "ack": 3})
    assert conversation.kept_size == 0


def test_unknown_events_values_and_members_are_survived() -> None:
    assert event_of({"type": "agent.new", "x": 1}) == Other(type="agent.new", data={"type": "agent.new", "x": 1})
    assert event_of({"type": "agent.state", "state": "dancing", "more": 1}) == StateChanged(state="dancing")
    finished = {"type": "agent.playback.finished", "utterance_id": "u", "position_s": 1, "interrupted": False, "n": 2}
    assert event_of(finished) == PlaybackFinished(utterance_id="u", position_s=1.0, interrupted=False)
    assert isinstance(event_of({"type": "agent.state", "state": 7}), Other)


def test_documents_survive_what_they_do_not_know() -> None:
    told = {"session_id": "s", "status": "paused", "expiration": "soon", "duration": 1, "mood": {"is": "new"}}
    session = SessionDocument.of({**told, "daily_room": {"url": "https://a.example", "kind": "flat"}})
    assert (session.status, session.expires_at, session.duration_s) == ("paused", None, 1)
    assert session.room == Room(url="https://a.example") and session.raw["mood"] == {"is": "new"}
    avatar = Avatar.of({"avatar_id": "a", "is_public": 2, "tags": ["new"]})
    assert (avatar.id, avatar.is_public, avatar.raw["tags"]) == ("a", True, ["new"])
    body = {"success": False, "error": {"message": "x", "code": "NEW_CODE", "hints": [1]}, "more": 1}
    refused = refusal(418, {}, json.dumps(body).encode())
    assert (type(refused), refused.code, refused.status) == (Refused, "NEW_CODE", 418)


def test_an_agent_installs_no_renderer() -> None:
    loaded = "import sys, visavis_client; print(sorted({name.partition('.')[0] for name in sys.modules}))"
    names = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout
    assert "'httpx'" in names and "'websockets'" in names
    assert not any(f"'{heavy}'" in names for heavy in ("visavis", "numpy", "av", "pydantic", "cv2", "aiortc"))
