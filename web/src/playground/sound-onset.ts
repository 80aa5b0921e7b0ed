// Finds the instant at which sound begins, from levels measured every few milliseconds.

const LOUD = 0.004; // RMS of full scale, about -48 dBFS
const QUIET_FOR_MS = 150; // shorter gaps belong to the speech around them

export class SoundOnset {
  private quietSinceMs: number | null = null; // null while there is sound

  /** Take one level; return whether sound begins here. */
  push(level: number, atMs: number): boolean {
    if (level < LOUD) {
      this.quietSinceMs ??= atMs;
      return false;
    }
    const begins = this.quietSinceMs !== null && atMs - this.quietSinceMs >= QUIET_FOR_MS;
    this.quietSinceMs = null;
    return begins;
  }
}
