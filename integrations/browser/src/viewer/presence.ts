// Notices within a second that nothing comes any more. Either the server has lost the viewer: the stage that sent its
// media has failed, and the session goes on on another one. Or the way to the server has changed. The browser itself
// would wait for many seconds, because a short silence is no loss.

const CHECK_EVERY_MS = 250;
const QUIET_MS = 500; // a room sends sound every 20 ms, also while the avatar is silent
const ASK_EVERY_MS = 500;
const STALLED_AT = 2; // answers in one silence: a second of it is no jitter ...
const STALLED_EVERY = 6; // ... and another path is looked for every three seconds

/** Decides when to ask the server whether the viewer is still in its room. Pure. */
export class Silence {
  private packets = -1; // at the last check
  private heardAtMs = 0; // when packets had come at last
  private askedAtMs = Number.NEGATIVE_INFINITY;
  private answers = 0; // in this silence

  /** `packets`: how many have come so far. Return whether to ask now. */
  check(packets: number, nowMs: number): boolean {
    if (packets !== this.packets) {
      this.packets = packets;
      this.heardAtMs = nowMs;
      this.answers = 0;
      return false;
    }
    if (packets <= 0 || nowMs - this.heardAtMs < QUIET_MS || nowMs - this.askedAtMs < ASK_EVERY_MS) return false;
    this.askedAtMs = nowMs;
    return true;
  }

  /** The server knows the viewer. Return whether to look for another path to it now. */
  answered(): boolean {
    this.answers += 1;
    return this.answers % STALLED_EVERY === STALLED_AT;
  }
}

/**
 * Watch a connection that receives media. `isKnown` asks the server for it; null: it does not answer. Call `lost` once
 * when the server does not know the viewer any more, and `stalled` when it does and nothing comes. Return a function
 * that ends the watch.
 */
export function watchPresence(
  peer: RTCPeerConnection,
  isKnown: () => Promise<boolean | null>,
  events: { lost(): void; stalled(): void },
): () => void {
  const silence = new Silence();
  const timer = setInterval(() => void check(), CHECK_EVERY_MS);
  let stopped = false;
  let checking = false;

  async function check(): Promise<void> {
    if (checking) return;
    checking = true;
    try {
      const packets = packetsReceived(await peer.getStats());
      if (stopped || !silence.check(packets, performance.now())) return;
      const known = await isKnown();
      if (stopped) return;
      if (known === false) {
        stop();
        events.lost();
      } else if (known === true && silence.answered()) {
        events.stalled();
      }
    } finally {
      checking = false;
    }
  }

  function stop(): void {
    stopped = true;
    clearInterval(timer);
  }
  return stop;
}

function packetsReceived(stats: RTCStatsReport): number {
  let packets = 0;
  stats.forEach((entry) => {
    if (entry.type === "inbound-rtp") packets += entry.packetsReceived ?? 0;
  });
  return packets;
}
