"""`visavis render`: writes a film of an avatar that speaks a recording, or a text. It uses only the engine, and the
synthesiser for a text: no session, room or clock.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from visavis import signals
from visavis.engine.audio.files import Recording, mono_of, read_recording, speech_of
from visavis.engine.motion.frame import MOTION_RATE_HZ, MotionFrame, SpeechMotion
from visavis.engine.motion.liveliness import Cue, Liveliness
from visavis.engine.motion.mood import NEUTRAL, Mood
from visavis.engine.pack.avatar_pack import AvatarPack
from visavis.engine.pack.prepare import prepare_avatar
from visavis.engine.pack.version import FORMAT_VERSION
from visavis.engine.render.cpu import CpuRenderer
from visavis.engine.speech.phone_file import read_phone_file
from visavis.engine.speech.phones import Alphabet, TimedViseme
from visavis.engine.speech.port import SPEECH_RATE_HZ
from visavis.engine.speech.stream import SpeechStream
from visavis.engine.speech.timed import TimedSpeech
from visavis.errors import AvatarNotFound, InvalidRequest, SettingInvalid
from visavis.film import AAC_LAYOUTS, FilmWriter, SoundForm
from visavis.library import PORTRAITS
from visavis.library.prepared import PreparedLook
from visavis.settings import read_voice_settings
from visavis.voice.recording import record_text
from visavis.voice.sentences import check_breaks
from visavis.voice.voices import open_voices


def render_film(
    *,
    avatar: str,
    speech: Path,
    out: Path,
    width_px: int,
    height_px: int,
    fps: int,
    seed: int,
    pcm_rate_hz: int | None = None,
    phones: Path | None = None,
    alphabet: Alphabet = "arpabet",
    mood: Mood = NEUTRAL,
) -> None:
    """Write a film of `avatar` speaking the recording `speech` to `out` as MP4 (H.264, AAC), with a progress bar. The
    film's sound has the rate and the channels of the recording, if AAC supports them.

    `avatar`: see `load_avatar`. `pcm_rate_hz`: `speech` is raw PCM16 at this rate. `phones`: a file with the phones and
    their times (phone_file.py); without it the network recognises them. Video time 0 is audio time 0. Raises
    `ImageRefused` for a photo that cannot become an avatar, `AvatarNotFound`, `PackUnreadable`, `AudioUnreadable` and
    `PhonesUnreadable` for files that cannot be read, and `InvalidRequest` for a recording without sound.
    """
    recording, pcm = read_sound(speech, pcm_rate_hz)
    visemes = read_visemes(phones, alphabet, pcm)
    pack = load_avatar(avatar)
    samples, form = _film_sound(recording)
    motion = speech_motion(pcm, visemes)
    frame_count = -(-len(pcm) * fps // SPEECH_RATE_HZ)
    renderer = CpuRenderer(pack, width_px, height_px)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with (
        Progress(*columns) as progress,
        FilmWriter(out, width_px=width_px, height_px=height_px, ticks_hz=fps, sound=form) as film,
    ):
        film.write_sound(samples, recording.rate_hz)
        frames = motion_frames(motion, frame_count, fps, seed, mood)
        for n, frame in enumerate(progress.track(frames, total=frame_count, description=f"Rendering {out.name}")):
            film.write_picture(renderer.render(frame), at=n)


@contextmanager
def spoken_text(text: str, *, voice: str | None = None, language: str | None = None) -> Iterator[Path]:
    """Have the synthesiser that the settings name speak a text; yield the recording, which is deleted at the end.

    Raises `SettingInvalid` if they name none, and `VoiceFailed`.
    """
    settings = read_voice_settings()
    voices = open_voices(settings)
    if voices is None:
        raise SettingInvalid(
            "--text needs a speech synthesiser", suggestion="Set VISAVIS_VOICE_URL, or give a recording with --speech"
        )
    try:
        check_breaks(text)
    except ValueError as error:
        raise InvalidRequest(f"<break> {error}") from None

    async def record(path: Path) -> None:
        try:
            await record_text(text, path, voices, voice=voice, language=language)
        finally:
            await voices.aclose()

    with tempfile.TemporaryDirectory(prefix="visavis-") as folder:
        recording = Path(folder) / "text.wav"
        signals.run(record(recording))
        yield recording


def read_sound(speech: Path, pcm_rate_hz: int | None) -> tuple[Recording, NDArray[np.int16]]:
    """Read a recording; return it, and its speech as int16 (n,) at 16 kHz, n > 0. Raises `AudioUnreadable`, and
    `InvalidRequest` for a recording without sound.
    """
    recording = read_recording(speech, pcm_rate_hz=pcm_rate_hz)
    pcm = speech_of(recording)
    if not len(pcm):
        raise InvalidRequest(f"{speech} contains no sound")
    return recording, pcm


def _film_sound(recording: Recording) -> tuple[NDArray[np.int16], SoundForm]:
    """Return the sound of a film: the recording unchanged, or mono if a film cannot have so many channels."""
    if recording.channels not in AAC_LAYOUTS:
        recording = mono_of(recording)
    form = SoundForm.of(rate_hz=recording.rate_hz, layout=recording.layout, channels=recording.channels)
    return recording.samples, form


def load_avatar(avatar: str) -> AvatarPack:
    """Return the pack of `avatar`: the path of a photo, which is prepared now; the name of a portrait of the library;
    or the id of an avatar in the data folder.

    Raises `ImageRefused`, `AvatarNotFound`, `PackUnreadable`.
    """
    portrait = next((portrait for portrait in PORTRAITS if portrait.slug == avatar.lower()), None)
    photo = Path(avatar) if portrait is None else portrait.path
    if portrait is not None:
        prepared = PreparedLook.find(portrait.slug, photo.read_bytes(), pack_version=FORMAT_VERSION)
        if prepared is not None:
            return AvatarPack.load(prepared.folder)
    if photo.is_file():
        with tempfile.TemporaryDirectory(prefix="visavis-") as folder:
            pack_dir = Path(folder) / "pack"
            prepare_avatar(photo.read_bytes(), pack_dir)
            return AvatarPack.load(pack_dir)
    from visavis.avatars.packs import find_pack  # only for an id: the data folder belongs to the service
    from visavis.settings import read_settings

    pack_path = find_pack(avatar, read_settings())
    if pack_path is None:
        raise AvatarNotFound(
            f"There is no photo and no avatar '{avatar}'",
            suggestion="Give the path of a photo, a portrait of the library such as iris, or an avatar id from GET "
            "/v1/avatars together with the server's VISAVIS_DATA_DIR",
        )
    return AvatarPack.load(pack_path)


def read_visemes(phones: Path | None, alphabet: Alphabet, pcm: NDArray[np.int16]) -> tuple[TimedViseme, ...] | None:
    """Read the visemes from a file of phones; None without a file. `pcm`: the recording. Raises `PhonesUnreadable`."""
    return None if phones is None else read_phone_file(phones, alphabet, duration_ms=len(pcm) * 1000 / SPEECH_RATE_HZ)


def speech_motion(pcm: NDArray[np.int16], visemes: tuple[TimedViseme, ...] | None = None) -> SpeechMotion:
    """Return the motion of a whole recording, ceil(n / 160) rows. `pcm`: int16 (n,) at 16 kHz. `visemes`: those of the
    recording; without them the network recognises the phones.
    """
    stream = TimedSpeech(SpeechStream())
    if visemes is not None:
        stream.expect(visemes, start_sample=0, samples=len(pcm))
    return SpeechMotion.concatenate([stream.push(pcm), stream.finish()])


def motion_frames(
    motion: SpeechMotion, frame_count: int, fps: int, seed: int, mood: Mood = NEUTRAL
) -> Iterator[MotionFrame]:
    """Yield the motion frames 0, 1, …: frame n shows the motion at n / fps seconds."""
    liveliness = Liveliness(seed)
    for n in range(frame_count):
        step = n * MOTION_RATE_HZ // fps
        row = min(step, len(motion) - 1)
        cue = Cue(rest=float(motion.rest[row]), loudness=float(motion.loudness[row]), stress=float(motion.stress[row]))
        yield liveliness.frame(step, motion.mouth[row], cue, "speaking" if cue.rest < 0.5 else "idle", mood)
