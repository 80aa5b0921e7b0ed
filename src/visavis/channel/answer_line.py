"""The line in which everything stands that is to be said to a client, behind the effects that are under way.

An effect stands where its answer will be: so confirmations and errors come in the order of their messages, and no
playback event overtakes the confirmation of the message that began its utterance.
"""

from __future__ import annotations

from collections import deque

from visavis.channel.steps import Close, Effect, Said, Send, Step


class AnswerLine:
    """First in, first out: what is said waits for the effects before it."""

    def __init__(self) -> None:
        self._steps: deque[Step] = deque()

    @property
    def under_way(self) -> int:
        """How many effects wait for their outcomes."""
        return sum(not isinstance(step, Send | Close) for step in self._steps)

    def add(self, step: Step) -> None:
        self._steps.append(step)

    def settle(self) -> Effect:
        """Take out the oldest effect, whose outcome has come; what was said before it has left already."""
        effect = self._steps.popleft()
        assert not isinstance(effect, Send | Close), effect
        return effect

    def sayable(self) -> list[Said]:
        """Take out what stands before the first effect, up to a close: nothing is said behind one."""
        said: list[Said] = []
        while self._steps and isinstance(step := self._steps[0], Send | Close):
            self._steps.popleft()
            said.append(step)
            if isinstance(step, Close):
                self._steps.clear()
        return said

    def cut(self) -> list[Send]:
        """Take out all messages that stand in line and drop the rest: nobody waits for the effects any more."""
        said = [step for step in self._steps if isinstance(step, Send)]
        self._steps.clear()
        return said
