// Takes the sound of a MediaStreamTrack as PCM16, on the audio thread. Nothing of it reaches the speakers.

import { Unsupported } from "../channel/errors.js";
import { HalfRate } from "../sound/half-rate.js";
import { floatToPcm16 } from "../sound/pcm.js";

const MAX_RATE_HZ = 48_000; // capture.worklet.js divides higher rates
const HALVED_FROM_HZ = 40_000;
const WORKLET_URL = new URL("../sound/capture.worklet.js", import.meta.url).href;

export class TrackCapture {
  private constructor(
    private readonly context: AudioContext,
    private readonly source: MediaStreamAudioSourceNode,
    private readonly silent: HTMLAudioElement,
    private readonly muted: HTMLMediaElement[],
  ) {}

  /**
   * Begin. `piece` gets sound of 40 ms, at 22.05 to 24 kHz on most machines. The caller stops the capture; the track
   * stays the caller's. Raises Unsupported.
   */
  static async open(
    track: MediaStreamTrack,
    piece: (pcm: Int16Array, sampleRateHz: number) => void,
  ): Promise<TrackCapture> {
    if (typeof AudioWorkletNode === "undefined") {
      throw new Unsupported("Browsers take the sound of a track only on https pages and on localhost");
    }
    const context = new AudioContext({ latencyHint: "interactive" });
    try {
      await context.audioWorklet.addModule(WORKLET_URL);
    } catch (error) {
      void context.close();
      throw new Unsupported(`The page could not load ${WORKLET_URL}: ${String(error)}`);
    }
    const stream = new MediaStream([track]);
    const source = context.createMediaStreamSource(stream);
    const node = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
    const capturedHz = context.sampleRate / Math.ceil(context.sampleRate / MAX_RATE_HZ);
    const half = capturedHz >= HALVED_FROM_HZ ? new HalfRate() : null;
    const rateHz = half === null ? capturedHz : capturedHz / 2;
    node.port.onmessage = ({ data }: MessageEvent<Float32Array>) => {
      piece(floatToPcm16(half === null ? data : half.push(data)), rateHz);
    };
    source.connect(node);
    void context.resume().catch(() => {});
    // Chromium feeds a remote track into Web Audio only while a media element plays it: a muted one does.
    const silent = new Audio();
    silent.muted = true;
    silent.srcObject = stream;
    void silent.play().catch(() => {});
    return new TrackCapture(context, source, silent, muteElementsOf(track));
  }

  /** Whether the browser runs it. It does not before the visitor's first gesture: `wake` in that gesture. */
  get isRunning(): boolean {
    return this.context.state === "running";
  }

  wake(): void {
    void this.context.resume().catch(() => {});
  }

  stop(): void {
    this.source.disconnect();
    this.silent.srcObject = null;
    for (const element of this.muted) element.muted = false;
    void this.context.close().catch(() => {});
  }
}

/** Mute the elements of the page that play this track and no other sound: the avatar speaks it. Return them. */
function muteElementsOf(track: MediaStreamTrack): HTMLMediaElement[] {
  const elements = [...document.querySelectorAll<HTMLMediaElement>("audio, video")];
  const playing = elements.filter(({ muted, srcObject }) => {
    const tracks = srcObject instanceof MediaStream ? srcObject.getAudioTracks() : [];
    return !muted && tracks.length > 0 && tracks.every(({ id }) => id === track.id);
  });
  for (const element of playing) element.muted = true;
  return playing;
}
