// When a lost channel is opened again. Pure: the caller gives the time.

const WAITS_MS = [0, 250, 500, 1_000, 2_000, 4_000, 8_000];
const SPREAD = 1 / 3; // random, so that the clients of a restarted server do not return together
const MOST_TRIES = 8; // a server that accepts and closes at once sees no more than this ...
const WITHIN_MS = 60_000; // ... in a minute
const GOOD_AFTER_MS = 10_000; // a connection that held so long was a good one: the waits begin anew

/** After these closes a channel is never opened again: the server has decided. */
const FINAL_CODES = new Set([1000, 1007, 1009, 4400, 4401, 4404, 4408, 4409, 4410]);

export function isFinal(closeCode: number): boolean {
  return FINAL_CODES.has(closeCode);
}

export class Reconnects {
  private triesMs: number[] = [];
  private failed = 0;

  /** A connection has ended after `lastedMs`; 0 for one that never opened. */
  lost(lastedMs: number): void {
    this.failed = lastedMs >= GOOD_AFTER_MS ? 0 : this.failed + 1;
  }

  /** The machine has a network again. */
  online(): void {
    this.failed = 0;
  }

  /** Return how long to wait before the next try. `random` is in [0, 1). */
  waitMs(nowMs: number, random: number): number {
    const waitMs = (WAITS_MS[this.failed] ?? WAITS_MS.at(-1) ?? 0) * (1 - SPREAD * random);
    const first = this.triesMs.length === MOST_TRIES ? (this.triesMs[0] ?? nowMs) : null;
    return Math.max(0, waitMs, first === null ? 0 : first + WITHIN_MS - nowMs);
  }

  /** A try begins now. */
  tries(nowMs: number): void {
    this.triesMs.push(nowMs);
    if (this.triesMs.length > MOST_TRIES) this.triesMs.shift();
  }
}
