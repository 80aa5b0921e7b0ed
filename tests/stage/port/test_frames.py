"""Frames: messages arrive whole and in order within a session, and overtaking ones wait for at most one piece."""

from __future__ import annotations

import random

import pytest

from visavis.errors import LinkBroken
from visavis.stage.port.frames import MAX_FRAME_BYTES, MAX_MESSAGE_BYTES, MAX_STREAMS, PIECE_BYTES, Inbox, Outbox


def drain(outbox: Outbox) -> list[bytes]:
    frames = []
    while (frame := outbox.next_frame()) is not None:
        frames.append(frame)
    return frames


def receive(frames: list[bytes]) -> list[bytes]:
    inbox = Inbox()
    return [body for frame in frames if (body := inbox.take(frame)) is not None]


SIZES = [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 10 * PIECE_BYTES + 7]


@pytest.mark.parametrize("size", [*SIZES, MAX_FRAME_BYTES - 5, MAX_FRAME_BYTES - 4, 3 * MAX_FRAME_BYTES + 7])
def test_a_message_arrives_unchanged(size: int) -> None:
    body = random.Random(size).randbytes(size)
    outbox = Outbox()
    outbox.add_in_order(body, session_id="a")
    count = outbox.add(body)
    frames = drain(outbox)
    assert receive(frames) == [body, body] and outbox.unsent_bytes == 0
    assert receive(frames[:count]) == [body], "it overtakes"
    assert max(len(frame) for frame in frames) <= MAX_FRAME_BYTES


def test_messages_that_overtake_keep_their_order_though_one_is_large() -> None:
    outbox = Outbox()
    outbox.add_in_order(bytes(2 * PIECE_BYTES), session_id="a")
    frames = [outbox.next_frame()]
    bodies = [b"before", bytes(MAX_FRAME_BYTES), b"after"]
    for body in bodies:
        outbox.add(body)
    assert receive([frame for frame in frames if frame] + drain(outbox)) == [*bodies, bytes(2 * PIECE_BYTES)]


def test_an_overtaking_message_waits_for_at_most_one_piece() -> None:
    outbox = Outbox()
    outbox.add_in_order(bytes(50 * PIECE_BYTES), session_id="a")
    frames = [outbox.next_frame() for _ in range(3)]
    outbox.add(b"interrupt")
    assert outbox.next_frame() == b"\0\0\0\0\0interrupt"
    rest = drain(outbox)
    assert len(rest) == 47 and receive([f for f in frames if f] + rest) == [bytes(50 * PIECE_BYTES)]


def test_long_speech_of_one_session_delays_another_by_at_most_one_piece() -> None:
    outbox = Outbox()
    outbox.add_in_order(bytes(50 * PIECE_BYTES), session_id="a")
    outbox.next_frame()
    for n in range(5):
        outbox.add_in_order(b"short %d" % n, session_id="b")
    firsts = [frame[5:12] for frame in drain(outbox)[:10]]
    assert firsts[1::2] == [b"short 0", b"short 1", b"short 2", b"short 3", b"short 4"]


def test_messages_of_one_session_keep_their_order() -> None:
    rng = random.Random(3)
    outbox = Outbox()
    sent: dict[str, list[bytes]] = {name: [] for name in "abc"}
    frames = []
    for n in range(200):
        name = rng.choice("abc")
        body = name.encode() + b"%d" % n + bytes(rng.choice((0, 100, 2 * PIECE_BYTES)))
        outbox.add_in_order(body, session_id=name)
        sent[name].append(body)
        frames += [frame for _ in range(rng.randrange(3)) if (frame := outbox.next_frame()) is not None]
    got = receive(frames + drain(outbox))
    assert {name: [body for body in got if body[:1] == name.encode()] for name in "abc"} == sent


@pytest.mark.parametrize("frame", [b"", b"\0\0\0\0", b"\3\0\0\0\1x", b"\xff\0\0\0\0"])
def test_a_frame_of_an_unknown_kind_breaks_the_link(frame: bytes) -> None:
    with pytest.raises(LinkBroken):
        Inbox().take(frame)


def test_the_size_and_number_of_incoming_messages_are_bounded() -> None:
    inbox = Inbox()
    piece = b"\1\0\0\0\1" + bytes(MAX_FRAME_BYTES - 5)
    with pytest.raises(LinkBroken):
        for _ in range(MAX_MESSAGE_BYTES // len(piece) + 2):
            inbox.take(piece)
    inbox = Inbox()
    with pytest.raises(LinkBroken):
        for number in range(MAX_STREAMS + 1):
            inbox.take(b"\1" + number.to_bytes(4, "big") + b"x")


def test_a_message_that_is_too_large_is_not_sent() -> None:
    with pytest.raises(LinkBroken):
        Outbox().add(bytes(MAX_MESSAGE_BYTES + 1))
    with pytest.raises(LinkBroken):
        Outbox().add_in_order(bytes(MAX_MESSAGE_BYTES + 1), session_id="a")
