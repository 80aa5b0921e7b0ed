// The microphone: permission, capture on the audio thread, PCM16 pieces of 40 ms.

import captureUrl from "./capture.worklet.ts?worker&url";
import { floatToPcm16 } from "./pcm";

const HIGHEST_RATE_HZ = 48_000;

export class MicrophoneError extends Error {}

export class Microphone {
  private constructor(
    private readonly context: AudioContext,
    private readonly stream: MediaStream,
    readonly sampleRateHz: number,
  ) {}

  /** Ask for the microphone and start. Raises MicrophoneError with words for the visitor. Whoever opens it closes it. */
  static async open(piece: (pcm: Int16Array, sampleRateHz: number) => void, lost: () => void): Promise<Microphone> {
    if (navigator.mediaDevices === undefined || typeof AudioWorkletNode === "undefined") {
      throw new MicrophoneError("Browsers give the microphone only to pages on https or localhost. Open this page over either.");
    }
    let stream: MediaStream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true } });
    } catch (error) {
      throw new MicrophoneError(whyNoMicrophone(error));
    }
    const context = new AudioContext({ latencyHint: "interactive" });
    try {
      await context.audioWorklet.addModule(captureUrl);
    } catch (error) {
      for (const track of stream.getTracks()) track.stop();
      void context.close();
      throw error;
    }
    void context.resume();
    const node = new AudioWorkletNode(context, "capture", { numberOfOutputs: 0 });
    const rateHz = context.sampleRate / Math.ceil(context.sampleRate / HIGHEST_RATE_HZ);
    node.port.onmessage = (event: MessageEvent<Float32Array>) => piece(floatToPcm16(event.data), rateHz);
    context.createMediaStreamSource(stream).connect(node);
    stream.getAudioTracks()[0]?.addEventListener("ended", lost);
    return new Microphone(context, stream, rateHz);
  }

  close(): void {
    for (const track of this.stream.getTracks()) track.stop();
    void this.context.close();
  }
}

export function whyNoMicrophone(error: unknown): string {
  switch (error instanceof DOMException ? error.name : "") {
    case "NotAllowedError":
      return "The microphone is blocked for this page. Allow it in the browser's address bar, then try again.";
    case "NotFoundError":
      return "No microphone was found. Connect one, then try again.";
    case "NotReadableError":
      return "Another program holds the microphone. Close that program, then try again.";
    default:
      return "The microphone could not be opened.";
  }
}
