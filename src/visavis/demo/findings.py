"""The findings of a run: its figures, and whether a face moved, a voice was heard, and the interruption took effect.

measure.py explains how they are measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visavis.demo import measure
from visavis.demo.reception import Sound
from visavis.demo.session_run import AFTERMATH_S, IDLE_S, SIZE_PX, Run
from visavis.engine.motion.frame import SpeechMotion
from visavis.engine.speech.stream import SpeechStream
from visavis.errors import DemoFailed
from visavis.film import SOUND_RATE_HZ
from visavis.rooms.watch import ReceivedPicture

LEAST_SOUND_LIKENESS = 0.5
LEAST_LIPS_LIKENESS = 0.3
LEAST_MOVEMENT = 2.0  # speaking must change the mouth's region at least this many times as much as silence
FLUSHED_WITHIN_S = 1.0  # far above the aim: the figure is printed; beyond this the interruption counts as a fault
REST_SHARE = 0.3  # of the difference between the resting and the speaking mouth: below it, a mouth is at rest
LEAST_PICTURES, LEAST_PICTURES_AT_REST = 25, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The figures of one run."""

    start_to_first_picture_s: float
    speech_to_sound_s: float
    speech_to_lips_s: float
    av_offset_s: float  # positive: the lips come after the sound
    sound_likeness: float
    lips_likeness: float
    interrupt_to_confirmed_s: float
    interrupt_to_silence_s: float
    interrupt_to_rest_s: float
    fps: float
    pictures: int
    freezes_s: list[float]
    size_px: tuple[int, int]
    mouth_moved: float  # the movement while speaking, divided by that at rest


def find(run: Run) -> Findings:
    """Measure a run. Raises `DemoFailed` if no face moved, no sound arrived, or the interruption had no effect."""
    pictures = run.reception.pictures_of_size(*SIZE_PX)
    sound = run.reception.sound()
    if len(pictures) < LEAST_PICTURES:
        raise DemoFailed(f"Only {len(pictures)} pictures reached the viewer")
    if sound is None:
        raise DemoFailed("No sound reached the viewer")
    arrivals_s = np.array([seen.arrived_s for seen in pictures])
    times_s = np.array([seen.media_time_s for seen in pictures])

    heard = _voice(run, sound)
    distance, still, spoken = _mouth(run, pictures, arrivals_s)
    voice_begins_s = sound.begins_s + heard.seconds
    expected = measure.expected_distance(_motion(run))
    lips = measure.lips_lag(times_s, distance, expected, around_s=voice_begins_s)
    if lips.likeness < LEAST_LIPS_LIKENESS:
        raise DemoFailed(f"The lips do not follow the speech (likeness {lips.likeness:.2f})")
    silence_s, rest_s = _flush(run, sound, distance, arrivals_s, REST_SHARE * (spoken - still))
    during = arrivals_s[(arrivals_s >= run.spoken_s) & (arrivals_s <= run.finished_s)]
    first_lips = int(np.searchsorted(times_s, lips.seconds))
    return Findings(
        start_to_first_picture_s=run.first_picture_s - run.start_sent_s,
        speech_to_sound_s=float(sound.arrived_s[min(round(heard.seconds * SOUND_RATE_HZ), len(sound.arrived_s) - 1)])
        - run.spoken_s,
        speech_to_lips_s=float(arrivals_s[min(first_lips, len(arrivals_s) - 1)]) - run.spoken_s,
        av_offset_s=lips.seconds - voice_begins_s,
        sound_likeness=heard.likeness,
        lips_likeness=lips.likeness,
        interrupt_to_confirmed_s=run.interrupt_confirmed_s - run.interrupted_s,
        interrupt_to_silence_s=silence_s,
        interrupt_to_rest_s=rest_s,
        fps=(len(during) - 1) / (during[-1] - during[0]) if len(during) > 1 else 0.0,
        pictures=len(pictures),
        freezes_s=measure.freezes(arrivals_s),
        size_px=SIZE_PX,
        mouth_moved=spoken / still,
    )


def _motion(run: Run) -> SpeechMotion:
    assert run.speech.rate_hz == measure.SPEECH_RATE_HZ
    stream = SpeechStream()
    return SpeechMotion.concatenate([stream.push(run.speech.samples), stream.finish()])


def _voice(run: Run, sound: Sound) -> measure.Lag:
    """Find the sample in the sound from before the second speech. Raises `DemoFailed` if it is not there."""
    until = int(np.searchsorted(sound.arrived_s, run.spoken_again_s))
    from_ = int(np.searchsorted(sound.arrived_s, run.spoken_s))
    at_speech_rate = run.speech.samples.astype(np.float32) / 32_768
    ratio = SOUND_RATE_HZ // run.speech.rate_hz
    positions = np.arange(len(at_speech_rate) * ratio) / ratio
    sent = np.interp(positions, np.arange(len(at_speech_rate)), at_speech_rate).astype(np.float32)
    lag = measure.sound_lag(sound.samples[from_:until], sent, SOUND_RATE_HZ)
    if lag.likeness < LEAST_SOUND_LIKENESS:
        loudest = float(np.abs(sound.samples[from_:until]).max(initial=0.0))
        raise DemoFailed(f"The speech was not heard (likeness {lag.likeness:.2f}, peak {loudest:.3f} of full scale)")
    return measure.Lag(seconds=lag.seconds + from_ / SOUND_RATE_HZ, likeness=lag.likeness)


def _mouth(
    run: Run, pictures: list[ReceivedPicture], arrivals_s: NDArray[np.float64]
) -> tuple[NDArray[np.float32], float, float]:
    """Return (the distance of each picture's mouth from the resting mouth, its usual value at rest, and while
    speaking).

    Raises `DemoFailed`.
    """
    grey = np.stack([_grey(seen) for seen in pictures])
    resting = slice(
        int(np.searchsorted(arrivals_s, run.spoken_s - IDLE_S * 0.9)), int(np.searchsorted(arrivals_s, run.spoken_s))
    )
    if resting.stop - resting.start < LEAST_PICTURES_AT_REST:
        raise DemoFailed(
            f"Only {resting.stop - resting.start} pictures reached the viewer in the {IDLE_S:.0f} s before the speech"
        )
    face = measure.find_face(grey[(resting.start + resting.stop) // 2])
    if face is None:
        raise DemoFailed("There is no face in the picture")
    distance = measure.mouth_distance(grey, resting, face)
    speaking = distance[(arrivals_s > run.spoken_s + 0.5) & (arrivals_s < run.finished_s - 0.3)]
    still, spoken = (
        max(0.1, float(np.median(distance[resting]))),
        float(np.percentile(speaking, 75)) if len(speaking) else 0.0,
    )
    if spoken < LEAST_MOVEMENT * still:
        raise DemoFailed(
            f"The face did not move: speaking changes the mouth by {spoken:.2f} grey levels, resting by {still:.2f}"
        )
    return distance, still, spoken


def _flush(
    run: Run, sound: Sound, distance: NDArray[np.float32], arrivals_s: NDArray[np.float64], moving: float
) -> tuple[float, float]:
    """Return the seconds from the interrupt to silence, and to a mouth at rest.

    `moving`: a mouth is not at rest if its distance is larger by this than at the end of the recording. Raises
    `DemoFailed` if either takes too long.
    """
    after = (sound.arrived_s > run.interrupted_s) & (sound.arrived_s < run.ended_s)
    silent_s = measure.last_audible_s(sound.arrived_s[after], sound.samples[after], SOUND_RATE_HZ)
    silence_s = 0.0 if silent_s is None else silent_s - run.interrupted_s
    if silence_s > FLUSHED_WITHIN_S:
        raise DemoFailed(f"The interruption did not flush: sound went on for {silence_s:.2f} s")
    seen = arrivals_s < run.ended_s
    at_last = float(np.median(distance[seen & (arrivals_s > run.ended_s - AFTERMATH_S / 2)]))
    rest_at_s = measure.rest_begins_s(arrivals_s[seen], distance[seen], at_last + moving, after_s=run.interrupted_s)
    if rest_at_s is None or rest_at_s - run.interrupted_s > FLUSHED_WITHIN_S:
        raise DemoFailed(
            f"The interruption did not flush: the mouth went on moving for more than {FLUSHED_WITHIN_S:.0f} s"
        )
    return silence_s, rest_at_s - run.interrupted_s


def _grey(seen: ReceivedPicture) -> NDArray[np.uint8]:
    """Return the luma of a picture, uint8 (h, w)."""
    planes = np.asarray(seen.frame.to_ndarray(format="yuv420p"), np.uint8)
    return planes[: seen.frame.height]
