"""Conversations that outlive their connections, for clients with the feature "resume".

Both sides number their messages, the server in each message and the client by counting. Each side keeps what it has
sent until the other side has acknowledged it, and sends it again when the client has come back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import anyio

from visavis.channel.handed_conversation import Note, unpack
from visavis.channel.port import SessionEvent, SessionInit
from visavis.channel.protocol import ChannelProtocol
from visavis.errors import Overtaken
from visavis.stage.port.notes import KeptNote

RELEASE_WITHIN_S = 10.0  # how long a new connection waits until the old one has answered what it had taken
KEPT_S = 900.0  # how long a conversation without a connection is kept at most; its session may have ended


@dataclass(slots=True)
class Conversation:
    """One conversation. `free` is set while no connection uses it; then `left_s` is when the last one left. `asked`:
    how many connections have wanted to go on with it.
    """

    session_id: str
    protocol: ChannelProtocol
    free: anyio.Event = field(default_factory=anyio.Event)
    left_s: float = 0.0
    asked: int = 0


class Conversations:
    """The conversations that a client can resume, one for each session."""

    def __init__(self) -> None:
        self._by_session: dict[str, Conversation] = {}

    def start(self, session_id: str, protocol: ChannelProtocol) -> Conversation:
        """Begin the conversation of a session."""
        now_s = anyio.current_time()
        for name, old in list(self._by_session.items()):
            if old.free.is_set() and now_s - old.left_s > KEPT_S:
                del self._by_session[name]
        conversation = self._by_session[session_id] = Conversation(session_id, protocol)
        return conversation

    def release(self, conversation: Conversation) -> list[SessionEvent]:
        """A connection has left a conversation. If that cannot be resumed, it is forgotten: return what became of
        speech that its client has not been told.
        """
        conversation.left_s = anyio.current_time()
        conversation.free.set()
        is_current = self._by_session.get(conversation.session_id) is conversation
        if is_current and conversation.protocol.resumable:
            return []
        if is_current:
            del self._by_session[conversation.session_id]
        return conversation.protocol.sent.take_unsent_events()

    def end(self, session_id: str) -> list[SessionEvent]:
        """Forget the conversation of a session; return what became of speech that its client has not been told. A
        connection that still uses it may find more of it (`release`).
        """
        conversation = self._by_session.pop(session_id, None)
        return [] if conversation is None else conversation.protocol.sent.take_unsent_events()

    def hand_over(self, session_id: str) -> Note | None:
        """Return the last note about the conversation of a session for the next server. None if the session has no
        conversation that can be resumed, or a connection still uses it: then the next server knows enough by the notes
        before.
        """
        conversation = self._by_session.get(session_id)
        if conversation is None or not conversation.free.is_set() or not conversation.protocol.resumable:
            return None
        protocol = conversation.protocol
        return protocol.sent.note(protocol.mark(), after=protocol.sent.last_number)

    def take_over(self, session_id: str, beginning: bytes, notes: Sequence[KeptNote]) -> None:
        """Go on with the conversation of a session of an earlier server."""
        handed = unpack(beginning, notes) if beginning else None
        if handed is not None:
            self.release(self.start(session_id, ChannelProtocol.take_over(handed)))

    async def resume(self, init: SessionInit) -> Conversation | None:
        """Return the session's conversation, when no other connection uses it; None if it cannot go on after what the
        client has received. Raises `Overtaken` if the client has come again meanwhile: the newest one goes on.
        """
        conversation = self._by_session.get(init.session_id)
        if conversation is None or init.received is None:
            return None
        conversation.asked += 1
        asked = conversation.asked
        with anyio.move_on_after(RELEASE_WITHIN_S):
            await conversation.free.wait()
        if conversation.asked != asked:
            raise Overtaken
        if not conversation.free.is_set() or not conversation.protocol.can_resume(init):
            return None
        conversation.free = anyio.Event()
        return conversation
