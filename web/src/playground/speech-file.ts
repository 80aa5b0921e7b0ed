// Recordings, as the browser can decode them, to mono PCM16.

import { floatToPcm16, mixToMono } from "./pcm";

export const FILE_RATE_HZ = 24_000;
const LONGEST_S = 600; // what the server queues

export class SpeechFileError extends Error {}

/** Raises SpeechFileError with words for the visitor. */
export async function decodeSpeech(data: ArrayBuffer): Promise<Int16Array> {
  let buffer: AudioBuffer;
  try {
    // An offline context decodes without a gesture and brings every file to its own rate.
    buffer = await new OfflineAudioContext(1, 1, FILE_RATE_HZ).decodeAudioData(data);
  } catch {
    throw new SpeechFileError("This file could not be read as sound. WAV, MP3, M4A, OGG and FLAC work in most browsers.");
  }
  if (buffer.duration > LONGEST_S) throw new SpeechFileError("This recording is longer than ten minutes. Choose a shorter one.");
  if (buffer.duration < 0.05) throw new SpeechFileError("This recording is empty.");
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, index) => buffer.getChannelData(index));
  return floatToPcm16(mixToMono(channels));
}
