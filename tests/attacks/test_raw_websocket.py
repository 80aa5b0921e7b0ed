"""Frames that RFC 6455 forbids, and frames that it allows but nobody sends. Each gets the close code that fits; none a
traceback in the log, memory that stays, or a server that is slow for others.
"""

from __future__ import annotations

import json
import struct
import time
from contextlib import suppress

import httpx
import pytest

from tests.attacks.raw_websocket import (
    BINARY,
    CLOSE,
    CONT,
    FIN,
    PING,
    PONG,
    TEXT,
    Attacked,
    frame,
    header,
    receive_close,
    receive_frame,
)
from tests.attacks.scale import FULL, SCALE

ALLOWED_MB = 40.0
LONGEST_WAIT_S = 0.4


PROTOCOL_ERROR, INVALID_DATA, TOO_BIG, INIT_REQUIRED = 1002, 1007, 1009, 4400

FORBIDDEN: dict[str, tuple[bytes, int]] = {
    "a continuation without a start": (frame(CONT, b"x"), PROTOCOL_ERROR),
    "a text within a text": (frame(TEXT, b"{", fin=False) + frame(TEXT, b"}"), PROTOCOL_ERROR),
    "a compressed frame": (frame(TEXT, b"\x00", reserved=0x40), PROTOCOL_ERROR),
    "reserved bit 2": (frame(TEXT, b"{}", reserved=0x20), PROTOCOL_ERROR),
    "reserved bit 3": (frame(TEXT, b"{}", reserved=0x10), PROTOCOL_ERROR),
    "an opcode that nobody knows": (frame(0x3, b"x"), PROTOCOL_ERROR),
    "a control opcode that nobody knows": (frame(0xB, b"x"), PROTOCOL_ERROR),
    "a frame without a mask": (struct.pack("!BB", FIN | TEXT, 2) + b"{}", PROTOCOL_ERROR),
    "a ping of 126 bytes": (frame(PING, bytes(126)), PROTOCOL_ERROR),
    "a ping in two pieces": (frame(PING, b"x", fin=False), PROTOCOL_ERROR),
    "a length of 2^63": (struct.pack("!BBQ", FIN | TEXT, 0x80 | 127, 2**63) + bytes(4), TOO_BIG),
    "a length of 2^62": (struct.pack("!BBQ", FIN | TEXT, 0x80 | 127, 2**62) + bytes(4), TOO_BIG),
    "a close of one byte": (frame(CLOSE, b"\x03"), PROTOCOL_ERROR),
    "a close with a code that none may send": (frame(CLOSE, struct.pack("!H", 1005)), PROTOCOL_ERROR),
    "a close with the code 0": (frame(CLOSE, struct.pack("!H", 0)), PROTOCOL_ERROR),
    "a close whose reason is not UTF-8": (frame(CLOSE, struct.pack("!H", 1000) + b"\xff"), INVALID_DATA),
    "a close within a text": (frame(TEXT, b"{", fin=False) + frame(CLOSE, struct.pack("!H", 1000)), PROTOCOL_ERROR),
    "a text that is not UTF-8": (frame(TEXT, b"\xff"), INVALID_DATA),
    "a surrogate in UTF-8": (frame(TEXT, b"\xed\xa0\x80"), INVALID_DATA),
    "a letter cut between two pieces": (frame(TEXT, b"\xc3", fin=False) + frame(CONT, b"\xa9"), INIT_REQUIRED),
    "half a letter": (frame(TEXT, b"\xc3"), INVALID_DATA),
    "an empty text": (frame(TEXT), INIT_REQUIRED),
    "an empty binary frame": (frame(BINARY), INIT_REQUIRED),
    "a pong that nobody asked for": (frame(PONG, b"x") + frame(TEXT, b"[]"), INIT_REQUIRED),
    "an honest close": (frame(CLOSE, struct.pack("!H", 1000)), 1000),
    "a close without a code": (frame(CLOSE), 1005),
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_frame_that_is_none_closes_with_its_code(attacked: Attacked, name: str) -> None:
    sent, code = FORBIDDEN[name]
    with attacked.open() as raw:
        raw.sendall(sent)
        assert receive_close(raw) == code


@pytest.mark.parametrize("name", FORBIDDEN)
def test_frames_before_the_handshake_is_answered_break_nothing(attacked: Attacked, name: str) -> None:
    """No client may send them. They are refused or ignored; the log tells of no crash (`attacked_server`)."""
    with attacked.open(then=FORBIDDEN[name][0]) as raw:
        raw.shutdown(1)
        with suppress(ConnectionError):
            while raw.recv(65536):
                pass


def test_frames_after_the_close_are_ignored(attacked: Attacked) -> None:
    with attacked.open() as raw:
        raw.sendall(frame(TEXT, b"[]"))
        assert receive_close(raw) == INIT_REQUIRED
        with suppress(ConnectionError):
            raw.sendall(frame(CONT, b"x") + frame(0x3) + frame(PING, bytes(126)) + b"\xff" * 100_000)


SMALL: dict[str, bytes] = {
    "pings": frame(PING),
    "pongs": frame(PONG),
    "pings with data": frame(PING, bytes(125)),
    "empty continuations": frame(CONT, fin=False),
    "continuations of one byte": frame(CONT, b"x", fin=False),
    "empty texts": frame(TEXT),
    "texts that are no JSON": frame(TEXT, b"{"),
    "formats": frame(TEXT, b'{"type":"audio.format","sample_rate":16000}'),
    "states": frame(TEXT, b'{"type":"agent.state","state":"listening"}'),
    "interrupts": frame(TEXT, b'{"type":"agent.interrupt"}'),
    "updates": frame(TEXT, b'{"type":"session.update","output":{"emotion":"happy"}}'),
    "speech of nothing": frame(TEXT, b'{"type":"agent.speak","audio":""}'),
    "the shortest speech": frame(TEXT, b'{"type":"agent.speak","audio":"AAA="}'),
    "empty sound": frame(BINARY),
}


@pytest.mark.parametrize("name", SMALL)
def test_a_flood_of_small_frames_slows_nobody_and_takes_no_memory(attacked: Attacked, name: str) -> None:
    """The client never reads. Whoever else asks is answered as ever."""
    before_mb = attacked.memory_mb
    longest_s = 0.0
    flood = SMALL[name] * 5000
    with attacked.attach(features=["binary", "state"]) as raw, httpx.Client(base_url=attacked.server.base_url) as http:
        if "continuation" in name:
            raw.sendall(frame(TEXT, b"x", fin=False))
        raw.settimeout(0.05)
        for _ in range(10 * SCALE):
            try:
                raw.sendall(flood)
            except TimeoutError:
                pass
            except ConnectionError:
                break
            began_s = time.monotonic()
            assert http.get("/healthz", timeout=20).status_code == 200
            longest_s = max(longest_s, time.monotonic() - began_s)
    assert attacked.memory_mb < before_mb + ALLOWED_MB
    print(f"\n{name}: an answer took up to {longest_s * 1000:.0f} ms", end="")
    assert not FULL or longest_s < LONGEST_WAIT_S


def test_a_message_in_very_many_pieces_is_refused(attacked: Attacked) -> None:
    """Each piece takes memory, also an empty one."""
    with attacked.attach() as raw:
        raw.sendall(frame(TEXT, b"{", fin=False))
        with suppress(ConnectionError):
            raw.sendall(frame(CONT, fin=False) * 40_000)
        assert receive_close(raw) == TOO_BIG


def test_a_message_in_honest_pieces_is_taken(attacked: Attacked) -> None:
    speech = json.dumps({"type": "agent.speak", "audio": "A" * 400_000}).encode()
    with attacked.attach() as raw:
        pieces = [speech[start : start + 1000] for start in range(0, len(speech), 1000)]
        raw.sendall(frame(TEXT, pieces[0], fin=False))
        for piece in pieces[1:-1]:
            raw.sendall(frame(CONT, piece, fin=False) + frame(PING, b"between"))
        raw.sendall(frame(CONT, pieces[-1]))
        while (received := receive_frame(raw))[0] == PONG:
            pass
        assert b"agent.speak.confirmed" in received[1], received
        raw.sendall(frame(TEXT, b'{"type":"agent.interrupt"}'))
        assert b"agent.interrupt.confirmed" in receive_frame(raw)[1]


def test_a_large_message_one_byte_at_a_time_is_taken(attacked: Attacked) -> None:
    init = frame(TEXT, attacked.init())
    with attacked.open() as raw:
        for byte in init:
            raw.sendall(bytes((byte,)))
        assert b"connection.established" in receive_frame(raw)[1]


def test_a_length_that_is_never_filled_keeps_nothing(attacked: Attacked) -> None:
    before_mb = attacked.memory_mb
    opened = [attacked.attach() for _ in range(4)]
    for raw in opened:
        with suppress(ConnectionError):
            raw.sendall(header(TEXT, 15_900_000) + bytes(8_000_000))
        raw.close()
    attacked.attach().close()
    assert attacked.memory_mb < before_mb + 2 * ALLOWED_MB
