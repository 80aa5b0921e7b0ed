// Watches one room until its session ends: joins it, notices when the connection or the picture stops, joins again. It
// owns the peer connection.

import { JitterBuffer } from "./jitter-buffer.js";
import { type JoinOutcome, nextJoinStep, type RoomState } from "./join-step.js";
import { PictureLoss } from "./picture-loss.js";
import { watchPresence } from "./presence.js";
import { beginOffer, hasWebRtc, joinRoom, type Offering, type WhepConnection, type WhepExchange } from "./whep.js";

const CHECK_EVERY_MS = 1_000;
// So long the page shows the last picture, and nothing else, while the session goes on elsewhere.
const MAX_UNSAID_MS = 2_500;

interface RoomViewerEvents {
  state(state: RoomState): void;
  stream(stream: MediaStream): void;
  weak?: (isWeak: boolean) => void; // the network is too weak for a steady picture, or no longer
  stats?: (stats: RTCStatsReport) => void; // once a second while live
  exchanged?: (exchange: WhepExchange) => void;
}

export class RoomViewer {
  private connection: WhepConnection | null = null;
  private lost: WhepConnection | null = null; // the connection before, until the room is joined again
  private attempt = 0; // failures since the room was last live
  private pictureLoss = new PictureLoss(); // of the connection
  private live = false;
  private isFirst = true; // the next attempt is the first
  private retryTimer: ReturnType<typeof setTimeout> | undefined;
  private jitterBuffer: JitterBuffer | null = null; // of the connection
  private checkTimer: ReturnType<typeof setInterval> | undefined;
  private stopPresence: () => void = () => {};
  private unsaidTimer: ReturnType<typeof setTimeout> | undefined; // until a loss is told
  private readonly stopped = new AbortController();

  /** `begun`: an offer that was begun before, for the first attempt. It is closed with the viewer. */
  constructor(
    private readonly whepUrl: string,
    private readonly token: string,
    private readonly events: RoomViewerEvents,
    private begun?: Offering,
  ) {}

  start(): void {
    if (!hasWebRtc()) {
      this.events.state({ kind: "refused", reason: "no-webrtc" });
      return;
    }
    this.events.state({ kind: "connecting" });
    // A machine that has another network now: the path to the server is another one, too.
    addEventListener("online", () => this.isOnline(), { signal: this.stopped.signal });
    void this.join();
  }

  /**
   * Leave the room. The server is told, unless the session is over: its end removes every viewer. Idempotent; no event
   * follows.
   */
  stop(sessionIsOver = false): void {
    if (this.stopped.signal.aborted) return;
    this.stopped.abort();
    clearTimeout(this.retryTimer);
    clearTimeout(this.unsaidTimer);
    if (!sessionIsOver) this.connection?.leave();
    this.disconnect();
  }

  /** The page shows the first frame. Without this call the viewer notices within a second that frames arrive. */
  frameShown(): void {
    if (this.connection === null || this.live) return;
    this.live = true;
    this.follow({ kind: "joined" });
  }

  private isOnline(): void {
    if (this.connection !== null) this.connection.restart();
    else if (this.retryTimer !== undefined) this.retry(); // at once
  }

  private retry(): void {
    clearTimeout(this.retryTimer);
    this.retryTimer = undefined;
    void this.join();
  }

  private async join(): Promise<void> {
    const { signal } = this.stopped;
    const offering = this.begun ?? beginOffer();
    this.begun = undefined;
    // The browser prepares to play while the answer is on its way. Later the last picture stays until there is one.
    const isFirst = this.isFirst;
    this.isFirst = false;
    if (isFirst) this.events.stream(offering.stream);
    const joined = await joinRoom(this.whepUrl, this.token, signal, offering, this.events.exchanged);
    if (signal.aborted) {
      if ("peer" in joined) joined.leave();
      return;
    }
    if (!("peer" in joined)) {
      this.follow(joined);
      return;
    }
    this.lost?.leave(); // the room still exists, so the server may still hold the lost connection
    this.lost = null;
    this.connection = joined;
    this.pictureLoss = new PictureLoss();
    this.watchClosing(joined.peer);
    this.stopPresence = watchPresence(joined.peer, joined.isKnown, {
      lost: () => this.joinElsewhere(),
      stalled: () => joined.restart(),
    });
    this.jitterBuffer = new JitterBuffer(joined.peer, (isWeak) => this.events.weak?.(isWeak));
    this.checkTimer = setInterval(() => void this.check(joined.peer), CHECK_EVERY_MS);
    if (!isFirst) this.events.stream(joined.stream);
  }

  private watchClosing(peer: RTCPeerConnection): void {
    const loseIf = (closed: boolean): void => {
      if (closed && this.connection?.peer === peer) this.lose();
    };
    peer.addEventListener("connectionstatechange", () => {
      loseIf(peer.connectionState === "failed" || peer.connectionState === "closed");
    });
    for (const { transport } of peer.getReceivers()) {
      // The server closes DTLS when the session ends or its stage fails. No other signal tells the browser at once.
      transport?.addEventListener("statechange", () => loseIf(transport.state === "closed"));
    }
  }

  private async check(peer: RTCPeerConnection): Promise<void> {
    const stats = await peer.getStats();
    if (this.connection?.peer !== peer) return;
    let framesDecoded = 0;
    let packetsReceived = 0;
    stats.forEach((entry) => {
      if (entry.type !== "inbound-rtp" || entry.kind !== "video") return;
      framesDecoded += entry.framesDecoded ?? 0;
      packetsReceived += entry.packetsReceived ?? 0;
    });
    const lost = this.pictureLoss.check({
      elapsedS: CHECK_EVERY_MS / 1000,
      framesDecoded,
      packetsReceived,
      connected: peer.connectionState !== "disconnected",
      hidden: document.hidden,
      live: this.live,
    });
    if (this.pictureLoss.moving) this.frameShown();
    if (this.live) this.events.stats?.(stats);
    if (lost) this.lose();
  }

  /** The server does not know this viewer any more: join again at once, and tell it only if that takes long. */
  private joinElsewhere(): void {
    this.disconnect();
    this.attempt = 0;
    this.unsaidTimer = setTimeout(() => this.events.state({ kind: "reconnecting", attempt: 1 }), MAX_UNSAID_MS);
    void this.join();
  }

  private lose(): void {
    if (this.connection === null) return;
    const wasLive = this.live;
    this.lost = this.connection;
    this.disconnect();
    this.events.weak?.(false);
    this.follow(wasLive ? { kind: "lost" } : { kind: "unreachable" });
  }

  private disconnect(): void {
    clearInterval(this.checkTimer);
    this.stopPresence();
    this.jitterBuffer?.stop();
    this.connection?.peer.close();
    this.connection = null;
    this.live = false;
  }

  private follow(outcome: JoinOutcome): void {
    clearTimeout(this.unsaidTimer);
    const step = nextJoinStep(outcome, this.attempt, Math.random());
    this.attempt = step.attempt;
    this.events.state(step.state);
    if (step.retryInMs !== null) this.retryTimer = setTimeout(() => this.retry(), step.retryInMs);
  }
}
