"""The line of one session: its text and its sound, spoken in the order in which they came, and never over each other.

Text becomes sound sentence by sentence, and not far ahead of what is heard, so that an interrupt wastes little. Sound
that comes while text is in the line waits behind it; without text it passes straight through. An interrupt drops the
text before it: then the stage gets an empty late piece with the utterance's id, and tells its end (`Utterances`).

What waits is kept with the session's stage (`stage/port/line.py`): if this server is killed, the next one goes on.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio
import msgspec
import structlog

from visavis.errors import QueueFull, VisavisError, VoiceFailed
from visavis.stage.port.line import FIRST_NUMBER, LineMark, LineSoFar, Waiting
from visavis.stage.port.messages import KeepLine
from visavis.stage.port.values import Speech, Spoken
from visavis.voice.port import Sound, TextPiece, Words
from visavis.voice.sentences import Pause, Sentence, Sentences
from visavis.voice.voices import Voices
from visavis.voice.waiting import WaitingSound, WaitingText, pack, unpack

MAX_WAITING_CHARS = 64 * 1024  # of text
MAX_WAITING_BYTES = 8 * 1024 * 1024  # of sound behind text
MAX_WAITING = 4096  # texts and pieces of sound
AHEAD_S = 20.0  # sound that waits to be played; with more, the next sentence is not synthesised yet
IDLE_S = 0.3  # text that ends like a sentence is spoken when no more has come for this long
FULL_WAIT_S = 0.5
PAUSE_RATE_HZ = 24_000
KEPT_IDS = 8192  # of utterances that were interrupted or have failed, so that text that comes too late is dropped

LATE_NUMBER = 0  # of a piece that an interrupt has dropped

Speak = Callable[[Speech], Awaitable[Spoken]]
Keep = Callable[[KeepLine], Awaitable[Spoken]]
Failed = Callable[[str, VoiceFailed], None]
"""Told once of an utterance that ends because its text cannot be spoken: its id, and why."""

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True, eq=False)
class _Text:
    """The text of one utterance. `closed`: no more of it comes. `final`: the utterance ends with it. `place`: of its
    newest part in the line.
    """

    utterance_id: str
    number: int
    voice: str | None
    language: str | None
    sentences: Sentences
    place: int = 0
    closed: bool = False
    final: bool = False
    changed: anyio.Event = field(default_factory=anyio.Event)  # replaced before each wait

    def end_piece(self) -> Speech:
        """The piece that ends the utterance, or tells its end if it was interrupted."""
        return Speech(
            pcm=b"",
            sample_rate_hz=PAUSE_RATE_HZ,
            number=self.number,
            utterance_id=self.utterance_id,
            final=True,
            line=LineMark(through=self.place),
        )

    def waiting(self, text: str, *, begins: bool) -> Waiting:
        """Return some of the text as it is kept for the next server."""
        kept = WaitingText(
            utterance_id=self.utterance_id,
            text=text,
            begins=begins,
            final=self.final,
            voice=self.voice,
            language=self.language,
        )
        return Waiting(place=self.place, number=self.number, body=pack(kept))


class SpeechLine:
    """`speak`, `keep`: give the performer a piece of speech, and what it shall keep of the line. `voices`: None if this
    server speaks no text; then sound alone passes through. `run` speaks what is in the line until cancelled.
    """

    def __init__(self, *, speak: Speak, keep: Keep, failed: Failed, voices: Voices | None) -> None:
        self._speak, self._keep, self._failed, self._voices = speak, keep, failed, voices
        self._place = 0  # of the newest that has come into the line
        self._unkept: deque[KeepLine] = deque()  # what has come into the line since `keep_waiting`
        self._last_message = 0  # the highest number of a message that an earlier server has taken
        self._skip = 0  # so many samples of the next sentence were spoken by an earlier server
        self._waiting: deque[_Text | Speech] = deque()  # the first one is being spoken
        self._added = anyio.Event()  # replaced before each wait
        self._scope = anyio.CancelScope()  # of the text that is being spoken
        self._dropped_through = 0  # the highest number that an interrupt has dropped
        # Utterances whose further text is dropped, and whether they were interrupted; otherwise they have failed, and
        # their last text ends that.
        self._over: OrderedDict[str, bool] = OrderedDict()
        self._played_until_s = 0.0  # when the sound that waits will have been played
        self._sound_bytes = 0  # of the sound in the line
        self._odd: tuple[str | None, int] | None = None  # the utterance and rate of a sample that is cut in the line

    @property
    def busy(self) -> bool:
        """Whether text or sound waits in the line, or is being synthesised."""
        return bool(self._waiting)

    def go_on(self, so_far: LineSoFar) -> None:
        """Go on with the line of an earlier server. Called once, before `run`."""
        dropped: set[_Text] = set()
        for waiting in so_far.waiting:
            self._place = waiting.place
            match unpack(waiting.body):
                case WaitingSound(speech=speech):
                    number = LATE_NUMBER if waiting.dropped else FIRST_NUMBER
                    mark = LineMark(through=waiting.place)
                    self._waiting.append(msgspec.structs.replace(speech, number=number, line=mark))
                    self._sound_bytes += len(speech.pcm)
                case WaitingText() as part:
                    text = self._waiting[-1] if self._waiting and not part.begins else None
                    if not isinstance(text, _Text):
                        number = LATE_NUMBER if waiting.dropped else FIRST_NUMBER
                        text = _new_text(part, part.utterance_id, number=number)
                        self._waiting.append(text)
                    text.sentences.add(part.text)
                    text.place, text.final = waiting.place, part.final
                    if waiting.dropped:
                        dropped.add(text)
        for one in self._waiting:
            if isinstance(one, _Text):
                one.closed = one.final or one is not self._waiting[-1]
        for text in dropped:
            self._remember_over(text.utterance_id, interrupted=True)
        self._waiting = deque(one.end_piece() if one in dropped else one for one in self._waiting)
        self._last_message = so_far.last_message
        self._skip = so_far.spent if self._waiting and isinstance(self._waiting[0], _Text) else 0

    async def keep_waiting(self) -> None:
        """Return when the next server would find all that has come into the line. Raises what `Performer.keep_line`
        raises.
        """
        while self._unkept:
            await self._keep(self._unkept.popleft())

    def say(self, piece: TextPiece) -> str:
        """Queue text; return the id of its utterance. Text of an utterance that is over is dropped, and so is a message
        that an earlier server has taken. The caller calls `keep_waiting` next, at once.

        Raises `QueueFull`; then nothing is queued.
        """
        utterance_id = piece.utterance_id or f"say_{f'{piece.message:x}' if piece.message else secrets.token_hex(6)}"
        if 0 < piece.message <= self._last_message:
            return utterance_id
        if utterance_id in self._over:
            if piece.final and not self._over[utterance_id]:
                del self._over[utterance_id]
            return utterance_id
        waiting_chars = sum(len(one.sentences) for one in self._waiting if isinstance(one, _Text))
        if waiting_chars + len(piece.text) > MAX_WAITING_CHARS or len(self._waiting) >= MAX_WAITING:
            raise QueueFull(
                f"More than {MAX_WAITING_CHARS} characters of text would wait",
                suggestion="Send the rest when playback has caught up",
            )
        if piece.number <= self._dropped_through:
            dropped = _new_text(piece, utterance_id, number=piece.number)
            self._keep_next(dropped, piece, begins=True)
            self._drop(dropped)
            return utterance_id
        last = self._waiting[-1] if self._waiting else None
        text = last if isinstance(last, _Text) and not last.closed and last.utterance_id == utterance_id else None
        begins = text is None
        if text is None:
            self._close_last()
            text = _new_text(piece, utterance_id, number=piece.number)
            self._append(text)
        text.sentences.add(piece.text)
        text.closed = text.final = piece.final
        text.changed.set()
        self._keep_next(text, piece, begins=begins)
        return utterance_id

    def _keep_next(self, text: _Text, piece: TextPiece, *, begins: bool) -> None:
        """Note what the next server needs of text that has come into the line."""
        self._place = text.place = self._place + 1
        waiting = text.waiting(piece.text, begins=begins)
        spoken = Spoken(utterance_id=text.utterance_id, samples=0)
        self._unkept.append(KeepLine(waiting=waiting, message=piece.message, spoken=spoken))

    async def speak(self, speech: Speech) -> Spoken:
        """Speak a piece of sound after the text before it. Returns when it was taken: by the performer, or into the
        line.

        Raises `QueueFull` and what `Performer.speak` raises.
        """
        if not self._waiting or 0 < speech.message <= self._last_message:
            spoken = await self._speak(speech)
            self._played_until_s = anyio.current_time() + spoken.queued_s
            return spoken
        if self._sound_bytes + len(speech.pcm) > MAX_WAITING_BYTES or len(self._waiting) >= MAX_WAITING:
            raise QueueFull(
                f"More than {MAX_WAITING_BYTES // 2**20} MiB of sound would wait behind text",
                suggestion="Send the rest when playback has caught up",
            )
        self._close_last()
        self._place += 1
        # Its message is taken when it is kept: then later messages may be carried out before it is spoken.
        message, speech = speech.message, msgspec.structs.replace(speech, message=0)
        self._append(msgspec.structs.replace(speech, line=LineMark(through=self._place)))
        self._sound_bytes += len(speech.pcm)
        spoken = Spoken(
            utterance_id=speech.utterance_id or "", samples=self._complete_samples(speech), queued_s=self._queued_s()
        )
        waiting = Waiting(place=self._place, number=speech.number, body=pack(WaitingSound(speech=speech)))
        self._unkept.append(KeepLine(waiting=waiting, message=message, spoken=spoken))
        await self.keep_waiting()
        return spoken

    def interrupt(self, *, through: int) -> None:
        """Drop the text up to the piece with the number `through`. The caller interrupts the performer after this,
        which drops the sound.
        """
        self._dropped_through = max(self._dropped_through, through)
        texts = [one for one in self._waiting if isinstance(one, _Text) and one.number <= through]
        if texts and texts[0] is self._waiting[0]:
            self._scope.cancel()
            self._skip = 0
        self._waiting = deque(one.end_piece() if one in texts else one for one in self._waiting)
        for text in texts:
            self._remember_over(text.utterance_id, interrupted=True)
        self._played_until_s = 0.0

    async def run(self) -> None:
        while True:
            while not self._waiting:
                self._added = anyio.Event()
                await self._added.wait()
            first = self._waiting[0]
            if isinstance(first, _Text):
                with anyio.CancelScope() as self._scope:
                    await self._say(first)
            else:
                await self._give(first)
                self._sound_bytes -= len(first.pcm)
            if self._waiting[0] is first:  # if not, an interrupt has put the end of the utterance there
                self._waiting.popleft()

    def _append(self, one: _Text | Speech) -> None:
        self._waiting.append(one)
        self._added.set()

    def _close_last(self) -> None:
        """Something else follows the text at the end of the line."""
        last = self._waiting[-1] if self._waiting else None
        if isinstance(last, _Text) and not last.closed:
            last.closed = True
            last.changed.set()

    def _drop(self, text: _Text) -> None:
        """An interrupt was quicker than its text: tell the end of its utterance in its turn."""
        self._remember_over(text.utterance_id, interrupted=True)
        self._append(text.end_piece())

    def _remember_over(self, utterance_id: str, *, interrupted: bool) -> None:
        self._over[utterance_id] = interrupted
        if len(self._over) > KEPT_IDS:
            self._over.popitem(last=False)

    def _complete_samples(self, speech: Speech) -> int:
        """Return how many samples become complete with a piece that waits, see `Spoken`."""
        source = (speech.utterance_id, speech.sample_rate_hz)
        size_bytes = len(speech.pcm) + (self._odd == source)
        self._odd = source if size_bytes % 2 and not speech.final else None
        return size_bytes // 2

    async def _say(self, text: _Text) -> None:
        """Speak a text to its end."""
        try:
            while True:
                changed = text.changed = anyio.Event()
                piece = text.sentences.take(complete=text.closed)
                if piece is None:
                    if text.closed:
                        break
                    with anyio.move_on_after(IDLE_S) as idle:
                        await changed.wait()
                    if not idle.cancelled_caught:
                        continue
                    if not text.sentences.may_end_here():
                        await changed.wait()
                        continue
                    piece = text.sentences.take(complete=True)
                if piece is not None:
                    await self._wait_for_playback()
                    await self._say_one(text, piece)
                    rest = text.waiting(text.sentences.rest, begins=True)
                    await self._note(LineMark(through=text.place, rest=rest))
        except VoiceFailed as error:
            log.warning("text_not_spoken", utterance_id=text.utterance_id, code=error.code, problem=error.message)
            if not text.closed:
                self._remember_over(text.utterance_id, interrupted=False)
            self._failed(text.utterance_id, error)
            text.final = True
        if text.final:
            await self._give(text.end_piece())
        else:
            await self._note(LineMark(through=text.place))

    async def _note(self, mark: LineMark) -> None:
        """Have the performer forget what is done."""
        try:
            await self._keep(KeepLine(mark=mark))
        except VisavisError as error:  # the session ends
            log.info("line_not_kept", problem=error.message)

    async def _say_one(self, text: _Text, piece: Sentence | Pause) -> None:
        spent, self._skip = self._skip, 0
        skip = spent

        async def take(sound: Sound) -> None:
            nonlocal spent, skip
            skipped = min(skip, len(sound.pcm) // 2)
            skip -= skipped
            sound = sound.after(skipped)
            spent += len(sound.pcm) // 2
            if sound.pcm:
                await self._give(
                    Speech(
                        pcm=sound.pcm,
                        sample_rate_hz=sound.rate_hz,
                        number=text.number,
                        utterance_id=text.utterance_id,
                        visemes=sound.visemes,
                        line=LineMark(spent=spent),
                    )
                )

        if isinstance(piece, Pause):
            silence = bytes(2 * int(piece.seconds * PAUSE_RATE_HZ))
            if silence:
                await take(Sound(pcm=silence, rate_hz=PAUSE_RATE_HZ))
            return
        if self._voices is None:  # an earlier server has taken the text
            raise VoiceFailed("this server speaks no text")
        words = self._voices.words_of(piece.text)
        if words:
            await self._voices.synthesise(Words(text=words, voice=text.voice, language=text.language), take)

    async def _wait_for_playback(self) -> None:
        """Wait while much sound waits to be played."""
        await anyio.sleep(max(0.0, self._queued_s() - AHEAD_S))

    async def _give(self, speech: Speech) -> None:
        """Give a piece to the performer. While its queue is full, wait. Other refusals mean that the session ends."""
        while True:
            try:
                spoken = await self._speak(speech)
            except QueueFull:
                await anyio.sleep(FULL_WAIT_S)
                continue
            except VisavisError as error:
                log.info("speech_not_taken", problem=error.message)
                return
            self._played_until_s = anyio.current_time() + spoken.queued_s
            return

    def _queued_s(self) -> float:
        return max(0.0, self._played_until_s - anyio.current_time())


def _new_text(piece: TextPiece | WaitingText, utterance_id: str, *, number: int) -> _Text:
    return _Text(
        utterance_id=utterance_id,
        number=number,
        voice=piece.voice,
        language=piece.language,
        sentences=Sentences(piece.language),
    )
