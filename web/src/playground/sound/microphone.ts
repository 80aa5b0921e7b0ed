// The microphone: permission, capture on the audio thread, PCM16 pieces of 40 ms.

import captureUrl from "@client/sound/capture.worklet.js?worker&url";
import { floatToPcm16 } from "@client/sound/pcm.js";

const MAX_RATE_HZ = 48_000; // capture.worklet.ts divides higher rates

type Refusal = "notAllowedHere" | "blocked" | "missing" | "taken" | "notOpened";

/** A microphone that cannot be opened. */
export class MicrophoneError extends Error {
  constructor(readonly reason: Refusal) {
    super(reason);
  }
}

export class Microphone {
  private constructor(
    private readonly context: AudioContext,
    private readonly stream: MediaStream,
  ) {}

  /**
   * Ask for the microphone and start the capture. The caller closes it. `piece` gets the sound, `lost` is called when
   * the device goes away. Raises MicrophoneError.
   */
  static async open(piece: (pcm: Int16Array, sampleRateHz: number) => void, lost: () => void): Promise<Microphone> {
    if (navigator.mediaDevices === undefined || typeof AudioWorkletNode === "undefined") {
      throw new MicrophoneError("notAllowedHere");
    }
    let stream: MediaStream;
    try {
      const audio = { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true };
      stream = await navigator.mediaDevices.getUserMedia({ audio });
    } catch (error) {
      throw new MicrophoneError(refusalOf(error));
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
    const rateHz = context.sampleRate / Math.ceil(context.sampleRate / MAX_RATE_HZ);
    node.port.onmessage = (event: MessageEvent<Float32Array>) => piece(floatToPcm16(event.data), rateHz);
    context.createMediaStreamSource(stream).connect(node);
    stream.getAudioTracks()[0]?.addEventListener("ended", lost);
    return new Microphone(context, stream);
  }

  close(): void {
    for (const track of this.stream.getTracks()) track.stop();
    void this.context.close();
  }
}

function refusalOf(error: unknown): Refusal {
  switch (error instanceof DOMException ? error.name : "") {
    case "NotAllowedError":
      return "blocked";
    case "NotFoundError":
      return "missing";
    case "NotReadableError":
      return "taken";
    default:
      return "notOpened";
  }
}
