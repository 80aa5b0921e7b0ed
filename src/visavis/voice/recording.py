"""Speaks a whole text into a WAV file, for a film (`visavis render --text`)."""

from __future__ import annotations

import wave
from pathlib import Path

from visavis.errors import VoiceFailed
from visavis.voice.port import Sound, Words
from visavis.voice.sentences import Pause, Sentences
from visavis.voice.voices import Voices


async def record_text(
    text: str, path: Path, voices: Voices, *, voice: str | None = None, language: str | None = None
) -> None:
    """Write the sound of a text to `path`. Raises `VoiceFailed`."""
    sentences = Sentences(language)
    sentences.add(text)
    sounds: list[Sound] = []
    pauses_s: list[tuple[int, float]] = []  # before which sound, and how long

    async def take(sound: Sound) -> None:
        if sounds and sound.rate_hz != sounds[0].rate_hz:
            raise VoiceFailed("the synthesiser changes its rate from sentence to sentence")
        sounds.append(sound)

    while (piece := sentences.take(complete=True)) is not None:
        if isinstance(piece, Pause):
            pauses_s.append((len(sounds), piece.seconds))
        elif words := voices.words_of(piece.text):
            await voices.synthesise(Words(text=words, voice=voice, language=language), take)
    if not sounds:
        raise VoiceFailed("the text has no words")
    _write(path, sounds, pauses_s)


def _write(path: Path, sounds: list[Sound], pauses_s: list[tuple[int, float]]) -> None:
    rate_hz = sounds[0].rate_hz
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        for place in range(len(sounds) + 1):
            for _, seconds in (pause for pause in pauses_s if pause[0] == place):
                file.writeframes(bytes(2 * int(seconds * rate_hz)))
            if place < len(sounds):
                file.writeframes(sounds[place].pcm)
