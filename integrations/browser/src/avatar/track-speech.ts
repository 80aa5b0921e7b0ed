// Lets an avatar speak what a track says, utterance by utterance.

import type { Channel } from "../channel/channel.js";
import { LivePieces } from "../channel/pieces.js";
import { TrackCapture } from "./track-capture.js";
import { type DropUntil, SERVICE_VOICE, TrackGate } from "./track-gate.js";

const MOST_WAITING_S = 60; // while the channel is away; later sound is dropped

export interface SpeakFromOptions {
  /** When sound counts as a voice, as RMS of full scale: default 0.004, and it ends below `closeLevel` (0.002). */
  openLevel?: number;
  closeLevel?: number;
  /** So much silence ends an utterance: default 400 ms. */
  closeAfterMs?: number;
}

/** A track that the avatar speaks. */
export class TrackSpeech {
  private readonly gate: TrackGate;
  private capture: TrackCapture | null = null;
  private pieces: LivePieces | null = null; // of the present utterance
  private stopped = false;

  private constructor(
    private readonly channel: Channel,
    private readonly track: MediaStreamTrack,
    private readonly over: () => void,
    options: SpeakFromOptions,
  ) {
    this.gate = new TrackGate({ ...SERVICE_VOICE, ...options });
  }

  /** Begin. `over` is called once, when the track has ended or `stop` was called. Raises Unsupported. */
  static async open(
    channel: Channel,
    track: MediaStreamTrack,
    options: SpeakFromOptions,
    over: (speech: TrackSpeech) => void,
  ): Promise<TrackSpeech> {
    const speech = new TrackSpeech(channel, track, () => over(speech), options);
    speech.capture = await TrackCapture.open(track, (pcm, rateHz) => speech.take(pcm, rateHz));
    track.addEventListener("ended", speech.stop);
    if (track.readyState === "ended") speech.stop();
    return speech;
  }

  /** Whether the browser hands out the sound. Before the visitor's first gesture it does not: see Avatar.unlock. */
  get isRunning(): boolean {
    return this.capture?.isRunning === true;
  }

  /** After an interrupt that drops until `resume`: speak again what the track gives from now on. */
  resume(): void {
    this.gate.resume();
  }

  /** Speak the track no longer. What was said so far is spoken to its end. The track itself goes on. Idempotent. */
  readonly stop = (): void => {
    if (this.stopped) return;
    this.stopped = true;
    this.track.removeEventListener("ended", this.stop);
    this.capture?.stop();
    for (const _ of this.gate.end()) this.endUtterance();
    this.over();
  };

  /** For Avatar: the avatar is interrupted. */
  interrupted(dropUntil: DropUntil): void {
    this.gate.interrupt(dropUntil);
    this.endUtterance();
  }

  /** For Avatar: the visitor has made a gesture. */
  wake(): void {
    this.capture?.wake();
  }

  private take(pcm: Int16Array, rateHz: number): void {
    if (this.stopped) return;
    for (const step of this.gate.push(pcm, rateHz)) {
      if (step.kind === "begin") this.beginUtterance(rateHz);
      else if (step.kind === "sound") this.pieces?.push(step.pcm);
      else this.endUtterance();
    }
  }

  private beginUtterance(rateHz: number): void {
    this.pieces = new LivePieces(MOST_WAITING_S * rateHz);
    this.channel.send(this.pieces, rateHz).catch(() => this.stop()); // the channel is over
  }

  private endUtterance(): void {
    this.pieces?.end();
    this.pieces = null;
  }
}
