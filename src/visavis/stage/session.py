"""One session on a stage: runs its performance on the real clock, and publishes sound and pictures to its sinks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec

from visavis.engine.motion.states import SettableState
from visavis.engine.output import Output
from visavis.errors import InvalidRequest, OfferRefused
from visavis.rooms.port import (
    AudienceFigures,
    LostSegment,
    OpenRoom,
    RawPicture,
    RawSound,
    RoomAnswer,
    RoomCall,
    RoomSpeech,
    Sink,
    ViewerEntrance,
)
from visavis.rooms.sinks import Sinks
from visavis.rooms.spec import RoomEnd, admitted
from visavis.stage.encoder import AudioEncoder
from visavis.stage.first_words import FirstWords
from visavis.stage.motion_stream import MotionStream
from visavis.stage.pace import FrameClock
from visavis.stage.parts import Avatar, Parts
from visavis.stage.performance import Face, Performance
from visavis.stage.port.events import (
    FirstFrameSent,
    PerformerEvent,
    PlaybackFinished,
    PlaybackStarted,
    RoomCalled,
    RoomEnded,
    RoomTokenRefreshed,
    SegmentsOpen,
    SpeechEvent,
    ViewerJoined,
    ViewerLeft,
)
from visavis.stage.port.held import HeldSession
from visavis.stage.port.line import LineSoFar
from visavis.stage.port.notes import KeptNote
from visavis.stage.port.report import SessionShape
from visavis.stage.port.so_far import PerformanceSoFar, SegmentSoFar
from visavis.stage.port.values import PerformanceSpec, Speech, Spoken
from visavis.stage.session_meter import SessionMeter
from visavis.stage.sound_redundancy import SoundRedundancy
from visavis.stage.sources import PackSource
from visavis.stage.timeline import BLOCK_SAMPLES, PLAYOUT_RATE_HZ, SAMPLES_PER_MS, duration_ns, seconds
from visavis.stage.turns import Turns
from visavis.stage.utterance_log import UtteranceLog
from visavis.stage.video import VideoPipeline, VideoSpec

HURRY_SAMPLES = 16 * SAMPLES_PER_MS  # a frame that is this late is drawn hurried, so that the next one is on time
MAX_BEHIND_NS = 500_000_000  # after a longer stall (a suspended machine) the clock restarts instead of catching up
METRICS_EVERY_BLOCKS = 50  # one second
PROGRESS_EVERY_BLOCKS = 5  # 100 ms: the most speech that is said twice if the stage is lost
RETURN_WITHIN_S = 3.0  # how long a session that comes from another stage waits for its viewers before it speaks
MAX_HELD_SPEECH_BYTES = 32 * 1024 * 1024  # of a session, for the next server: 600 s at 24 kHz
MIN_RATE_HZ, MAX_RATE_HZ = 8_000, 48_000

EmitEvent = Callable[[PerformerEvent], None]


class StageSession:
    """A running session. All methods run in one event loop.

    Implements `rooms.port.RoomEvents` and `stage.turns.TurnTaker`. Only media that a sink wants are made: otherwise no
    picture is drawn and no sound is encoded. `position`, `position_ns`: see `messages.Open`. `hold_for_viewer_s`: the
    first speech waits so long for a user of the room.
    """

    def __init__(
        self,
        *,
        session_id: str,
        avatar: Avatar,
        video: VideoPipeline,
        parts: Parts,
        source: PackSource,
        seed: int,
        emit: EmitEvent,
        position: int = 0,
        position_ns: int | None = None,
        hold_for_viewer_s: float | None = None,
    ) -> None:
        self.session_id = session_id
        self._room: OpenRoom | None = None  # set by `enter_room`, before run
        self._sinks = Sinks()
        self._avatar, self._seed, self._emit = avatar, seed, emit
        self.source = source  # replaced when another server takes the session over
        self._performance = Performance(seed=seed, open_speech=parts.open_speech, position=position)
        self._performance.mood = video.spec.output.mood
        self._audio = AudioEncoder()
        self._redundancy = SoundRedundancy()
        self._video = video  # replaced by `resize` and by `set_output`
        self._video_lock = asyncio.Lock()  # one change at a time, in the order of the calls
        self._motion: MotionStream | None = None  # while the service wants motion events
        self._room_token: str | None = None  # the newest one that the room's server has given
        self._segments: dict[str, str] = {}  # of the room, that have not ended: who has sent them, by id
        self._last_number = 0  # the highest number of a piece of speech that its owner has sent
        self._frame_clock = FrameClock(video.spec.fps, start=position)
        self._origin_ns = 0  # the time of position 0; set by `run`, and moved by a long stall
        self.block_due_ns = self.frame_due_ns = 0  # of `turns.TurnTaker`
        self._published_ahead = False  # the last block was published before it was due
        self._published_ns: int | None = None  # when the last sound or picture was
        self._undrawn: tuple[int, Face] | None = None  # the position and face of the last frame, if nobody wanted it
        self._draws_undrawn = False  # the next frame is that one: somebody wants it now
        self._turns: Turns | None = None  # set by `run`
        self._viewers: dict[str, None] = {}  # the ids of those that receive media now
        self._awaited_viewers = 1  # speech that is held begins when so many watch
        self._first_words = FirstWords(hold_for_viewer_s)
        self._first_frame_ns: int | None = None  # when the first packet left for a viewer
        self._started_ns = 0  # the time of position 0, as `run` has set it
        # When the session began, here or on another stage; 0 until `run` or `go_on` sets it.
        self._began_ns = 0 if position_ns is None else position_ns - duration_ns(position)
        self._meter = SessionMeter()
        self._utterances = UtteranceLog()
        self.speaking_frames = self.silent_frames = 0  # that were drawn since the start
        self._layout_ns = 0  # since `take_layout_ns`
        self.opened = self.shape  # as it was opened

    # --- the room
    def enter_room(self, room: OpenRoom) -> None:
        """Perform in this room from now on. `close_sinks` closes it."""
        self._room = room
        self.add_sink(room.sink)
        if room.audience is not None:
            self._video.encoder.set_share(room.audience.figures().bit_rate_share)

    def add_sink(self, sink: Sink) -> None:
        """Publish to one more sink, for example a recorder. `close_sinks` closes it."""
        self._sinks.add(sink)

    async def close_sinks(self) -> None:
        """Close the room and all other sinks."""
        await self._sinks.aclose()

    @property
    def entrance(self) -> ViewerEntrance:
        """The entrance of the session's room. Raises `OfferRefused` for a room that admits its viewers itself."""
        if self._room is None or self._room.entrance is None:
            raise OfferRefused("This session's room admits its viewers itself")
        return self._room.entrance

    # --- the room's events
    def viewer_joined(self, viewer_id: str, viewers: int) -> None:
        self._viewers[viewer_id] = None
        if viewers >= self._awaited_viewers and not self._first_words.are_waiting:
            self._performance.viewer_came()
        self._emit(ViewerJoined(viewer_id=viewer_id, viewers=viewers))

    def viewer_left(self, viewer_id: str, viewers: int) -> None:
        self._viewers.pop(viewer_id, None)
        self._emit(ViewerLeft(viewer_id=viewer_id, viewers=viewers))

    def user_came(self) -> None:
        self._hold(self._first_words.user_came(self._performance.position))

    def keyframe_wanted(self, *, joining: bool) -> None:
        self._video.encoder.want_keyframe(joining=joining)
        if self._undrawn is not None and self._turns is not None:  # nobody has watched: the picture of now comes now
            self._draws_undrawn = True
            self._update_dues()
            self._turns.hurry()

    def first_frame_sent(self) -> None:
        self._first_frame_ns = time.monotonic_ns()
        self._emit(FirstFrameSent())

    def picture_sent(self, position: int) -> None:
        if self._utterances.awaits_packet:
            self._utterances.picture_sent(position, time.monotonic_ns())

    def speech_arrived(self, speech: RoomSpeech) -> None:
        self._speak(
            Speech(
                pcm=speech.pcm,
                sample_rate_hz=speech.sample_rate_hz,
                number=self._last_number,
                utterance_id=speech.segment_id,
                final=speech.final,
            ),
            may_be_late=False,
        )

    def interrupted(self) -> None:
        self.interrupt(through=self._last_number)

    def paused(self) -> None:
        if self._performance.pause():
            self._publish_ahead()

    def resumed(self) -> None:
        self._performance.resume()

    def state_wanted(self, state: SettableState) -> None:
        self._performance.set_state(state)

    def call_arrived(self, call: RoomCall) -> None:
        self._emit(RoomCalled(call_id=call.call_id, method=call.method, payload=call.payload))

    def segments_changed(self, agents: Mapping[str, str]) -> None:
        self._segments = dict(agents)
        self._emit(SegmentsOpen(agents=self._segments))

    def token_refreshed(self, token: str) -> None:
        self._room_token = token
        self._emit(RoomTokenRefreshed(token=token))

    def room_ended(self, end: RoomEnd, detail: str) -> None:
        self._emit(RoomEnded(end=end, detail=detail))

    def _emit_speech(self, event: SpeechEvent) -> None:
        """Emit what becomes of speech, and tell the room that it may have come from."""
        agent_side = None if self._room is None else self._room.agent_side
        if agent_side is not None and isinstance(event, PlaybackStarted):
            agent_side.speech_started(event.utterance_id)
        elif agent_side is not None and isinstance(event, PlaybackFinished):
            agent_side.speech_finished(event.utterance_id, position_s=event.position_s, interrupted=event.interrupted)
        self._emit(event)

    # --- the service's commands
    def speak(self, speech: Speech) -> Spoken:
        """Queue a piece of speech. Raises `QueueFull`, and `InvalidRequest` for a rate out of range."""
        spoken = self._speak(speech, may_be_late=True)
        self._last_number = max(self._last_number, speech.number)
        return spoken

    def _speak(self, speech: Speech, *, may_be_late: bool) -> Spoken:
        if not MIN_RATE_HZ <= speech.sample_rate_hz <= MAX_RATE_HZ:
            raise InvalidRequest(f"sample_rate must be from {MIN_RATE_HZ} to {MAX_RATE_HZ}")
        spoken = self._performance.speak(speech, now_ns=time.monotonic_ns(), may_be_late=may_be_late)
        self._hold(self._first_words.came(self._performance.position))
        return spoken

    def _hold(self, samples: int | None) -> None:
        if samples is not None:
            self._performance.hold(samples)

    def interrupt(self, *, through: int) -> None:
        """Drop all speech up to the piece `through`. The block that fades the sound out is published at once, and not
        when it is due: under load that may be much later. From the next frame on the lips go to rest.
        """
        arrived_ns = time.monotonic_ns()
        self._drop_speech(through=through)
        self._publish_ahead()
        self._meter.silenced(time.monotonic_ns() - arrived_ns)

    def _publish_ahead(self) -> None:
        if not self._published_ahead:  # many interrupts at once do not run ahead of the clock
            self._publish_block()
            self._published_ahead = True

    def _drop_speech(self, *, through: int) -> None:
        self._last_number = max(self._last_number, through)
        unheard_from = self._sinks.drop_backlog() if self._performance.stops_sound(through=through) else None
        self._performance.interrupt(through=through, unheard_from=unheard_from)
        self._utterances.interrupted()
        self._meter.interrupts += 1

    def end_speech(self) -> None:
        """End all utterances, and emit their ends and the last metrics. The session plays nothing after this."""
        for event in self._performance.end():
            self._emit_speech(event)
        self._utterances.block_taken(None, self._performance.take_ended(), time.monotonic_ns())
        self._emit_metrics(at_once=True)

    def forget_numbers(self) -> None:
        """Let the numbers of speech begin anew: another server owns the session now, and counts from 1."""
        self._last_number = 0
        self._performance.forget_numbers()

    def go_on(self, so_far: PerformanceSoFar, *, position_ns: int | None) -> None:
        """Go on with what another stage has performed. Those who watched there have a moment to come back before the
        avatar speaks. `so_far.position` is where the session was at `position_ns`, or is now if that is None: its
        opening here took a while.
        """
        now_ns = time.monotonic_ns()
        self._began_ns = (position_ns or now_ns) - duration_ns(so_far.position)
        self._last_number = max(self._last_number, so_far.last_number)
        self._performance.go_on(so_far, now_ns=now_ns)
        self._awaited_viewers = max(1, so_far.viewers)
        hold_s = max(so_far.hold_s, RETURN_WITHIN_S if so_far.viewers else 0.0)
        if len(self._viewers) < self._awaited_viewers:
            self._performance.hold(int(hold_s * PLAYOUT_RATE_HZ))
        self.stream_motion(so_far.streams_motion)
        self._end_lost_segments(so_far.segments)

    def _end_lost_segments(self, lost: tuple[SegmentSoFar, ...]) -> None:
        """End the segments from the room whose audio is lost with their stage."""
        if self._room is not None and self._room.agent_side is not None:
            self._room.agent_side.segments_lost(
                LostSegment(agent=one.agent, position_s=seconds(one.played_samples)) for one in lost
            )
        for one in lost:
            position_s = seconds(one.played_samples)
            self._emit(PlaybackFinished(utterance_id=one.segment_id, position_s=position_s, interrupted=True))

    def hold_for_viewer(self, seconds: float) -> None:
        """Begin no utterance until a viewer has come, but for `seconds` at most. No effect while anybody watches. In a
        room that tells users from others, the first words wait for a user.
        """
        if self._room is not None and self._room.agent_side is not None:
            self._first_words.hold(seconds)
        elif not self._viewers:
            self._awaited_viewers = 1
            self._performance.hold(int(seconds * PLAYOUT_RATE_HZ))

    def set_state(self, state: SettableState) -> None:
        self._performance.set_state(state)

    def answer_call(self, answer: RoomAnswer) -> None:
        """Answer a call of the room's agent."""
        if self._room is not None and self._room.agent_side is not None:
            self._room.agent_side.answer(answer)

    def tell_room(self, state: str, *, reason: str, seconds_left: int | None) -> None:
        """Tell everybody in the room what becomes of the session."""
        if self._room is not None and self._room.agent_side is not None:
            self._room.agent_side.tell(state, reason=reason, seconds_left=seconds_left)

    def show_name(self, name: str) -> None:
        """Show the avatar under this name to the others in its room, if the room can."""
        if self._room is not None and self._room.name_plate is not None:
            self._room.name_plate.show_name(name)

    def stream_motion(self, on: bool) -> None:
        """Switch motion events on or off."""
        if on and self._motion is None:
            self._motion = MotionStream(self._performance, seed=self._seed)
        elif not on and self._motion is not None:
            self._motion.close()
            self._motion = None

    async def resize(self, *, width_px: int, height_px: int) -> None:
        """Change the picture's size. The old size is shown until the new one is ready."""
        async with self._video_lock:
            spec = self._video.spec
            if (width_px, height_px) != (spec.width_px, spec.height_px):
                await self._change_video(replace(spec, width_px=width_px, height_px=height_px))

    async def set_output(self, output: Output) -> None:
        """Change the output. The old one is shown until the new one is ready.

        Raises `BackgroundRefused`; then nothing has changed.
        """
        async with self._video_lock:
            before = self._video.spec
            if (output.backdrop, output.framing) != (before.output.backdrop, before.output.framing):
                image = await background_image(output, session_id=self.session_id, source=self.source)
                await self._change_video(replace(before, output=output, image=image))
            self._performance.mood = output.mood

    async def _change_video(self, spec: VideoSpec) -> None:
        video, work_ns = await asyncio.to_thread(_built, self._avatar, spec)
        self._layout_ns += work_ns
        video.encoder.set_share(self._video.encoder.share)
        video.encoder.want_keyframe(joining=True)
        self._video = video

    def take_layout_ns(self) -> int:
        """Return how much processor time the changes of size and output took since the last call."""
        work_ns, self._layout_ns = self._layout_ns, 0
        return work_ns

    @property
    def is_resized(self) -> bool:
        """Whether the picture has another size than when the session was opened here."""
        spec = self._video.spec
        return (spec.width_px, spec.height_px) != (self.opened.width_px, self.opened.height_px)

    @property
    def shape(self) -> SessionShape:
        """What the session's cost depends on."""
        spec = self._video.spec
        return SessionShape(width_px=spec.width_px, height_px=spec.height_px, fps=spec.fps, viewers=len(self._viewers))

    def held(
        self,
        spec: PerformanceSpec,
        *,
        memo: bytes,
        notes: tuple[KeptNote, ...] = (),
        line: LineSoFar = LineSoFar(),  # noqa: B008  it is frozen
        most_speech_bytes: int = MAX_HELD_SPEECH_BYTES,
    ) -> HeldSession:
        """Return what another server must know to go on with this session. `spec`: as it was opened.
        `most_speech_bytes`: how much of its speech is told at most.
        """
        now_ns, video = time.monotonic_ns(), self._video.spec
        room = admitted(spec.room, self._room_token)
        spec = msgspec.structs.replace(spec, width_px=video.width_px, height_px=video.height_px, room=room)
        performed_s = (now_ns - self._began_ns) / 1e9 if self._began_ns else 0.0
        so_far = self._performance.so_far(spec, most_bytes=most_speech_bytes)
        return HeldSession(
            spec=spec,
            performed_s=performed_s,
            first_frame_s=None if self._first_frame_ns is None else (now_ns - self._first_frame_ns) / 1e9,
            viewers=tuple(self._viewers),
            state=self._performance.state,
            utterances=self._performance.held_utterances(),
            streams_motion=self._motion is not None,
            performance=msgspec.structs.replace(
                so_far,
                # the ends of segments from the room are told by the next stage, which does not speak them
                utterances=tuple(one for one in so_far.utterances if one.utterance_id not in self._segments),
                position=int(performed_s * PLAYOUT_RATE_HZ),
                last_number=self._last_number,
                viewers=len(self._viewers),
                streams_motion=self._motion is not None,
                segments=tuple(self._segment_so_far(segment_id) for segment_id in self._segments),
                line=line,
            ),
            memo=memo,
            notes=notes,
        )

    def _segment_so_far(self, segment_id: str) -> SegmentSoFar:
        current = self._performance.current
        played = current.media.played if current is not None and current.utterance_id == segment_id else 0
        return SegmentSoFar(segment_id=segment_id, agent=self._segments[segment_id], played_samples=played)

    # --- the clock
    async def run(self, turns: Turns) -> None:
        """Perform until cancelled."""
        now_ns = time.monotonic_ns()
        self._started_ns = self._origin_ns = now_ns - duration_ns(self._performance.position)
        self._began_ns = self._began_ns or self._started_ns
        self._meter.start(now_ns)
        self._update_dues()
        self._turns = turns
        await turns.take(self)

    @property
    def silent_s(self) -> float:
        """For how long the session has published neither sound nor pictures; 0 if it never has."""
        return 0.0 if self._published_ns is None else (time.monotonic_ns() - self._published_ns) / 1e9

    def _update_dues(self) -> None:
        self.block_due_ns = self._origin_ns + duration_ns(self._performance.position)
        next_at = self._undrawn[0] if self._draws_undrawn and self._undrawn is not None else self._frame_clock.next_at
        self.frame_due_ns = self._origin_ns + duration_ns(next_at)

    @property
    def full_rate_fps(self) -> int:
        """How many frames a second the session shows at the full rate; 0 while nobody watches."""
        return self._video.spec.fps if self._sinks.want("encoded") or self._sinks.want("raw") else 0

    def set_pace(self, pace: int) -> None:
        """Show frames at a pace from the next one on."""
        self._frame_clock.set_pace(pace)
        self._update_dues()

    def publish_block(self, now_ns: int) -> None:
        """Publish the next 20 ms of sound."""
        self._published_ns = now_ns
        behind_ns = now_ns - self.block_due_ns
        if behind_ns > MAX_BEHIND_NS:
            self._origin_ns += behind_ns
        self._publish_block()

    def _publish_block(self) -> None:
        position = self._performance.position
        block = self._performance.next_block()
        self._meter.blocks += 1
        self._utterances.block_taken(self._performance.head, self._performance.take_ended(), time.monotonic_ns())
        if self._sinks.want("encoded"):
            self._sinks.publish(self._audio.encode(block, position))
        if self._sinks.want("raw"):
            self._sinks.publish(RawSound(samples=block, position=position))
        for event in self._performance.events():
            self._emit_speech(event)
        if self._motion:
            for motion in self._motion.next_events():
                self._emit(motion)
        if position // BLOCK_SAMPLES % PROGRESS_EVERY_BLOCKS == 0 and (progress := self._performance.take_progress()):
            self._emit(progress)
        if position // BLOCK_SAMPLES % METRICS_EVERY_BLOCKS == METRICS_EVERY_BLOCKS - 1:
            self._emit_metrics()
        self._published_ahead = False
        self._update_dues()

    def publish_frame(self, now_ns: int) -> bool:
        """Publish the newest frame that is due. Older ones are left out: viewers see the last picture longer."""
        self._published_ns = now_ns
        if self._draws_undrawn:
            return self._publish_undrawn()
        now_at = (now_ns - self._origin_ns) * PLAYOUT_RATE_HZ // 1_000_000_000
        left_out = self._frame_clock.leave_out_until(min(now_at, self._performance.position - 1))
        position = self._frame_clock.take()
        self._update_dues()
        face = self._performance.face(position)
        if not self.full_rate_fps:
            self._undrawn = position, face
            return False
        self._undrawn = None
        self._meter.late_frames += left_out
        self._draw(position, face, hurried=now_at - position > HURRY_SAMPLES)
        return True

    def _publish_undrawn(self) -> bool:
        """Publish the last frame, which nobody wanted when it was due. Return whether somebody does now."""
        undrawn, self._undrawn, self._draws_undrawn = self._undrawn, None, False
        self._update_dues()
        if undrawn is None or not self.full_rate_fps:
            return False
        self._draw(*undrawn, hurried=False)
        return True

    def _draw(self, position: int, face: Face, *, hurried: bool) -> None:
        """Draw a frame, and publish it to the sinks that want it."""
        encoded_wanted, raw_wanted = self._sinks.want("encoded"), self._sinks.want("raw")
        picture = self._video.renderer.render(face.motion, hurried=hurried)
        self._meter.frames += 1
        self._meter.hurried_frames += hurried
        self.speaking_frames += self._performance.speaking
        self.silent_frames += not self._performance.speaking
        if raw_wanted:
            self._sinks.publish(RawPicture(pixels=picture, position=position))
        packet = self._video.encoder.encode(picture, position) if encoded_wanted else None
        if packet is not None:
            self._sinks.publish(packet)
        if face.times is not None and (packet is not None or raw_wanted):
            encoded_ns = time.monotonic_ns()
            self._utterances.frame_encoded(face.times, position, encoded_ns)
            if face.arrived_ns is not None:
                self._meter.frame_delayed(encoded_ns - face.arrived_ns)

    def _emit_metrics(self, *, at_once: bool = False) -> None:
        """Emit the metrics since the last call, and the times of the utterances that have ended. `at_once`: also of
        those that have just ended.
        """
        now_ns = time.monotonic_ns()
        for measured in self._utterances.take(now_ns, at_once=at_once):
            self._emit(measured)
        audience = None if self._room is None else self._room.audience
        figures = AudienceFigures() if audience is None else audience.figures()
        self._video.encoder.set_share(figures.bit_rate_share)
        self._audio.expect_loss(self._redundancy.report(lost_share for _, lost_share in figures.viewers))
        self._emit(
            self._meter.take(
                now_ns,
                fps=self._video.spec.fps,
                queued_s=seconds(self._performance.queued_samples),
                behind_ms=(now_ns - self._started_ns - duration_ns(self._performance.position)) / 1e6,
                underruns=self._performance.underruns,
                unmeasured=self._utterances.take_unmeasured(),
                audience=figures,
            )
        )


async def background_image(output: Output, *, session_id: str, source: PackSource) -> Path | None:
    """Return the file of the output's background picture, None if it has none. Raises `BackgroundRefused`."""
    picture_id = output.backdrop.picture_id
    return None if picture_id is None else await source.picture(session_id, picture_id)


def _built(avatar: Avatar, spec: VideoSpec) -> tuple[VideoPipeline, int]:
    """Build a pipeline; return it and the processor time that it took."""
    began_ns = time.thread_time_ns()
    return VideoPipeline.build(avatar, spec), time.thread_time_ns() - began_ns
