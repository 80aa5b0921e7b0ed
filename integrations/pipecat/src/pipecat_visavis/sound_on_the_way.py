"""How far a transport is with the sound that it was given. Its process may be busy: it then fills the gap with silence,
and all that follows in the utterance is sent later. Pictures wait for it. Pure: the caller passes seconds.
"""

from __future__ import annotations

from collections import deque

# A transport keeps the last of the sound: until a chunk (of some 10 ms) is whole, and in its resampler. So a moment's
# sound is sent once that of a moment KEPT_S later was pushed, and all but KEPT_S of it was written.
KEPT_S = 0.06
# A transport writes 40 ms at once (`audio_out_10ms_chunks`), and tells when the last of it leaves. So it is so much
# further on average.
TOLD_LATE_S = 0.02
# So long after the last sound all of it is sent, whatever the counts say: they differ by what is kept, or filled up.
SENT_AFTER_S = 1.0


class SoundOnTheWay:
    def __init__(self) -> None:
        self._pushed_s = self._written_s = 0.0  # in all
        self._last_s = float("-inf")  # when sound was pushed last
        # how far sound of the room has come, by the room's clock, and how much had been pushed then
        self._marks: deque[tuple[float, float]] = deque(maxlen=100)

    def pushed(self, seconds: float, *, now_s: float) -> None:
        """So much sound goes to the transport."""
        if now_s >= self._last_s + SENT_AFTER_S:
            self.drop()
        self._pushed_s += seconds
        self._last_s = now_s

    def came(self, *, until_s: float) -> None:
        """Sound of the room has come, by the room's clock until then; what is speech of it was pushed."""
        self._marks.append((until_s, self._pushed_s))

    def written(self, seconds: float) -> None:
        """The transport has sent so much sound."""
        self._written_s += seconds

    def drop(self) -> None:
        """What was pushed is not sent any more, or all of it was."""
        self._pushed_s = self._written_s
        self._marks.clear()

    def is_sent(self, at_s: float, *, now_s: float) -> bool:
        """Whether the sound of a moment of the room's clock has come and was sent, if it was to be."""
        for until_s, pushed_s in self._marks:
            if until_s >= at_s + KEPT_S:
                return now_s >= self._last_s + SENT_AFTER_S or self._written_s + TOLD_LATE_S >= pushed_s - KEPT_S
        return False
