"""How messages become frames, so that an interrupt never waits behind sound. Pure: no socket and no clock.

A message goes out whole, before all that waits; or, where its order within a session matters, in pieces of
PIECE_BYTES, and the sessions take turns piece by piece. What overtakes waits for one piece at most, and the speech of
one session delays the speech of another by one piece at most.

A frame is one byte for its kind, four bytes for the number of its stream (big-endian; 0 for a whole message), then the
body.
"""

from __future__ import annotations

from collections import deque
from itertools import count

from visavis.errors import LinkBroken

PIECE_BYTES = 32 * 1024
MAX_FRAME_BYTES = 1024 * 1024  # the largest whole message is an SDP offer of 64 KiB
MAX_MESSAGE_BYTES = 64 * 1024 * 1024  # 600 s of speech at 48 kHz in one call take 57.6 MB
MAX_STREAMS = 256  # messages that arrive in pieces at once: one for each session

_WHOLE, _PIECE, _LAST = 0, 1, 2
_HEADER_BYTES = 5


class Outbox:
    """Messages that wait to be sent. `unsent_bytes` counts all of them."""

    def __init__(self) -> None:
        self._overtaking: deque[bytes] = deque()
        self._in_order: dict[str, deque[tuple[int, memoryview]]] = {}  # by session, the one whose turn is next first
        self._numbers = count(1)
        self.unsent_bytes = 0

    def add(self, body: bytes) -> None:
        """Send `body` before everything that waits in order. Raises `LinkBroken` for one of over MAX_FRAME_BYTES."""
        if len(body) > MAX_FRAME_BYTES - _HEADER_BYTES:
            raise LinkBroken(f"A message of {len(body)} bytes is too large to go out whole")
        self._overtaking.append(_frame(_WHOLE, 0, body))
        self.unsent_bytes += len(body)

    def add_in_order(self, body: bytes, *, session_id: str) -> None:
        """Send `body` in pieces, behind all that was added in order for this session."""
        if len(body) > MAX_MESSAGE_BYTES:
            raise LinkBroken(f"A message of {len(body)} bytes is too large")
        self._in_order.setdefault(session_id, deque()).append((next(self._numbers) & 0xFFFFFFFF, memoryview(body)))
        self.unsent_bytes += len(body)

    def next_frame(self) -> bytes | None:
        """Take out the next frame, None where nothing waits."""
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
            self._in_order[session_id] = waiting  # behind the other sessions
        self.unsent_bytes -= len(piece)
        return _frame(_PIECE if rest else _LAST, number, piece)


class Inbox:
    """Puts the messages of the other end together again."""

    def __init__(self) -> None:
        self._streams: dict[int, bytearray] = {}

    def take(self, frame: bytes) -> bytes | None:
        """Return the message that this frame completes, None where more is to come. Raises `LinkBroken`."""
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
