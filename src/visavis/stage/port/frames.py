"""Turns messages into frames and back, so that an interrupt never waits behind sound. Pure: no socket and no clock.

Messages of a session that must stay in order are sent in pieces of PIECE_BYTES; the sessions take turns, piece by
piece. All other messages are sent whole, before these pieces. So an overtaking message waits for at most one piece, and
the speech of one session delays that of another by at most one piece per turn. An overtaking message that is larger
than a frame, which is rare, is sent in pieces, too, with nothing between them.

A frame is one byte for its kind, four bytes for the number of its stream (big-endian; 0 for a whole message), and the
body.
"""

from __future__ import annotations

from collections import deque
from itertools import count

from visavis.errors import LinkBroken

PIECE_BYTES = 32 * 1024
MAX_FRAME_BYTES = 1024 * 1024  # of whole messages only notes of a conversation are larger, and those seldom
MAX_MESSAGE_BYTES = 64 * 1024 * 1024  # 600 s of speech at 48 kHz in one call take 57.6 MB
MAX_STREAMS = 256  # messages that arrive in pieces at the same time: one for each session

_WHOLE, _PIECE, _LAST = 0, 1, 2
_HEADER_BYTES = 5


class Outbox:
    """The messages that wait to be sent. `unsent_bytes`: the size of all of them."""

    def __init__(self) -> None:
        self._overtaking: deque[bytes] = deque()
        self._in_order: dict[str, deque[tuple[int, memoryview]]] = {}  # by session; the first one has the next turn
        self._numbers = count(1)
        self.unsent_bytes = 0

    def add(self, body: bytes) -> int:
        """Add a message that overtakes those in order; return how many frames it is. Raises `LinkBroken` for
        one of more than MAX_MESSAGE_BYTES.
        """
        if len(body) > MAX_MESSAGE_BYTES:
            raise LinkBroken(f"A message of {len(body)} bytes is too large")
        self.unsent_bytes += len(body)
        if len(body) <= MAX_FRAME_BYTES - _HEADER_BYTES:
            self._overtaking.append(_frame(_WHOLE, 0, body))
            return 1
        number, whole = next(self._numbers) & 0xFFFFFFFF, memoryview(body)
        pieces = [whole[at : at + PIECE_BYTES] for at in range(0, len(body), PIECE_BYTES)]
        self._overtaking += (_frame(_PIECE, number, piece) for piece in pieces[:-1])
        self._overtaking.append(_frame(_LAST, number, pieces[-1]))
        return len(pieces)

    def add_in_order(self, body: bytes, *, session_id: str) -> None:
        """Add a message that is sent in pieces, after the session's earlier ones. Raises `LinkBroken` for one of
        more than MAX_MESSAGE_BYTES.
        """
        if len(body) > MAX_MESSAGE_BYTES:
            raise LinkBroken(f"A message of {len(body)} bytes is too large")
        self._in_order.setdefault(session_id, deque()).append((next(self._numbers) & 0xFFFFFFFF, memoryview(body)))
        self.unsent_bytes += len(body)

    @property
    def first_overtaking(self) -> bytes | None:
        """The next frame if it overtakes messages in order, None otherwise."""
        return self._overtaking[0] if self._overtaking else None

    def next_frame(self) -> bytes | None:
        """Remove and return the next frame, None if nothing waits."""
        if self._overtaking:
            frame = self._overtaking.popleft()
            self.unsent_bytes -= len(frame) - _HEADER_BYTES
            return frame
        if not self._in_order:
            return None
        session_id = next(iter(self._in_order))
        waiting = self._in_order.pop(session_id)
        number, body = waiting.popleft()
        piece, rest = body[:PIECE_BYTES], body[PIECE_BYTES:]
        if rest:
            waiting.appendleft((number, rest))
        if waiting:
            self._in_order[session_id] = waiting  # after the other sessions
        self.unsent_bytes -= len(piece)
        return _frame(_PIECE if rest else _LAST, number, piece)


class Inbox:
    """Assembles the messages of the other end from their frames."""

    def __init__(self) -> None:
        self._streams: dict[int, bytearray] = {}

    def take(self, frame: bytes) -> bytes | None:
        """Return the message that this frame completes, None if it completes none. Raises `LinkBroken`."""
        if len(frame) < _HEADER_BYTES:
            raise LinkBroken("A frame without a header")
        kind, number = frame[0], int.from_bytes(frame[1:_HEADER_BYTES], "big")
        if kind == _WHOLE:
            return frame[_HEADER_BYTES:]
        if kind not in (_PIECE, _LAST):
            raise LinkBroken(f"A frame of the unknown kind {kind}")
        if kind == _LAST and number not in self._streams:
            return frame[_HEADER_BYTES:]
        if number not in self._streams and len(self._streams) >= MAX_STREAMS:
            raise LinkBroken(f"More than {MAX_STREAMS} messages arrive in pieces")
        body = self._streams.setdefault(number, bytearray())
        body += memoryview(frame)[_HEADER_BYTES:]
        if len(body) > MAX_MESSAGE_BYTES:
            raise LinkBroken(f"A message of more than {MAX_MESSAGE_BYTES} bytes")
        if kind == _PIECE:
            return None
        return bytes(self._streams.pop(number))


def _frame(kind: int, number: int, body: bytes | memoryview) -> bytes:
    return b"".join((bytes((kind,)), number.to_bytes(4, "big"), body))
