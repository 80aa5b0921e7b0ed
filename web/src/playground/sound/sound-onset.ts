// Finds the moment at which sound begins, from levels that are measured every few milliseconds.

import { rms } from "@client/sound/pcm.js";

export const AUDIBLE_LEVEL = 0.004; // RMS of full scale, about -48 dBFS
const MIN_QUIET_MS = 150; // speech has shorter gaps within itself

/** The duration of quiet before the first sound of a recording, in seconds. */
export function leadingQuietS(pcm: Int16Array, sampleRateHz: number): number {
  const window = Math.round(sampleRateHz / 100);
  for (let i = 0; i < pcm.length; i += window) {
    if (rms(pcm.subarray(i, i + window)) >= AUDIBLE_LEVEL) return i / sampleRateHz;
  }
  return pcm.length / sampleRateHz;
}

export class SoundOnset {
  private quietSinceMs: number | null = null; // null while there is sound

  /** Take one level. Return whether sound begins with it. */
  push(level: number, atMs: number): boolean {
    if (level < AUDIBLE_LEVEL) {
      this.quietSinceMs ??= atMs;
      return false;
    }
    const begins = this.quietSinceMs !== null && atMs - this.quietSinceMs >= MIN_QUIET_MS;
    this.quietSinceMs = null;
    return begins;
  }
}
