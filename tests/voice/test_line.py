"""The line of one session on a virtual clock, with the real utterances of a stage: text and sound, in order, each id
with exactly one end.
"""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.faults.scale import some
from tests.stage.flashing_parts import LoudnessToMotion
from tests.virtual_clock import run_virtually
from tests.voice.speech_server import spoken
from visavis.errors import PerformerLost, QueueFull, VoiceFailed
from visavis.stage.performance import Performance
from visavis.stage.port.events import PlaybackFinished, PlaybackStarted
from visavis.stage.port.line import KeptLine, LineSoFar
from visavis.stage.port.messages import KeepLine
from visavis.stage.port.values import Speech, Spoken
from visavis.stage.timeline import BLOCK_SAMPLES, PLAYOUT_RATE_HZ
from visavis.voice.line import MAX_WAITING_BYTES, MAX_WAITING_CHARS, SpeechLine
from visavis.voice.port import Sound, TakeSound, TextPiece, Words
from visavis.voice.voices import Voices

RATE_HZ = 24_000
FADED_SAMPLES = PLAYOUT_RATE_HZ // 100  # an interrupt fades the sound within 10 ms


@dataclass
class Tones:
    """A synthesiser: each sentence is a tone, in pieces of 100 ms that come four times as fast as they play."""

    asked: list[Words] = field(default_factory=list)
    asked_at_s: list[float] = field(default_factory=list)
    fails_on: str = "\0"  # a sentence with this fails after its first piece
    passed_on: int = 0  # pieces

    async def synthesise(self, words: Words, take: TakeSound) -> None:
        self.asked.append(words)
        self.asked_at_s.append(asyncio.get_running_loop().time())
        pcm = spoken(words.text, rate_hz=RATE_HZ)
        for begin in range(0, len(pcm), RATE_HZ // 10):
            await asyncio.sleep(0.025)
            await take(Sound(pcm=pcm[begin : begin + RATE_HZ // 10].tobytes(), rate_hz=RATE_HZ))
            self.passed_on += 1
            if self.fails_on in words.text:
                raise VoiceFailed("the synthesiser answered 500")

    async def prepare(self) -> None: ...

    async def aclose(self) -> None: ...

    @property
    def texts(self) -> list[str]:
        return [words.text for words in self.asked]


@dataclass
class House:
    """A line, its synthesiser and a stage's performance, which plays in virtual time."""

    tones: Tones = field(default_factory=Tones)
    performance: Performance = field(default_factory=lambda: Performance(seed=1, open_speech=LoudnessToMotion))
    blocks: list[NDArray[np.int16]] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    ends: list[PlaybackFinished] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    pieces: list[Speech] = field(default_factory=list)
    refusals: list[Exception] = field(default_factory=list)  # of the next pieces of speech
    kept: KeptLine = field(default_factory=lambda: KeptLine(LineSoFar()))
    number: int = 0

    def __post_init__(self) -> None:
        self.open_line()

    def open_line(self) -> None:
        voices = Voices(self.tones, at_once=2, wait_s=5)
        self.line = SpeechLine(
            speak=self._speak,
            keep=self._keep,
            failed=lambda name, error: self.failures.append((name, error.code)),
            voices=voices,
        )

    async def _speak(self, speech: Speech) -> Spoken:
        await asyncio.sleep(0.001)  # the way to the stage and back
        if self.refusals:
            raise self.refusals.pop(0)
        self.pieces.append(speech)
        spoken = self.performance.speak(speech)
        if speech.line is not None:
            self.kept.advance(speech.line)
        return spoken

    async def _keep(self, keeping: KeepLine) -> Spoken:
        await asyncio.sleep(0.001)
        if keeping.waiting is not None:
            self.kept.add(keeping.waiting, message=keeping.message)
        if keeping.mark is not None:
            self.kept.advance(keeping.mark)
        return keeping.spoken

    async def play(self) -> None:
        while True:
            await asyncio.sleep(0.02)
            self.blocks.append(self.performance.next_block())
            for event in self.performance.events():
                if isinstance(event, PlaybackStarted):
                    self.started.append(event.utterance_id)
                elif isinstance(event, PlaybackFinished):
                    self.ends.append(event)

    def say(self, text: str, utterance_id: str | None = None, *, final: bool = True, number: int | None = None) -> str:
        if number is None:
            self.number += 1
        piece = TextPiece(text=text, number=number or self.number, utterance_id=utterance_id, final=final)
        return self.line.say(piece)

    async def speak(self, seconds: float, utterance_id: str | None = None, *, final: bool = True) -> Spoken:
        self.number += 1
        pcm = (3000 * np.ones(int(16_000 * seconds))).astype("<i2").tobytes()
        return await self.line.speak(
            Speech(pcm=pcm, sample_rate_hz=16_000, number=self.number, utterance_id=utterance_id, final=final)
        )

    def interrupt(self) -> None:
        self.number += 1
        self.line.interrupt(through=self.number)
        self.kept.interrupt(through=self.number)
        self.performance.interrupt(through=self.number)

    async def ended(self, *utterances: str) -> None:
        """Wait until these utterances, and no others, have ended, in this order."""
        while [end.utterance_id for end in self.ends] != list(utterances):
            await asyncio.sleep(0.02)
            assert len(self.ends) <= len(utterances), self.ends

    @property
    def sound(self) -> NDArray[np.int16]:
        return np.concatenate(self.blocks)


def in_house(
    scenario: Callable[[House], Awaitable[None]], run_line: Callable[[House], Awaitable[None]] | None = None
) -> House:
    """Run a scenario for at most ten virtual minutes. `run_line`: runs the line in another way."""

    async def run() -> House:
        house = House()

        async def run_the_line() -> None:
            await (house.line.run() if run_line is None else run_line(house))

        async with asyncio.timeout(600):
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(house.play()), tasks.create_task(run_the_line())]
                await scenario(house)
                await asyncio.sleep(2)
                for task in running:
                    task.cancel()
        return house

    return run_virtually(run)


def length_s(*texts: str) -> float:
    return sum(len(spoken(text)) for text in texts) / RATE_HZ


def test_text_is_one_utterance_of_all_its_sentences() -> None:
    async def scenario(house: House) -> None:
        house.say("Hello there. This is Ann.", "a")
        await house.ended("a")

    house = in_house(scenario)
    assert house.tones.texts == ["Hello there.", "This is Ann."] and house.started == ["a"]
    assert house.ends[0].position_s == pytest.approx(length_s("Hello there.", "This is Ann."), abs=0.002)
    assert not house.ends[0].interrupted and not house.failures and not house.line.busy


def test_the_second_sentence_is_synthesised_while_the_first_plays() -> None:
    async def scenario(house: House) -> None:
        house.say("This is the first sentence. This is the second one.", "a")
        await house.ended("a")

    house = in_house(scenario)
    assert house.tones.asked_at_s[1] < length_s(house.tones.texts[0])


def test_text_without_an_id_gets_one_of_its_own() -> None:
    async def scenario(house: House) -> None:
        names = [house.say("One."), house.say("Two.")]
        assert len(set(names)) == 2
        await house.ended(*names)

    in_house(scenario)


def test_text_and_sound_are_heard_in_the_order_in_which_they_came() -> None:
    async def scenario(house: House) -> None:
        await house.speak(0.3, "sound 1")
        house.say("Some words to say here.", "text 1")
        spoken_behind = await house.speak(0.3, "sound 2")
        assert spoken_behind.samples == 4800 and len(house.pieces) == 1
        house.say("More words.", "text 2")
        await house.speak(0.3, "sound 3")
        await house.ended("sound 1", "text 1", "sound 2", "text 2", "sound 3")

    house = in_house(scenario)
    assert house.started == ["sound 1", "text 1", "sound 2", "text 2", "sound 3"]
    expected = [0.3, length_s("Some words to say here."), 0.3, length_s("More words."), 0.3]
    assert [end.position_s for end in house.ends] == pytest.approx(expected, abs=0.002)


def test_sound_of_the_same_utterance_goes_on_after_its_text() -> None:
    async def scenario(house: House) -> None:
        house.say("Listen to this", "a", final=False)
        await house.speak(0.5, "a")
        await house.ended("a")

    house = in_house(scenario)
    assert house.ends[0].position_s == pytest.approx(length_s("Listen to this") + 0.5, abs=0.002)


@pytest.mark.parametrize("after_s", [0.0, 0.01, 0.03, 0.04, 0.3])
def test_after_an_interrupt_not_one_sample_comes_through(after_s: float) -> None:
    async def scenario(house: House) -> None:
        house.say("A long sentence that takes a while to say. Another one that nobody hears.", "a")
        await asyncio.sleep(after_s)
        house.interrupt()
        at, passed_on = len(house.blocks), house.tones.passed_on
        house.say("Late words of it.", "a")
        await asyncio.sleep(3)
        silent_from = at * BLOCK_SAMPLES + FADED_SAMPLES
        assert not house.sound[silent_from:].any()
        assert house.tones.passed_on <= passed_on + 1
        await house.ended("a")

    house = in_house(scenario)
    assert house.ends[0].interrupted and not house.failures


@pytest.mark.parametrize("after_s", [0.0, 0.03, 0.3])
def test_text_right_after_an_interrupt_is_heard_whole(after_s: float) -> None:
    async def scenario(house: House) -> None:
        house.say("A long sentence that takes a while to say.", "a")
        await house.speak(0.5, "b")
        await asyncio.sleep(after_s)
        house.interrupt()
        house.say("Yes?", "c")
        await house.ended("a", "b", "c")

    house = in_house(scenario)
    assert [end.interrupted for end in house.ends] == [True, True, False]
    assert house.ends[2].position_s == pytest.approx(length_s("Yes?"), abs=0.002)


def test_text_that_an_interrupt_has_overtaken_is_not_spoken() -> None:
    async def scenario(house: House) -> None:
        house.number = 7
        house.interrupt()
        house.say("Overtaken.", "a", number=3)
        await house.ended("a")

    house = in_house(scenario)
    assert house.ends[0].interrupted and not house.tones.texts and not house.started


def test_a_failure_is_told_once_and_the_next_text_is_heard() -> None:
    async def scenario(house: House) -> None:
        house.tones.fails_on = "bad"
        house.say("All is well. This goes bad at once. Nobody hears this.", "a")
        house.say("I am back.", "b")
        await house.ended("a", "b")

    house = in_house(scenario)
    assert house.failures == [("a", "VOICE_FAILED")]
    assert house.tones.texts == ["All is well.", "This goes bad at once.", "I am back."]
    assert house.ends[0].position_s == pytest.approx(length_s("All is well.") + 0.1, abs=0.002)
    assert house.ends[1].position_s == pytest.approx(length_s("I am back."), abs=0.002)


def test_text_that_still_comes_for_a_failed_utterance_is_dropped_until_its_end() -> None:
    async def scenario(house: House) -> None:
        house.tones.fails_on = "bad"
        house.say("This is bad. A", "a", final=False)
        await house.ended("a")
        house.say("nother one.", "a", final=False)
        house.say("The last.", "a", final=True)
        await asyncio.sleep(2)
        assert house.tones.texts == ["This is bad."] and len(house.failures) == 1
        house.say("Once more.", "a")
        await house.ended("a", "a")

    assert in_house(scenario).tones.texts == ["This is bad.", "Once more."]


def test_deltas_of_a_model_become_sentences() -> None:
    async def scenario(house: House) -> None:
        for delta in ("It co", "sts 3", ".", "50 doll", "ars. Dr", ". Brown **sa", "id** so", ". 👍"):
            house.say(delta, "a", final=False)
            await asyncio.sleep(0.2)
        house.say("", "a", final=True)
        await house.ended("a")

    assert in_house(scenario).tones.texts == ["It costs 3.50 dollars.", "Dr. Brown said so."]


def test_a_finished_sentence_does_not_wait_for_more_text() -> None:
    async def scenario(house: House) -> None:
        house.say("One moment please.", "a", final=False)
        await asyncio.sleep(1)
        assert house.tones.texts == ["One moment please."]
        house.say(" I am looking", "a", final=False)
        await asyncio.sleep(5)
        assert len(house.tones.texts) == 1  # half a sentence is not spoken
        house.say(" it up", "a", final=True)
        await house.ended("a")

    assert in_house(scenario).tones.texts == ["One moment please.", "I am looking it up"]


def test_another_utterance_ends_the_text_before_it() -> None:
    async def scenario(house: House) -> None:
        house.say("No end yet", "a", final=False)
        house.say("Next.", "b")
        await house.ended("a", "b")

    assert in_house(scenario).tones.texts == ["No end yet", "Next."]


def test_a_break_is_silence_of_its_length() -> None:
    async def scenario(house: House) -> None:
        house.say('One <break time="700ms"/> two', "a")
        await house.ended("a")

    assert in_house(scenario).ends[0].position_s == pytest.approx(length_s("One", "two") + 0.7, abs=0.003)


@pytest.mark.parametrize("text", ["", "😀", "---", "```code```"])
def test_text_without_words_ends_at_once(text: str) -> None:
    async def scenario(house: House) -> None:
        house.say(text, "a")
        await house.ended("a")

    house = in_house(scenario)
    assert house.ends[0].position_s == 0 and not house.tones.texts


def test_no_text_is_synthesised_far_ahead_of_what_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visavis.voice.line.AHEAD_S", 2.0)
    sentence = "This sentence takes a second to be said in full."

    async def scenario(house: House) -> None:
        house.say(" ".join([sentence] * 6), "a")
        await house.ended("a")

    house = in_house(scenario)
    for count, at_s in enumerate(house.tones.asked_at_s):
        assert count * length_s(sentence) - at_s <= 2.5
    assert house.ends[0].position_s == pytest.approx(6 * length_s(sentence), abs=0.01)


def test_a_full_queue_of_the_performer_is_waited_for() -> None:
    async def scenario(house: House) -> None:
        house.refusals = [QueueFull("full"), QueueFull("full")]
        house.say("Hello.", "a")
        await house.ended("a")

    assert in_house(scenario).ends[0].position_s == pytest.approx(length_s("Hello."), abs=0.002)


def test_a_lost_performer_ends_no_task() -> None:
    async def scenario(house: House) -> None:
        house.refusals = [PerformerLost("lost")] * 4
        house.say("Hello there.", "a")
        await asyncio.sleep(5)
        house.say("Hello.", "b")
        await house.ended("b")

    in_house(scenario)


def test_too_much_text_is_refused() -> None:
    async def scenario(house: House) -> None:
        house.say("x" * (MAX_WAITING_CHARS - 400), "a", final=False)
        with pytest.raises(QueueFull):
            house.say("y" * 500, "a", final=False)
        house.interrupt()
        house.say("Hello.", "b")
        await house.ended("a", "b")

    in_house(scenario)


def test_sound_behind_text_is_counted_and_bounded() -> None:
    async def scenario(house: House) -> None:
        house.say("Some words to say here.", "a")
        sizes = [3, 3, 4, 1]
        odd = [
            await house.line.speak(Speech(pcm=bytes(size), sample_rate_hz=16_000, number=9, utterance_id="b"))
            for size in sizes
        ]
        assert [one.samples for one in odd] == [1, 2, 2, 0]
        with pytest.raises(QueueFull):
            await house.line.speak(Speech(pcm=bytes(MAX_WAITING_BYTES), sample_rate_hz=16_000, number=9))
        house.number = 9
        await house.speak(0.2, "c")
        await house.ended("a", "b", "c")

    in_house(scenario)


@pytest.mark.parametrize("seed", range(4))
def test_each_utterance_has_exactly_one_end_whatever_happens(seed: int) -> None:
    chance = random.Random(seed)
    names: list[str] = []

    async def scenario(house: House) -> None:
        house.tones.fails_on = "seven"
        for place in range(30):
            name = f"u{place}"
            kind = chance.choice(["say", "say", "deltas", "speak", "interrupt", "wait"])
            if kind == "say":
                names.append(house.say(chance.choice(["Hello there. Bye.", "Is it seven? No.", "😀", "One."]), name))
            elif kind == "deltas":
                for delta in ("Well, ", "it is. ", chance.choice(["Yes", "No seven. Hm"]), ""):
                    house.say(delta, name, final=not delta)
                    await asyncio.sleep(chance.choice([0, 0.05, 0.4]))
                names.append(name)
            elif kind == "speak":
                names.append((await house.speak(chance.choice([0.02, 0.3]), name)).utterance_id)
            elif kind == "interrupt":
                house.interrupt()
            else:
                await asyncio.sleep(chance.choice([0.001, 0.03, 0.5, 2]))
        while house.line.busy or len(house.ends) < len(names):  # noqa: ASYNC110 (the time is virtual)
            await asyncio.sleep(0.1)

    house = in_house(scenario)
    assert sorted(end.utterance_id for end in house.ends) == sorted(names)


# --- the next server goes on


def go_on(house: House) -> None:
    """Another server takes the session over: its line knows what the stage has kept, and no more."""
    house.kept.forget_numbers()
    house.performance.forget_numbers()
    house.open_line()
    house.line.go_on(house.kept.so_far())
    house.number = 16_384  # an `Attachment` begins there


async def run_and_go_on(house: House, *instants_s: float) -> None:
    """Run the line, and let the next server go on after each of these times."""
    for instant_s in instants_s:
        running = asyncio.create_task(house.line.run())
        await asyncio.sleep(instant_s)
        running.cancel()
        await asyncio.wait([running])
        go_on(house)
    await house.line.run()


async def not_run(_: House) -> None: ...


async def run_until_ended(house: House, *utterances: str) -> None:
    running = asyncio.create_task(house.line.run())
    await house.ended(*utterances)
    running.cancel()


async def tell(house: House, *, ends: bool = True) -> None:
    """Text, sound behind it, and text in two messages."""
    text = "One is short. Two is a little longer than one. <break time='300ms'/> Three! And four ends the story."
    house.say(text, "text")
    await house.line.keep_waiting()
    await house.speak(0.5, "sound")
    house.say("More", "more", final=False)
    await house.line.keep_waiting()
    house.say(" of it. And an end.", "more", final=True)
    await house.line.keep_waiting()
    if ends:
        await house.ended("text", "sound", "more")


@functools.cache
def told() -> House:
    return in_house(tell)


@pytest.mark.parametrize("seed", some(range(12), 3))
def test_the_next_server_goes_on_with_a_line_whenever_one_is_killed(seed: int) -> None:
    drawn = random.Random(seed)
    instants_s = [drawn.uniform(0.005, 1.2) for _ in range(drawn.choice((1, 2, 5)))]
    whole, killed = told(), in_house(tell, lambda house: run_and_go_on(house, *instants_s))
    assert killed.ends == whole.ends and killed.started == whole.started
    assert b"".join(piece.pcm for piece in killed.pieces) == b"".join(piece.pcm for piece in whole.pieces)
    assert killed.kept.so_far().waiting == (), "all is done"


def test_what_an_interrupt_has_dropped_is_not_said_by_the_next_server_and_ends_once() -> None:
    async def scenario(house: House) -> None:
        await tell(house, ends=False)
        house.number += 1
        house.kept.interrupt(through=house.number)  # the stage has it; the server dies before its line does
        house.performance.interrupt(through=house.number)
        go_on(house)
        await run_until_ended(house, "text", "sound", "more")
        assert all(end.interrupted for end in house.ends) and house.tones.texts == []
        house.say("Late words.", "more")
        house.say("A new text.", "new")
        await run_until_ended(house, "text", "sound", "more", "new")
        assert house.tones.texts == ["A new text."]

    in_house(scenario, not_run)


def test_an_open_text_takes_more_after_a_kill_and_a_message_that_was_taken_is_not_taken_again() -> None:
    async def scenario(house: House) -> None:
        def said(text: str, message: int, *, final: bool = False) -> str:
            house.number += 1
            piece = TextPiece(text=text, number=house.number, utterance_id="u", final=final, message=message)
            return house.line.say(piece)

        said("It was ", 5)
        await house.line.keep_waiting()
        go_on(house)
        assert said("It was ", 5) == "u"
        said("good. ", 6)
        await house.line.keep_waiting()
        go_on(house)
        said("good. ", 6)
        said("Bye.", 7, final=True)
        await house.line.keep_waiting()
        await run_until_ended(house, "u")
        assert house.tones.texts == ["It was good.", "Bye."]

    in_house(scenario, not_run)


def test_a_server_that_speaks_no_text_tells_what_it_does_not_say() -> None:
    async def scenario(house: House) -> None:
        house.say("Nobody says this.", "u")
        await house.line.keep_waiting()
        go_on(house)
        house.line._voices = None
        await run_until_ended(house, "u")
        assert house.failures == [("u", "VOICE_FAILED")] and house.kept.so_far().waiting == ()

    in_house(scenario, not_run)


def test_a_message_of_sound_behind_text_is_taken_when_it_is_kept() -> None:
    """Not when it is spoken: then the stage has carried out later messages, and would take it for one of before."""

    async def scenario(house: House) -> None:
        house.say("First a text.", "text")
        sound = Speech(pcm=bytes(3200), sample_rate_hz=16_000, number=2, utterance_id="u", final=True, message=9)
        assert (await house.line.speak(sound)).samples == 1600
        assert house.kept.so_far().last_message == 9 and house.pieces == []
        await house.ended("text", "u")
        assert (house.pieces[-1].utterance_id, house.pieces[-1].message) == ("u", 0)

    in_house(scenario)
