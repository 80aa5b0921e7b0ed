// Finds the instant at which sound begins, from levels measured every few milliseconds.

import { rms } from "./pcm";

export const AUDIBLE = 0.004; // RMS of full scale, about -48 dBFS
const QUIET_FOR_MS = 150; // shorter gaps belong to the speech around them

/** The seconds of quiet before the first sound of a recording. */
export function quietLeadS(pcm: Int16Array, sampleRateHz: number): number {
  const window = Math.round(sampleRateHz / 100);
  for (let i = 0; i < pcm.length; i += window) if (rms(pcm.subarray(i, i + window)) >= AUDIBLE) return i / sampleRateHz;
  return pcm.length / sampleRateHz;
}

export class SoundOnset {
  private quietSinceMs: number | null = null; // null while there is sound

  /** Take one level; return whether sound begins here. */
  push(level: number, atMs: number): boolean {
    if (level < AUDIBLE) {
      this.quietSinceMs ??= atMs;
      return false;
    }
    const begins = this.quietSinceMs !== null && atMs - this.quietSinceMs >= QUIET_FOR_MS;
    this.quietSinceMs = null;
    return begins;
  }
}
