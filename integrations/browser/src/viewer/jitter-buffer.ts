// Sets a connection's jitter buffers by what its network does.

import { JitterTarget } from "./jitter-target.js";

const LOOK_EVERY_MS = 500;

interface Totals {
  atMs: number;
  nacks: number;
  frozenS: number;
}

export class JitterBuffer {
  private readonly target = new JitterTarget();
  private before: Totals | null = null;
  private readonly timer = setInterval(() => void this.look(), LOOK_EVERY_MS);

  /** `weak` is called when the network becomes too weak for any buffer, and when it no longer is. */
  constructor(
    private readonly peer: RTCPeerConnection,
    private readonly weak: (isWeak: boolean) => void,
  ) {}

  stop(): void {
    clearInterval(this.timer);
  }

  private async look(): Promise<void> {
    const stats = await this.peer.getStats();
    if (this.peer.connectionState !== "connected") return;
    const now: Totals = { atMs: performance.now(), nacks: 0, frozenS: 0 };
    let jitterS = 0;
    let roundTripS = 0;
    stats.forEach((entry) => {
      if (entry.type === "inbound-rtp" && entry.kind === "video") {
        now.nacks += entry.nackCount ?? 0;
        now.frozenS += entry.totalFreezesDuration ?? 0;
        jitterS = Math.max(jitterS, entry.jitter ?? 0);
      }
      if (entry.type === "candidate-pair" && entry.nominated) {
        roundTripS = Math.max(roundTripS, entry.currentRoundTripTime ?? 0);
      }
    });
    const { before } = this;
    this.before = now;
    if (before === null) return;
    const wasWeak = this.target.weak;
    const targetMs = this.target.next({
      elapsedS: (now.atMs - before.atMs) / 1000,
      nacks: now.nacks - before.nacks,
      frozenS: now.frozenS - before.frozenS,
      jitterS,
      roundTripS,
    });
    if (this.target.weak !== wasWeak) this.weak(this.target.weak);
    for (const receiver of this.peer.getReceivers() as (RTCRtpReceiver & { jitterBufferTarget?: number | null })[]) {
      if ("jitterBufferTarget" in receiver) receiver.jitterBufferTarget = targetMs; // sound waits for its picture
    }
  }
}
