"""What a stage keeps of a session for the next process of its server, beside the performance itself. Pure."""

from __future__ import annotations

from visavis.stage.port.events import PlaybackFinished
from visavis.stage.port.line import KeptLine, LineSoFar
from visavis.stage.port.messages import KeepLine, Open
from visavis.stage.port.notes import KeptNote, Notes
from visavis.stage.port.so_far import PerformanceSoFar
from visavis.stage.timeline import seconds


class KeptSession:
    """`memo`, `notes`: see `messages.Remember` and `messages.TakeNote`. `so_far`: what another stage has performed,
    until the session goes on with it; it was at `so_far.position` at `position_ns`. `line`: what waits to become
    speech.
    """

    def __init__(self, opening: Open, *, now_ns: int) -> None:
        self.memo, self.notes = opening.memo, Notes(opening.notes)
        self.so_far: PerformanceSoFar | None = opening.so_far
        self.line = KeptLine(LineSoFar() if opening.so_far is None else opening.so_far.line)
        self.position_ns = opening.position_ns or now_ns

    def keep_line(self, keeping: KeepLine) -> None:
        self.line.keep(keeping.waiting, keeping.mark, message=keeping.message)

    def remember(self, memo: bytes, notes: tuple[KeptNote, ...]) -> None:
        """Keep a memo and notes in place of those before."""
        self.memo, self.notes = memo, Notes(notes)

    def take_note(self, note: KeptNote, *, forget_through: int) -> None:
        self.notes.add(note, forget_through=forget_through)

    @property
    def waits(self) -> bool:
        """Whether the session comes from another stage and does not go on yet."""
        return self.so_far is not None

    def interrupt(self, *, through: int) -> list[PlaybackFinished]:
        """The server has dropped speech while the session waits. Return the ends of its utterances, which the server
        tells.
        """
        if self.so_far is None:
            return []
        dropped = [one for one in self.so_far.utterances if one.first_number <= through]
        self.so_far = self.so_far.interrupted(through=through)
        self.line.interrupt(through=through)
        return [
            PlaybackFinished(utterance_id=one.utterance_id, position_s=seconds(one.played_samples), interrupted=True)
            for one in dropped
        ]

    def take_so_far(self) -> PerformanceSoFar | None:
        """The session goes on: return what another stage has performed, if it waits with it."""
        so_far, self.so_far = self.so_far, None
        return so_far
