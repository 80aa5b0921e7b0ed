// Where an agent's session sends its speech: to the avatar, or to the agent's own voice once the avatar has failed.

import { log, voice } from "@livekit/agents";
import { type AudioFrame, AudioResampler } from "@livekit/rtc-node";

type AudioOutput = voice.AudioOutput;
type PlaybackStartedEvent = voice.PlaybackStartedEvent;
type PlaybackFinishedEvent = voice.PlaybackFinishedEvent;

const CLEARED_WITHIN_MS = 2_000; // after a clear: then the segments that have not finished are given up

/** A segment of speech that has not finished. */
interface Segment {
  sink: AudioOutput | undefined; // where it goes, undefined while it waits for the avatar
  pushedS: number;
  startedMs: number | undefined; // of performance.now()
  dropped: boolean; // what else comes of it goes nowhere
  cleared: boolean; // its sink was told
}

export interface AvatarOutputOptions {
  /** Called with whether the avatar shall pause. */
  pauseAvatar: (on: boolean) => void;
  clearedWithinMs?: number;
}

/** Speech waits until `open` or `failOver`. Every segment finishes exactly once, whatever becomes of the avatar.
 *
 * A segment that begins during a pause waits here: the avatar pauses what it has, and an interruption ends that pause.
 */
export class AvatarOutput extends voice.AudioOutput {
  private readonly pauseAvatar: (on: boolean) => void;
  private readonly clearedWithinMs: number;
  private sink: AudioOutput;
  private isSettled = false; // set by `open` and `failOver`
  private isPaused = false;
  private isAttached = true;
  private waiting = new Set<() => void>(); // to be called when what a segment waits for may have changed
  private segments: Segment[] = []; // that have not finished
  private sent = new Map<AudioOutput, Segment[]>(); // that a sink has not finished, some of them given up
  private captured: Segment | undefined; // the segment that is being captured
  private resampler: AudioResampler | undefined;
  private givingUp: NodeJS.Timeout | undefined;

  /** `avatar`: sends speech to the avatar. */
  constructor(
    private readonly avatar: AudioOutput,
    options: AvatarOutputOptions,
  ) {
    super(undefined, undefined, { pause: true });
    this.pauseAvatar = options.pauseAvatar;
    this.clearedWithinMs = options.clearedWithinMs ?? CLEARED_WITHIN_MS;
    this.sink = avatar;
    this.listen(avatar);
  }

  // --- the avatar
  /** The avatar hears from now on. */
  open(): void {
    this.isSettled = true;
    this.changed();
  }

  /** The avatar is gone: what it has not said is interrupted, and later segments go to another output. A segment that
   * still waits for the avatar goes there whole.
   */
  failOver(ownVoice: AudioOutput): void {
    if (this.sink === ownVoice) return;
    for (const segment of this.segments.filter((one) => one.sink !== undefined)) this.giveUp(segment);
    this.sink = ownVoice;
    this.listen(ownVoice);
    if (this.isAttached) ownVoice.onAttached();
    this.open();
  }

  close(): void {
    clearTimeout(this.givingUp);
    for (const segment of [...this.segments]) this.giveUp(segment);
  }

  // --- AudioOutput
  override async captureFrame(frame: AudioFrame): Promise<void> {
    await super.captureFrame(frame);
    const segment = (this.captured ??= this.begin());
    while (segment.sink === undefined && !segment.dropped && !this.mayBegin()) {
      await new Promise<void>((resolve) => this.waiting.add(resolve));
    }
    if (segment.dropped) return;
    if (segment.sink === undefined) {
      [segment.sink, this.resampler] = [this.sink, undefined];
      this.sent.get(segment.sink)?.push(segment);
    }
    segment.pushedS += frame.samplesPerChannel / frame.sampleRate;
    try {
      for (const converted of this.converted(frame, segment.sink)) await segment.sink.captureFrame(converted);
    } catch (error) {
      log().warn({ error }, "speech could not be sent"); // the room was left meanwhile
      this.giveUp(segment);
    }
  }

  override flush(): void {
    super.flush();
    const segment = this.captured;
    this.captured = undefined;
    if (segment === undefined) return;
    if (segment.sink === undefined) this.finish(segment, 0, true);
    else segment.sink.flush(); // also after a clear: the next segment must not go on in the same stream
  }

  override clearBuffer(): void {
    for (const segment of this.segments.filter((one) => one.sink === undefined)) this.giveUp(segment);
    if (this.segments.every((one) => one.cleared)) return; // livekit-agents clears twice
    for (const segment of this.segments) segment.dropped = segment.cleared = true;
    this.sink.clearBuffer();
    clearTimeout(this.givingUp);
    const outstanding = [...this.segments];
    this.givingUp = setTimeout(() => outstanding.forEach((one) => this.giveUp(one)), this.clearedWithinMs);
    this.givingUp.unref();
  }

  override pause(): void {
    this.isPaused = true;
    if (this.sink !== this.avatar) this.sink.pause();
    else if (this.segments.some((one) => one.sink === this.avatar)) this.pauseAvatar(true);
  }

  override resume(): void {
    this.isPaused = false;
    this.changed();
    if (this.sink === this.avatar) this.pauseAvatar(false);
    else this.sink.resume();
  }

  override get canPause(): boolean {
    return this.sink === this.avatar || this.sink.canPause;
  }

  override onAttached(): void {
    this.isAttached = true;
  }

  /** The session sends no sound any more: the avatar is silent at once. */
  override onDetached(): void {
    this.isAttached = false;
    if (this.captured !== undefined) this.captured.dropped = true;
    this.clearBuffer();
  }

  // --- segments
  private begin(): Segment {
    const segment = { sink: undefined, pushedS: 0, startedMs: undefined, dropped: !this.isAttached, cleared: false };
    this.segments.push(segment);
    return segment;
  }

  private mayBegin(): boolean {
    return this.isSettled && !(this.isPaused && this.sink === this.avatar);
  }

  private changed(): void {
    const waiting = this.waiting;
    this.waiting = new Set();
    for (const resolve of waiting) resolve();
  }

  /** Take what a sink tells of its segments, in their order. One that was given up may still finish, late and
   * interrupted: that is not the end of the next one.
   */
  private listen(sink: AudioOutput): void {
    const sent: Segment[] = [];
    this.sent.set(sink, sent);
    sink.on(voice.AudioOutput.EVENT_PLAYBACK_STARTED, (event: PlaybackStartedEvent) => {
      const segment = sent.find((one) => this.segments.includes(one));
      if (segment !== undefined && segment.startedMs === undefined) {
        segment.startedMs = performance.now();
        this.onPlaybackStarted(event.createdAt);
      }
    });
    sink.on(voice.AudioOutput.EVENT_PLAYBACK_FINISHED, (event: PlaybackFinishedEvent) => {
      for (let segment = sent.shift(); segment !== undefined; segment = sent.shift()) {
        if (this.segments.includes(segment)) {
          this.finish(segment, event.playbackPosition, event.interrupted);
          return;
        }
        if (event.interrupted) return;
      }
    });
  }

  /** Finish a segment that its sink does not finish. */
  private giveUp(segment: Segment): void {
    segment.dropped = true;
    this.changed();
    const playedS = segment.startedMs === undefined ? 0 : (performance.now() - segment.startedMs) / 1000;
    this.finish(segment, Math.min(playedS, segment.pushedS), true);
  }

  private finish(segment: Segment, playbackPosition: number, interrupted: boolean): void {
    const place = this.segments.indexOf(segment);
    if (place < 0) return;
    this.segments.splice(place, 1);
    segment.dropped ||= interrupted;
    // A pause that is still on its way would stop the next segment.
    if (interrupted && segment.sink === this.avatar) this.pauseAvatar(false);
    this.onPlaybackFinished({ playbackPosition, interrupted });
  }

  /** Return the frame at the rate that the sink takes. */
  private converted(frame: AudioFrame, sink: AudioOutput): AudioFrame[] {
    if (sink.sampleRate === undefined || sink.sampleRate === frame.sampleRate) return [frame];
    this.resampler ??= new AudioResampler(frame.sampleRate, sink.sampleRate, frame.channels);
    return this.resampler.push(frame);
  }
}
