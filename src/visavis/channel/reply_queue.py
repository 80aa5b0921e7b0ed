"""The queue of replies to a client. A reply waits until all effects that began before it have their outcomes.

So confirmations and errors come in the order of the client's messages, and no playback event overtakes the confirmation
of the message that began its utterance.
"""

from __future__ import annotations

from collections import deque

from visavis.channel.actions import Action, Close, Effect, Reply, Send, SendAgain


class ReplyQueue:
    """Replies and pending effects, first in, first out. An effect keeps the place of its reply."""

    def __init__(self) -> None:
        self._actions: deque[Action] = deque()

    def add(self, action: Action) -> None:
        self._actions.append(action)

    def pop_effect(self) -> Effect:
        """Remove and return the oldest effect, whose outcome has come. No reply stands before it."""
        effect = self._actions.popleft()
        assert not isinstance(effect, Send | SendAgain | Close), effect
        return effect

    def pop_ready(self) -> list[Reply]:
        """Remove and return the replies before the first effect. A close empties the queue: nothing follows it."""
        ready: list[Reply] = []
        while self._actions and isinstance(action := self._actions[0], Send | Close):
            self._actions.popleft()
            ready.append(action)
            if isinstance(action, Close):
                self._actions.clear()
        return ready

    def drain(self) -> list[Send]:
        """Empty the queue and return its messages. Pending effects are dropped: nobody waits for their outcomes."""
        messages = [action for action in self._actions if isinstance(action, Send)]
        self._actions.clear()
        return messages
