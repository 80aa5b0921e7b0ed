// One session from its creation to its end. It owns the session's channel, its room viewer and its speech ledger, and
// reports what happens as events. It ends the session on the server whenever the page lets go of it.

import type { RoomState } from "@client/viewer/join-step.js";
import { RoomViewer } from "@client/viewer/room-viewer.js";
import type { WhepExchange } from "@client/viewer/whep.js";
import { AUDIBLE_LEVEL, leadingQuietS } from "../sound/sound-onset";
import { ApiError } from "../../operator/answers";
import { texts } from "../../operator/texts";
import type { Api } from "../wire/api";
import { Channel } from "../wire/channel";
import type { ChannelMessage, CreatedSession, Output, PictureSize, SettableState } from "../wire/types";
import { formatBytes, type WireLog } from "../wire/wire-log";
import { OutputUpdates } from "./output-updates";
import { type ByteCount, type PictureFigures, readStats } from "./picture-figures";
import { readLatencyMs, readSecond, type Second } from "./server-metrics";
import { SpeechLedger } from "./speech-ledger";

const START_RETRY_MS = 400;
const START_LIMIT_MS = 30_000;

/** What a session is opened with. */
interface SessionRequest {
  lookId: string;
  output: Partial<Output> | undefined; // what differs from the default output
  size: PictureSize;
}

export interface SessionEvents {
  created(session: CreatedSession): void;
  started(channelAddress: string): void;
  live(firstFrameMs: number): void; // the first frame is shown and the channel is ready
  room(state: RoomState): void;
  stream(stream: MediaStream): void;
  figures(figures: PictureFigures): void; // once a second
  channel(connected: boolean): void;
  speaking(speaking: boolean): void;
  playbackStarted(latencyMs: number): void;
  agentState(state: string): void;
  second(second: Second): void; // once a second, while somebody watches
  utteranceMeasured(latencyMs: number): void; // from its turn to its first frame
  refused(text: string): void; // the server refused a channel message
  ended(code: number, reason: string): void; // by the server; the last event
  failed(error: unknown): void; // the session could not be opened; the last event
}

export class SessionRun {
  private session: CreatedSession | null = null;
  private channel: Channel | null = null;
  private viewer: RoomViewer | null = null;
  private size: PictureSize;
  private over = false;
  private announced = false; // `live` was reported
  private firstFrameMs: number | null = null;
  private byteCount: ByteCount | null = null;
  private utterances = 0; // recordings and texts; numbers the utterance ids
  private readonly openedAtMs = performance.now();
  private readonly ledger = new SpeechLedger();
  private readonly updates = new OutputUpdates((change) => this.channel?.updateOutput(change) ?? false);

  constructor(
    private readonly api: Api,
    private readonly log: WireLog,
    private readonly request: SessionRequest,
    private readonly events: SessionEvents,
  ) {
    this.size = request.size;
  }

  /** Create and start the session, open the channel and join the room. Never throws: failures are events. */
  async open(): Promise<void> {
    try {
      this.session = await this.api.createSession(this.request.lookId, this.request.output);
      if (this.over) return; // a session that is created and never started costs nothing
      this.events.created(this.session);
      const channelAddress = await this.start(this.session.session_id);
      if (this.over) {
        this.endOnServer();
        return;
      }
      this.events.started(channelAddress);
      this.openChannel(this.session, channelAddress);
      this.joinRoom(this.session);
    } catch (error) {
      if (this.over) return;
      this.disconnect();
      this.events.failed(error);
    }
  }

  /** The page shows the first frame of the stream. */
  frameShown(): void {
    this.firstFrameMs ??= performance.now() - this.openedAtMs;
    this.viewer?.frameShown();
    this.announceLive();
  }

  /** Sound began in the room. Return its latency in milliseconds, null if none was measured. */
  soundHeard(atMs: number): number | null {
    return this.ledger.heard(atMs);
  }

  /** Whether speech is queued or playing. */
  get hasSpeech(): boolean {
    return this.ledger.isBusy;
  }

  /** Speak a recording as one utterance, whose id begins with `label`. */
  speak(label: string, pcm: Int16Array, sampleRateHz: number): void {
    this.utterances += 1;
    const utteranceId = `${label}-${this.utterances}`;
    const nowMs = performance.now();
    this.ledger.sent(utteranceId, nowMs, nowMs + leadingQuietS(pcm, sampleRateHz) * 1000);
    this.channel?.speak(pcm, sampleRateHz, utteranceId);
  }

  /** Have the server speak a text as one utterance. */
  say(text: string): void {
    this.utterances += 1;
    const utteranceId = `text-${this.utterances}`;
    this.ledger.sent(utteranceId, performance.now(), null);
    this.channel?.say(text, utteranceId);
  }

  /** Send a piece of live speech. `level` is its RMS. */
  stream(pcm: Int16Array, sampleRateHz: number, level: number): void {
    const nowMs = performance.now();
    this.ledger.sent(null, nowMs, level >= AUDIBLE_LEVEL ? nowMs : null);
    this.channel?.stream(pcm, sampleRateHz);
  }

  /** Stop all speech. Speech sent after this is new, so the ledger is cleared now and not with the confirmation. */
  interrupt(): void {
    this.channel?.interrupt();
    this.clearSpeech();
  }

  changeOutput(change: Partial<Output>): void {
    this.updates.change(change);
  }

  changeSize(size: PictureSize): void {
    this.size = size;
    this.channel?.resize(size);
  }

  setState(state: SettableState): void {
    this.channel?.setState(state);
  }

  /** End the session here and on the server. Idempotent; no event follows. It also works while the page is closed. */
  end(): void {
    if (this.over) return;
    this.disconnect();
    this.endOnServer();
  }

  private async start(sessionId: string): Promise<string> {
    const deadlineMs = performance.now() + START_LIMIT_MS;
    for (;;) {
      const address = await this.api.startSession(sessionId);
      if (address !== "try_again" || this.over) return address;
      if (performance.now() > deadlineMs) throw new ApiError(503, "NO_CAPACITY", "", "", null);
      await new Promise((resolve) => setTimeout(resolve, START_RETRY_MS));
    }
  }

  private openChannel(session: CreatedSession, address: string): void {
    this.channel = new Channel(
      address,
      session,
      this.size,
      this.log,
      {
        established: () => {
          this.events.channel(true);
          this.updates.connected();
          this.announceLive();
        },
        message: (message) => this.receive(message),
        interrupted: () => {
          this.updates.interrupted();
          this.clearSpeech();
          this.events.channel(false);
        },
        closed: (code, reason) => {
          if (this.over) return;
          this.disconnect();
          this.events.ended(code, reason);
        },
      },
      this.api.signIn?.speaksText,
    );
    this.channel.open();
  }

  private joinRoom({ daily_room: room }: CreatedSession): void {
    const whepUrl = `${new URL(room.url).pathname.replace(/\/+$/, "")}/whep`;
    this.viewer = new RoomViewer(whepUrl, room.token, {
      state: (state) => this.events.room(state),
      stream: (stream) => this.events.stream(stream),
      stats: (stats) => {
        const { figures, count } = readStats(stats, this.byteCount);
        this.byteCount = count;
        this.events.figures(figures);
      },
      exchanged: (exchange) => this.logExchange(exchange),
    });
    this.viewer.start();
  }

  private receive(message: ChannelMessage): void {
    const utteranceId = String(message.utterance_id ?? "");
    switch (message.type) {
      case "agent.playback.started": {
        const latencyMs = this.ledger.started(utteranceId, performance.now());
        if (latencyMs !== null) this.events.playbackStarted(latencyMs);
        break;
      }
      case "agent.playback.finished":
        this.ledger.finished(utteranceId);
        break;
      case "agent.state":
        this.events.agentState(String(message.state ?? ""));
        break;
      case "session.metrics": {
        const second = readSecond(message);
        if (second !== null) this.events.second(second);
        return;
      }
      case "utterance.metrics": {
        const latencyMs = readLatencyMs(message);
        if (latencyMs !== null) this.events.utteranceMeasured(latencyMs);
        break;
      }
      case "session.updated":
        this.updates.answered();
        break;
      case "error":
        // A refused update has no other answer. An error of an utterance answers none.
        if (message.utterance_id === undefined) this.updates.answered();
        this.events.refused(String(message.error ?? texts.value.playground.refusedMessage));
        break;
    }
    this.events.speaking(this.ledger.isSpeaking);
  }

  private clearSpeech(): void {
    this.ledger.clear();
    this.events.speaking(false);
  }

  private announceLive(): void {
    if (this.announced || this.firstFrameMs === null || this.channel?.isReady !== true) return;
    this.announced = true;
    this.events.live(this.firstFrameMs);
  }

  private logExchange(exchange: WhepExchange): void {
    const title = "POST …/whep";
    if (exchange.kind === "offered") {
      const note = `SDP offer · ${formatBytes(exchange.bytes)}`;
      this.log.add({ kind: "room", direction: "out", title, note });
      return;
    }
    const { status, bytes, elapsedMs } = exchange;
    const note = status === null ? "no answer" : `${status} · ${Math.round(elapsedMs)} ms · ${formatBytes(bytes)}`;
    const failed = status === null || (status >= 400 && status !== 409); // 409: the session has not started yet
    this.log.add({ kind: "room", direction: "in", title, note, failed });
  }

  private disconnect(): void {
    this.over = true;
    this.viewer?.stop(true);
    this.channel?.close();
  }

  private endOnServer(): void {
    if (this.session === null) return;
    // A session that was never started cannot be ended (409). The server ends by itself what this request cannot reach.
    void this.api.endSession(this.session.session_id).catch(() => {});
  }
}
