// Decodes recordings to mono PCM16, as far as the browser can.

import { floatToPcm16, mixToMono } from "@client/sound/pcm.js";

export const RECORDING_RATE_HZ = 24_000;
const MAX_DURATION_S = 600; // the server queues at most this much speech
const MIN_DURATION_S = 0.05;

/** A recording that cannot be spoken. */
export class RecordingError extends Error {
  constructor(readonly reason: "unreadable" | "tooLong" | "empty" | "notThere") {
    super(reason);
  }
}

/** Decode a recording to PCM16 at RECORDING_RATE_HZ. Raises RecordingError. */
export async function decodeRecording(data: ArrayBuffer): Promise<Int16Array> {
  let buffer: AudioBuffer;
  try {
    // An offline context needs no gesture and resamples every file to its own rate.
    buffer = await new OfflineAudioContext(1, 1, RECORDING_RATE_HZ).decodeAudioData(data);
  } catch {
    throw new RecordingError("unreadable");
  }
  if (buffer.duration > MAX_DURATION_S) {
    throw new RecordingError("tooLong");
  }
  if (buffer.duration < MIN_DURATION_S) throw new RecordingError("empty");
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, index) => buffer.getChannelData(index));
  return floatToPcm16(mixToMono(channels));
}
