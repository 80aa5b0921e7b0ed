"""A link over a real socket whose other end does not read."""

from __future__ import annotations

import asyncio
import random
import socket
from contextlib import suppress

import pytest

from visavis.stage.port.connection import StreamConnection
from visavis.stage.port.frames import MAX_FRAME_BYTES, PIECE_BYTES
from visavis.stage.port.link import Link
from visavis.stage.port.messages import TakeNote, decode_from_server
from visavis.stage.port.notes import KeptNote

pytestmark = pytest.mark.anyio
LOOP_TURNS = 20  # of the event loop: what needs no reader is done by then


@pytest.mark.parametrize("note_bytes", [10, 200, 5000, 40_000])
async def test_what_was_flushed_arrives_though_this_process_is_killed(note_bytes: int) -> None:
    """A conversation's note must be with the stage before its message is with the client. A stage that has much to do
    does not read, and the system takes no more of what the server sends.
    """
    ours, theirs = socket.socketpair()
    link = Link(StreamConnection(*await asyncio.open_connection(sock=ours)))
    writer = asyncio.create_task(link.run_writer())
    flushed = 0
    try:
        while True:
            note = KeptNote(number=flushed, note=bytes(note_bytes))
            link.send(TakeNote(session_id="s", note=note, forget_through=0))
            flushing = asyncio.create_task(link.flush())
            for _ in range(LOOP_TURNS):
                await asyncio.sleep(0)
            if not flushing.done():
                break
            flushed += 1
        # Nothing of ours runs between here and the end of the reading, as if this process had been killed.
        assert whole_frames(read_all(theirs)) >= flushed > 0
        await flushing  # the other end has read
    finally:
        writer.cancel()
        await link.aclose()
        theirs.close()


async def test_a_note_that_is_larger_than_a_frame_is_flushed_when_all_of_it_has_left() -> None:
    ours, theirs = socket.socketpair()
    sender = Link(StreamConnection(*await asyncio.open_connection(sock=ours)))
    receiver = Link(StreamConnection(*await asyncio.open_connection(sock=theirs, limit=PIECE_BYTES)))
    writer = asyncio.create_task(sender.run_writer())
    try:
        notes = [
            TakeNote(session_id="s", note=KeptNote(number=number, note=random.Random(number).randbytes(size)))
            for number, size in enumerate((10, 3 * MAX_FRAME_BYTES, 10))
        ]
        for note in notes:
            sender.send(note)
        flushing = asyncio.create_task(sender.flush())
        for note in notes[:2]:
            for _ in range(LOOP_TURNS):
                await asyncio.sleep(0)
            assert not flushing.done()
            assert decode_from_server(await receiver.receive() or b"") == note
        await flushing
        assert decode_from_server(await receiver.receive() or b"") == notes[2]
    finally:
        writer.cancel()
        await sender.aclose()
        await receiver.aclose()


def read_all(connected: socket.socket) -> bytes:
    connected.setblocking(False)
    received = bytearray()
    with suppress(BlockingIOError):
        while data := connected.recv(65_536):
            received += data
    return bytes(received)


def whole_frames(received: bytes) -> int:
    frames, at = 0, 0
    while at + 4 <= len(received) and (end := at + 4 + int.from_bytes(received[at : at + 4], "big")) <= len(received):
        frames, at = frames + 1, end
    return frames
