// Watches one room until it ends: joins, notices that the connection or the picture has stopped, joins again. Owns its peer connection.

import { nextJoinStep, type JoinOutcome, type RoomState } from "./join-step";
import { iceServersOf, joinRoom, type WhepConnection, type WhepExchange } from "./whep";

const WATCH_EVERY_MS = 1_000;
const DISCONNECTED_FOR_S = 3; // a network hiccup shorter than this heals by itself
const NO_FRAME_FOR_S = 5; // the avatar's idle picture never stops, so this long without a frame is a loss
const CONNECT_WITHIN_S = 10;

export interface RoomViewerEvents {
  state(state: RoomState): void;
  stream(stream: MediaStream): void;
  stats?(stats: RTCStatsReport): void; // once a second while live
  exchanged?: WhepExchange;
}

export class RoomViewer {
  private connection: WhepConnection | null = null;
  private lost: WhepConnection | null = null; // the connection before, until the room has been joined again
  private readonly stopped = new AbortController();
  private iceServers: RTCIceServer[] | null = null; // null until asked for
  private attempt = 0;
  private framesSeen = 0;
  private idleS = 0;
  private live = false;
  private retryTimer: ReturnType<typeof setTimeout> | undefined;
  private watchTimer: ReturnType<typeof setInterval> | undefined;

  constructor(
    private readonly whepUrl: string,
    private readonly token: string,
    private readonly events: RoomViewerEvents,
  ) {}

  start(): void {
    this.events.state({ kind: "connecting" });
    void this.join();
  }

  /** Leave the room, and tell the server so unless the session is over, with which every viewer is gone. Idempotent; no event follows. */
  stop(sessionIsOver = false): void {
    if (this.stopped.signal.aborted) return;
    this.stopped.abort();
    clearTimeout(this.retryTimer);
    if (!sessionIsOver) this.connection?.leave();
    this.disconnect();
  }

  private disconnect(): void {
    clearInterval(this.watchTimer);
    this.connection?.peer.close();
    this.connection = null;
    this.live = false;
  }

  private async join(): Promise<void> {
    this.iceServers ??= await iceServersOf(this.whepUrl);
    const joined = await joinRoom(this.whepUrl, this.token, this.iceServers, this.stopped.signal, this.events.exchanged);
    if (this.stopped.signal.aborted) {
      if ("peer" in joined) joined.leave();
      return;
    }
    if (!("peer" in joined)) {
      this.follow(joined);
      return;
    }
    this.lost?.leave(); // the room is still there, so its server may still hold the lost connection
    this.lost = null;
    this.connection = joined;
    this.framesSeen = 0;
    this.idleS = 0;
    const { peer } = joined;
    peer.addEventListener("connectionstatechange", () => {
      if (this.connection?.peer === peer && (peer.connectionState === "failed" || peer.connectionState === "closed")) this.lose();
    });
    for (const receiver of peer.getReceivers()) {
      // The server closes DTLS when the session ends or its stage dies; nothing else tells a browser so at once.
      receiver.transport?.addEventListener("statechange", () => {
        if (this.connection?.peer === peer && receiver.transport?.state === "closed") this.lose();
      });
    }
    this.watchTimer = setInterval(() => void this.watch(peer), WATCH_EVERY_MS);
    this.events.stream(joined.stream);
  }

  /** Called by the page when the first frame is on the screen, and by `watch` for pages that cannot tell. */
  frameShown(): void {
    if (this.connection === null || this.live) return;
    this.live = true;
    this.follow({ kind: "joined" });
  }

  private async watch(peer: RTCPeerConnection): Promise<void> {
    const stats = await peer.getStats();
    if (this.connection?.peer !== peer) return;
    let frames = 0;
    stats.forEach((entry) => {
      if (entry.type === "inbound-rtp" && entry.kind === "video") frames += entry.framesDecoded ?? 0;
    });
    const moving = frames > this.framesSeen;
    this.framesSeen = frames;
    // A page in the background decodes nothing, and that is no loss.
    this.idleS = moving || document.hidden ? 0 : this.idleS + WATCH_EVERY_MS / 1000;
    if (moving) this.frameShown();
    if (this.live) this.events.stats?.(stats);
    const limitS = !this.live ? CONNECT_WITHIN_S : peer.connectionState === "disconnected" ? DISCONNECTED_FOR_S : NO_FRAME_FOR_S;
    if (this.idleS >= limitS) this.lose();
  }

  private lose(): void {
    if (this.connection === null) return;
    const wasLive = this.live;
    this.lost = this.connection;
    this.disconnect();
    this.follow(wasLive ? { kind: "lost" } : { kind: "unreachable" });
  }

  private follow(outcome: JoinOutcome): void {
    const step = nextJoinStep(outcome, this.attempt, Math.random());
    this.attempt = step.attempt;
    this.events.state(step.state);
    if (step.retryInMs !== null) this.retryTimer = setTimeout(() => void this.join(), step.retryInMs);
  }
}
