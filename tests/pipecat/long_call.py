"""Ten minutes with a bot of Pipecat's SmallWebRTC transport: sound and picture stay together. Only `make pipecat` runs
this.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import httpx
import numpy as np
import pytest
from aiortc import RTCRtpReceiver
from aiortc.rtp import AnyRtcpPacket, RtcpSrPacket
from numpy.typing import NDArray

from tools.pipecat.environment import PROJECT, paths, prepare
from visavis.demo import measure
from visavis.demo.reception import Sound
from visavis.demo.session_run import Speech
from visavis.engine.motion.frame import MOTION_RATE_HZ, SpeechMotion
from visavis.engine.speech.stream import SpeechStream
from visavis.film import SOUND_RATE_HZ
from visavis.library import SAMPLE
from visavis.rooms.port import MediaKind
from visavis.rooms.watch import ReceivedPicture, ReceivedSound, RoomViewer, arrange_sound
from visavis.rooms.webrtc.private import receiving, reports
from visavis.rooms.webrtc.receiving_peer import AUDIO_RATE_HZ, VIDEO_RATE_HZ, ReceivingPeer
from visavis.rooms.webrtc.sender_reports import unix_time_s
from visavis.server import RunningServer

MINUTES = float(os.environ.get("VISAVIS_CALL_MINUTES", "10"))
SAID_EVERY_S = 15.0
WINDOW_S = 30.0  # in which the recording is said at least once, whole
MOST_APART_S = 0.08
REST_S = 1.0  # of the mouth, before the recording
LEVELS_HZ = 100
PIECE_S = 0.5  # of the recording, found by itself
PLACE_WITHIN_S = 0.6  # of where the whole recording seems to be
LIPS_S = 2.0  # of the recording, in which the lips are found by themselves: some 50 pictures
LIPS_WITHIN_S = 0.4  # of the sound
ALIKE, LIPS_ALIKE = 0.6, 0.3
LEAST_PIECES = 6

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(1800)]


class SoundFirst(ReceivingPeer):
    """SmallWebRTC takes the first stream of an offer for sound, whatever it says. `sent`: when what was sent, by all
    sender reports: (pts, unix time).
    """

    rates_hz: ClassVar[dict[MediaKind, int]] = {"audio": AUDIO_RATE_HZ, "video": VIDEO_RATE_HZ}

    def __init__(self) -> None:
        super().__init__()
        self.sent: dict[MediaKind, list[tuple[int, float]]] = {"audio": [], "video": []}

    async def offer(self) -> str:
        sdp = await super().offer()
        for kind, receiver in self._receivers.items():
            reports.on_rtcp(receiver, partial(self._note, kind, receiver))
        return sdp

    def _note(self, kind: MediaKind, receiver: RTCRtpReceiver, packet: AnyRtcpPacket) -> None:
        first = receiving.first_rtp_timestamp(receiver)
        if isinstance(packet, RtcpSrPacket) and first is not None:
            report, before = packet.sender_info, self.sent[kind][-1:]
            sent = (report.rtp_timestamp - first) % 2**32, unix_time_s(report.ntp_timestamp)
            if before != [sent]:  # the same again: nothing was sent since
                self.sent[kind].append(sent)

    def picture_times_s(self, pts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return when pictures were sent. The transport counts 30 of them a second, however many there are: a picture's
        time lies between those of the reports around it, as for a browser, which follows the clock that they show.
        """
        places, times_s = np.array(self.sent["video"]).T
        between = np.interp(pts, places, times_s)
        ends = np.polyfit(places[-4:], times_s[-4:] - times_s[-1], 1)  # behind the last report
        return np.asarray(np.where(pts > places[-1], times_s[-1] + np.polyval(ends, pts), between), np.float64)

    def sound_begins_s(self) -> float:
        """Return when sound with the pts 0 was sent. Its clock is true."""
        return float(np.median([at_s - pts / AUDIO_RATE_HZ for pts, at_s in self.sent["audio"][-20:]]))


class Caller(RoomViewer):
    """Keeps what has come since it was looked at last."""

    def __init__(self, port: int) -> None:
        super().__init__(self._ask)
        self._peer = self.peer = SoundFirst()
        self._offer_url = f"http://127.0.0.1:{port}/offer"
        self.kept_pictures: list[ReceivedPicture] = []
        self.kept_sound: list[ReceivedSound] = []

    async def _ask(self, sdp: str) -> str:
        async with httpx.AsyncClient(timeout=60) as client:
            answer = await client.post(self._offer_url, json={"sdp": sdp, "type": "offer"})
        return str(answer.raise_for_status().json()["sdp"])

    async def see(self) -> None:
        async for picture in self.pictures():
            self.kept_pictures.append(picture)

    async def hear(self) -> None:
        async for block in self.sound():
            self.kept_sound.append(block)

    def take(self) -> tuple[list[ReceivedPicture], list[ReceivedSound]]:
        taken = self.kept_pictures, self.kept_sound
        self.kept_pictures, self.kept_sound = [], []
        return taken


@contextmanager
def talking(server: RunningServer) -> Iterator[int]:
    """Run the bot. Yield its port."""
    env = os.environ | {
        "PYTHONPATH": paths(),
        "VISAVIS_API_URL": server.base_url,
        "VISAVIS_API_KEY": server.api_key,
    }
    command = [str(prepare()), "-m", "tests.talking_bot", str(SAMPLE), str(SAID_EVERY_S)]
    with subprocess.Popen(command, cwd=PROJECT, env=env, stdout=subprocess.PIPE, stderr=sys.stderr, text=True) as bot:
        try:
            assert bot.stdout is not None
            yield int(bot.stdout.readline())
        finally:
            bot.terminate()


@dataclass(frozen=True, slots=True)
class Heard:
    """When the recording was heard. The transport fills a gap in what it gets with silence, and plays the rest later:
    `begins_s[n]` is when the recording would have begun by its piece around `middle_s[n]`, which was heard. Both:
    float64 (n,).
    """

    middle_s: NDArray[np.float64]
    begins_s: NDArray[np.float64]

    @classmethod
    def find(cls, heard: NDArray[np.float32], sent: NDArray[np.float32]) -> Heard:
        """Both: float32 (n,), 48 kHz. Only without gaps the recording is found as a whole."""
        about_s = measure.sound_lag(_levels(heard), _levels(sent), LEVELS_HZ).seconds
        size, middle_s, begins_s = round(PIECE_S * SOUND_RATE_HZ), [], []
        for at in range(0, len(sent) - size + 1, size):
            piece = sent[at : at + size]
            if np.sqrt((piece**2).mean()) < measure.AUDIBLE:
                continue
            first = max(0, round((about_s - PLACE_WITHIN_S) * SOUND_RATE_HZ) + at)
            around = heard[first : first + size + round(2 * PLACE_WITHIN_S * SOUND_RATE_HZ)]
            if (place := measure.sound_lag(around, piece, SOUND_RATE_HZ)).likeness > ALIKE:
                middle_s.append(at / SOUND_RATE_HZ + PIECE_S / 2)
                begins_s.append((first - at) / SOUND_RATE_HZ + place.seconds)
        assert len(middle_s) >= LEAST_PIECES, f"the voice is not heard: {len(middle_s)} pieces, about {about_s:.2f} s"
        return cls(np.array(middle_s), np.array(begins_s))

    def of_recording_s(self, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return which places of the recording were heard at some times, s."""
        return times_s - np.interp(times_s, self.middle_s + self.begins_s, self.begins_s)


def apart(
    peer: SoundFirst, pictures: list[ReceivedPicture], blocks: list[ReceivedSound], speech: Speech
) -> list[measure.Lag]:
    """Return how much later than their sound the lips come, for each piece of the recording. So lips and sound are both
    taken where they were, wherever the sound was held up.
    """
    times_s = peer.picture_times_s(np.array([one.frame.pts for one in pictures]))
    zero_s = times_s[0]
    times_s = times_s - zero_s
    sound = _sound(blocks, peer.sound_begins_s() - zero_s)
    earliest_s = max(times_s[0] + REST_S, sound.begins_s)  # the mouth must be seen at rest before it
    skipped = round((earliest_s - sound.begins_s) * SOUND_RATE_HZ)
    heard = Heard.find(sound.samples[skipped:], _at_sound_rate(speech))
    grey = np.stack([_grey(one) for one in pictures])
    begins_s = earliest_s + heard.begins_s[0]
    resting = slice(*np.searchsorted(times_s, [begins_s - REST_S, begins_s]).tolist())
    face = measure.find_face(grey[(resting.start + resting.stop) // 2])
    assert face is not None
    distance = measure.mouth_distance(grey, resting, face)
    stream = SpeechStream()
    expected = measure.expected_distance(SpeechMotion.concatenate([stream.push(speech.samples), stream.finish()]))
    places_s = heard.of_recording_s(times_s - earliest_s)
    found = []
    for first_s in np.arange(0.0, len(expected) / MOTION_RATE_HZ - LIPS_S, LIPS_S / 2):
        piece = expected[round(first_s * MOTION_RATE_HZ) : round((first_s + LIPS_S) * MOTION_RATE_HZ)]
        lag = measure.lips_lag(places_s, distance, piece, around_s=first_s, within_s=LIPS_WITHIN_S)
        found.append(measure.Lag(seconds=lag.seconds - first_s, likeness=lag.likeness))
    return found


def _levels(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The levels of each 10 ms around their mean, float32 (n,)."""
    blocks = samples[: len(samples) // 480 * 480].reshape(-1, 480)
    levels = np.sqrt((blocks**2).mean(axis=1))
    return np.asarray(levels - levels.mean(), np.float32)


def _at_sound_rate(speech: Speech) -> NDArray[np.float32]:
    samples = speech.samples.astype(np.float32) / np.float32(32_768)
    places = np.arange(len(samples) * SOUND_RATE_HZ // speech.rate_hz) * speech.rate_hz / SOUND_RATE_HZ
    return np.asarray(np.interp(places, np.arange(len(samples)), samples), np.float32)


def _sound(blocks: list[ReceivedSound], begins_s: float) -> Sound:
    """`begins_s`: of the pts 0."""
    starts_s = [block.pts / AUDIO_RATE_HZ for block in blocks]
    samples = arrange_sound(blocks, [start_s - starts_s[0] for start_s in starts_s]).astype(np.float32)
    return Sound(
        begins_s=begins_s + starts_s[0], samples=samples / np.float32(32_768), arrived_s=np.zeros(len(samples))
    )


def _grey(picture: ReceivedPicture) -> NDArray[np.uint8]:
    planes = np.asarray(picture.frame.to_ndarray(format="yuv420p"), np.uint8)
    return planes[: picture.frame.height]


async def test_sound_and_picture_stay_together_for_ten_minutes(server: RunningServer) -> None:
    speech = Speech.read(SAMPLE)
    lags: list[measure.Lag] = []
    with talking(server) as port:
        async with Caller(port) as caller, asyncio.TaskGroup() as watching:
            tasks = [watching.create_task(caller.see()), watching.create_task(caller.hear())]
            await asyncio.sleep(SAID_EVERY_S)  # meanwhile the avatar comes
            assert caller.synchronised and caller.kept_pictures, "a picture comes before any speech"
            caller.take()
            for _ in range(round(MINUTES * 60 / WINDOW_S)):
                await asyncio.sleep(WINDOW_S)
                found = await asyncio.to_thread(apart, caller.peer, *caller.take(), speech)
                lags += found
                print(
                    "the lips come after their sound, ms (likeness): "
                    + ", ".join(f"{1000 * one.seconds:+.0f} ({one.likeness:.2f})" for one in found),
                    flush=True,
                )
            for task in tasks:
                task.cancel()
    assert min(one.likeness for one in lags) > LIPS_ALIKE
    assert max(abs(one.seconds) for one in lags) <= MOST_APART_S
