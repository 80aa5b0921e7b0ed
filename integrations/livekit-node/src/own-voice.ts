// The agent's own voice: the track that it publishes itself where no avatar speaks.

import { voice } from "@livekit/agents";
import {
  AudioFrame,
  AudioSource,
  LocalAudioTrack,
  type Room,
  TrackPublishOptions,
  TrackSource,
} from "@livekit/rtc-node";

const RATE_HZ = 24_000;
const QUEUE_MS = 1_000;
const SUBSCRIBED_WITHIN_MS = 2_000; // then it speaks all the same: nobody may want to hear it
const LEAD_S = 0.3; // of silence: the first packets find a receiver whose connection is not ready, or fade in

/** Publishes its track with the first frame. Frames are mono, RATE_HZ. */
export class OwnVoice extends voice.AudioOutput {
  private publishing: Promise<AudioSource> | undefined; // fulfilled once somebody can hear the track
  private source: AudioSource | undefined; // as fulfilled
  private pushedS = 0; // of the segment that is captured or played
  private inSegment = false; // one is captured or played
  private isCleared = false; // that segment
  private clear: () => void = () => undefined; // ends the waiting for its end
  private ending: Promise<void> | undefined;

  constructor(private readonly room: Room) {
    super(RATE_HZ, undefined, { pause: false });
  }

  override async captureFrame(frame: AudioFrame): Promise<void> {
    await this.ending;
    await super.captureFrame(frame);
    if (!this.inSegment) [this.inSegment, this.isCleared] = [true, false];
    const source = (this.source ??= await (this.publishing ??= this.publish().finally(
      () => (this.publishing = undefined),
    )));
    if (this.isCleared) return;
    if (this.pushedS === 0) this.onPlaybackStarted(Date.now());
    this.pushedS += frame.samplesPerChannel / frame.sampleRate;
    await source.captureFrame(frame);
  }

  override flush(): void {
    super.flush();
    if (this.inSegment && this.ending === undefined) {
      this.ending = this.end().finally(() => (this.ending = undefined));
    }
  }

  override clearBuffer(): void {
    if (!this.inSegment) return;
    this.isCleared = true;
    this.clear();
  }

  async aclose(): Promise<void> {
    this.clearBuffer();
    await this.ending;
    const source = this.source;
    this.source = undefined;
    await source?.close();
  }

  private async publish(): Promise<AudioSource> {
    const participant = this.room.localParticipant;
    if (participant === undefined) throw new Error("the room is not connected");
    const source = new AudioSource(RATE_HZ, 1, QUEUE_MS);
    const track = LocalAudioTrack.createAudioTrack("agent_voice", source);
    const options = new TrackPublishOptions({ source: TrackSource.SOURCE_MICROPHONE });
    const publication = await participant.publishTrack(track, options);
    // What is said before somebody has subscribed is lost.
    if (this.room.remoteParticipants.size > 0) await within(SUBSCRIBED_WITHIN_MS, publication.waitForSubscription());
    await source.captureFrame(AudioFrame.create(RATE_HZ, 1, Math.round(LEAD_S * RATE_HZ)));
    return source;
  }

  /** Wait until the segment was played or cleared, and tell. */
  private async end(): Promise<void> {
    let [playedS, interrupted] = [0, true];
    if (this.pushedS > 0 && this.source !== undefined) {
      const cleared = new Promise<void>((resolve) => (this.clear = resolve));
      if (!this.isCleared) await Promise.race([this.source.waitForPlayout(), cleared]);
      [playedS, interrupted] = [this.pushedS, this.isCleared];
      if (interrupted) {
        playedS = Math.max(playedS - this.source.queuedDuration / 1000, 0);
        this.source.clearQueue();
      }
    }
    [this.inSegment, this.pushedS, this.clear] = [false, 0, () => undefined];
    this.onPlaybackFinished({ playbackPosition: playedS, interrupted });
  }
}

/** Wait for `happening`, at most so long. */
async function within(milliseconds: number, happening: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, milliseconds)));
  await Promise.race([happening, late]).finally(() => clearTimeout(timer));
}
