// Decides how long the browser keeps media before it shows them: nothing on a good network, longer where packets come
// late or must be sent again. Pure.

/** What the browser has seen since the last look. */
export interface NetworkLook {
  elapsedS: number;
  nacks: number; // requests to send lost packets again
  frozenS: number; // how long the picture stood still
  jitterS: number; // the mean difference of transit times (RFC 3550)
  roundTripS: number;
}

const MAX_MS = 400;
const STEP_MS = 20;
const JITTERS = 4; // a target of so many mean differences holds nearly all packets
const JITTER_OF_NOTE_S = 0.02; // pictures of several packets have some jitter on every network
const NACKS_OF_NOTE = 1.5; // a single loss is no reason to be late
const NACKS_FORGOTTEN_AFTER_S = 4;
const AFTER_FREEZE_MS = 100;
const WEAK_FROZEN_S = 1; // of the last seconds, with the longest buffer: the network is too weak ...
const FROZEN_FORGOTTEN_AFTER_S = 5;
const STRONG_FROZEN_S = 0.2; // ... until so little is left of it
const CALM_S = 10; // then the target falls, ...
const FALLS_MS_PER_S = 20; // ... slowly: a picture that hurries is seen, too

export class JitterTarget {
  private targetMs = 0;
  private nacks = 0; // lately
  private calmS = 0;
  private frozenS = 0; // lately
  private isWeak = false;

  /** Whether the picture stands still too often, and no buffer helps. */
  get weak(): boolean {
    return this.isWeak;
  }

  /** Return the target in ms, in steps of 20. */
  next(look: NetworkLook): number {
    this.nacks = this.nacks * Math.exp(-look.elapsedS / NACKS_FORGOTTEN_AFTER_S) + look.nacks;
    this.frozenS = this.frozenS * Math.exp(-look.elapsedS / FROZEN_FORGOTTEN_AFTER_S) + look.frozenS;
    const wantedMs = Math.min(MAX_MS, this.wantedMs(look));
    if (wantedMs >= this.targetMs) {
      this.targetMs = wantedMs;
      this.calmS = 0;
    } else {
      this.calmS += look.elapsedS;
      if (this.calmS > CALM_S) {
        this.targetMs = Math.max(wantedMs, this.targetMs - FALLS_MS_PER_S * look.elapsedS);
      }
    }
    this.isWeak = this.isWeak
      ? this.frozenS > STRONG_FROZEN_S
      : this.frozenS > WEAK_FROZEN_S && this.targetMs === MAX_MS;
    return Math.ceil(this.targetMs / STEP_MS) * STEP_MS;
  }

  private wantedMs({ frozenS, jitterS, roundTripS }: NetworkLook): number {
    const jitterMs = jitterS > JITTER_OF_NOTE_S ? JITTERS * jitterS * 1000 : 0;
    const repeatedMs = this.nacks > NACKS_OF_NOTE ? roundTripS * 1000 + STEP_MS : 0; // a lost packet comes again
    const frozenMs = frozenS > 0 && this.nacks > NACKS_OF_NOTE ? this.targetMs + AFTER_FREEZE_MS : 0;
    return Math.max(jitterMs + repeatedMs, frozenMs);
  }
}
