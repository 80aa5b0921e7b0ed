// One session from its creation to its end: REST, channel and room together. Ends itself on every way out, so that none is left behind.

import { ApiError, type Api, type CreatedSession } from "./api";
import { Channel, type ChannelMessage } from "./channel";
import { RoomViewer } from "../shared/room-viewer";
import type { RoomState } from "../shared/join-step";
import { wantedOutput } from "./scene";
import { formatBytes, type WireLog } from "./wire-log";

const TRY_AGAIN_MS = 400;
const TRY_AGAIN_FOR_MS = 30_000;

export interface SessionRunEvents {
  created(session: CreatedSession): void;
  started(channelAddress: string): void;
  live(firstFrameMs: number): void; // the first frame is shown and the channel is open
  room(state: RoomState): void;
  stream(stream: MediaStream): void;
  stats(stats: RTCStatsReport): void;
  message(message: ChannelMessage): void;
  channel(state: "ready" | "interrupted"): void;
  ended(code: number, reason: string): void; // by the server; the last event
  failed(error: unknown): void; // could not be opened; the last event
}

export class SessionRun {
  session: CreatedSession | null = null;
  channel: Channel | null = null;
  private viewer: RoomViewer | null = null;
  private over = false;
  private firstFrameMs: number | null = null;
  private announced = false;
  private readonly createdAtMs = performance.now();

  constructor(
    private readonly api: Api,
    private readonly log: WireLog,
    private readonly events: SessionRunEvents,
  ) {}

  /** Create, start, open the channel and join the room. Never throws: what goes wrong is an event. */
  async open(lookId: string): Promise<void> {
    try {
      this.session = await this.api.createSession(lookId, wantedOutput());
      if (this.over) return; // ended while it was being created; a created session costs nothing
      this.events.created(this.session);
      const address = await this.start(this.session.session_id);
      if (this.over) {
        this.endOnServer();
        return;
      }
      this.events.started(address);
      this.join(this.session, address);
    } catch (error) {
      if (this.over) return;
      this.leave();
      this.events.failed(error);
    }
  }

  private async start(sessionId: string): Promise<string> {
    const untilMs = performance.now() + TRY_AGAIN_FOR_MS;
    for (;;) {
      const address = await this.api.startSession(sessionId);
      if (address !== "try_again") return address;
      if (this.over) return address;
      if (performance.now() > untilMs) throw new ApiError(503, "NO_CAPACITY", "No performer was found in time", "", null);
      await new Promise((resolve) => setTimeout(resolve, TRY_AGAIN_MS));
    }
  }

  private join(session: CreatedSession, address: string): void {
    this.channel = new Channel(address, session, this.log, {
      established: () => {
        this.events.channel("ready");
        this.announce();
      },
      message: (message) => this.events.message(message),
      interrupted: () => this.events.channel("interrupted"),
      closed: (code, reason) => {
        if (this.over) return;
        this.leave();
        this.events.ended(code, reason);
      },
    });
    this.channel.open();
    this.viewer = new RoomViewer(`${new URL(session.daily_room.url).pathname.replace(/\/+$/, "")}/whep`, session.daily_room.token, {
      state: (state) => this.events.room(state),
      stream: (stream) => this.events.stream(stream),
      stats: (stats) => this.events.stats(stats),
      exchanged: (event) => {
        const title = "POST …/whep";
        if (event.kind === "offered") {
          this.log.add({ kind: "room", direction: "out", title, note: `SDP offer · ${formatBytes(event.bytes)}` });
          return;
        }
        const { status, bytes, elapsedMs } = event;
        const note = status === null ? "no answer" : `${status} · ${Math.round(elapsedMs)} ms · ${formatBytes(bytes)}`;
        this.log.add({ kind: "room", direction: "in", title, note, failed: status === null || (status >= 400 && status !== 409) });
      },
    });
    this.viewer.start();
  }

  /** The page has put the first frame of the stream on the screen. */
  frameShown(): void {
    this.firstFrameMs ??= performance.now() - this.createdAtMs;
    this.viewer?.frameShown();
    this.announce();
  }

  private announce(): void {
    if (this.announced || this.firstFrameMs === null || this.channel?.isReady !== true) return;
    this.announced = true;
    this.events.live(this.firstFrameMs);
  }

  /** End it, here and on the server. Idempotent; no event follows. Sent in one go, so that it also works while the page goes away. */
  end(): void {
    if (this.over) return;
    this.leave();
    this.endOnServer();
  }

  private leave(): void {
    this.over = true;
    this.viewer?.stop(true);
    this.channel?.close();
  }

  private endOnServer(): void {
    if (this.session === null) return;
    // A session that was never started needs no end (409), and the server's sweep ends what this cannot reach.
    void this.api.endSession(this.session.session_id).catch(() => {});
  }
}
