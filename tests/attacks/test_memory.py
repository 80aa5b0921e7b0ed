"""Memory that a channel takes: little before a session is attached, and none that stays when a client has gone."""

from __future__ import annotations

import json
import socket

from tests.attacks.raw_websocket import (
    PING,
    TEXT,
    Attacked,
    frame,
    header,
    receive_close,
    receive_frame,
)
from tests.attacks.scale import SCALE

ALLOWED_MB = 40.0
LARGE_BYTES = 15_900_000


def push(raw: socket.socket, data: bytes) -> bool:
    """Send, and return whether the other end took it all."""
    try:
        raw.sendall(data)
    except OSError:
        return False
    return True


def settled_mb(attacked: Attacked) -> float:
    """Return the memory once the server has seen that we left: after round trips on connections of their own."""
    for _ in range(20):
        attacked.open().close()
    return attacked.memory_mb


def test_a_message_before_the_session_is_small(attacked: Attacked) -> None:
    raw = attacked.open()
    push(raw, header(TEXT, LARGE_BYTES) + b"{" + b" " * 200_000)
    assert receive_close(raw) == 1009
    raw.close()


def test_unfinished_messages_without_a_session_take_no_memory(attacked: Attacked) -> None:
    before_mb = settled_mb(attacked)
    for _ in range(40 * SCALE):
        raw = attacked.open()
        push(raw, header(TEXT, LARGE_BYTES) + bytes(1_000_000))
        raw.close()
    assert settled_mb(attacked) < before_mb + ALLOWED_MB


def test_many_sockets_without_a_key_take_little_memory(attacked: Attacked) -> None:
    before_mb = settled_mb(attacked)
    sockets = [attacked.open() for _ in range(40 * SCALE)]
    for raw in sockets:
        push(raw, header(TEXT, LARGE_BYTES) + bytes(60_000))
    assert attacked.memory_mb < before_mb + ALLOWED_MB
    for raw in sockets:
        raw.close()


def test_unfinished_messages_of_an_attached_channel_give_their_memory_back(attacked: Attacked) -> None:
    attacked.attach().close()
    before_mb = settled_mb(attacked)
    for _ in range(8 * SCALE):
        raw = attacked.attach()
        push(raw, header(TEXT, LARGE_BYTES) + bytes(LARGE_BYTES - 1000))
        raw.close()
    assert settled_mb(attacked) < before_mb + 2 * ALLOWED_MB


def test_pings_that_nobody_reads_the_answers_of_take_little_memory(attacked: Attacked) -> None:
    before_mb = settled_mb(attacked)
    ping = frame(PING, bytes(125)) * 1000
    sockets = [attacked.open() for _ in range(20)]
    for raw in sockets:
        raw.settimeout(0.2)
        for _ in range(60 * SCALE):
            if not push(raw, ping):
                break
    assert attacked.memory_mb < before_mb + ALLOWED_MB
    for raw in sockets:
        raw.close()


def test_speech_may_follow_the_init_without_waiting_for_its_answer(attacked: Attacked) -> None:
    """What the limit must not break: a client that sends a large message right behind `session.init`."""
    speech = json.dumps({"type": "agent.speak", "audio": "A" * 4_000_000}).encode()
    with attacked.open() as raw:
        raw.sendall(frame(TEXT, attacked.init()) + frame(TEXT, speech) + frame(TEXT, b'{"type":"agent.interrupt"}'))
        types = [json.loads(receive_frame(raw)[1])["type"] for _ in range(3)]
    assert types[0] == "connection.established"
    assert sorted(types[1:]) == ["agent.interrupt.confirmed", "agent.speak.confirmed"]
