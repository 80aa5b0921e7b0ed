// The channel: the WebSocket that carries speech in and events out. Comes back by itself when the connection breaks, within the server's grace.

import { bytesToBase64, chunks, pcm16Bytes } from "./pcm";
import type { CreatedSession } from "./api";
import { format, type Output } from "./scene";
import type { WireLog } from "./wire-log";

const CHUNK_S = 1;
const RETRIES_MS = [300, 1_000, 2_500, 4_000]; // the server waits 10 s for a channel to come back

export type ChannelMessage = { type: string } & Record<string, unknown>;

export interface ChannelEvents {
  established(): void;
  message(message: ChannelMessage): void;
  interrupted(): void; // broken, and being brought back
  closed(code: number, reason: string): void; // for good; the last event
}

export class Channel {
  private socket: WebSocket | null = null;
  private ready = false;
  private stopped = false;
  private failures = 0;
  private announcedRateHz = 0;

  constructor(
    private readonly address: string,
    private readonly session: CreatedSession,
    private readonly log: WireLog,
    private readonly events: ChannelEvents,
  ) {}

  get isReady(): boolean {
    return this.ready;
  }

  open(): void {
    const socket = new WebSocket(this.address);
    const picture = { video_width: format.value.width, video_height: format.value.height };
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.addEventListener("open", () => {
      const { session_id, access_token, daily_room } = this.session;
      this.send({
        type: "session.init",
        config: { session_id, access_token, room: { platform: "daily", url: daily_room.url, token: daily_room.token, display_name: "Visavis playground" }, ...picture },
        features: ["playback", "binary", "state"],
      });
    });
    socket.addEventListener("message", (event) => this.socket === socket && this.receive(String(event.data)));
    socket.addEventListener("close", (event) => this.socket === socket && this.lost(event.code, event.reason));
  }

  /** Queue speech as `agent.speak` messages of a second each, one utterance. */
  speak(pcm: Int16Array, sampleRateHz: number, utteranceId: string): void {
    const pieces = chunks(pcm, Math.round(sampleRateHz * CHUNK_S));
    pieces.forEach((piece, index) => {
      const final = index === pieces.length - 1;
      this.send({ type: "agent.speak", audio: bytesToBase64(pcm16Bytes(piece)), sample_rate: sampleRateHz, utterance_id: utteranceId, ...(final ? { final } : {}) });
    });
  }

  /** Stream live sound as binary frames. */
  stream(pcm: Int16Array, sampleRateHz: number): void {
    if (!this.ready || this.socket === null) return;
    if (this.announcedRateHz !== sampleRateHz) {
      this.send({ type: "audio.format", sample_rate: sampleRateHz });
      this.announcedRateHz = sampleRateHz;
    }
    const bytes = pcm16Bytes(pcm);
    this.socket.send(bytes);
    this.log.addSound(bytes.length, sampleRateHz);
  }

  interrupt(): void {
    this.send({ type: "agent.interrupt" });
  }

  /** Have the session look otherwise; false where the channel is not open. */
  update(output: Partial<Output>): boolean {
    if (!this.ready) return false;
    this.send({ type: "session.update", output });
    return true;
  }

  attend(state: "listening" | "thinking"): void {
    this.send({ type: "agent.state", state });
  }

  /** Come back with the picture's size as it is chosen now: a channel asks for one when it is opened. The session and its viewers stay. */
  reshape(): void {
    const before = this.socket;
    this.ready = false;
    this.events.interrupted();
    this.open();
    before?.close(1000);
  }

  /** Close without further events. */
  close(): void {
    this.stopped = true;
    this.ready = false;
    this.socket?.close(1000);
  }

  private send(message: ChannelMessage): void {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    const text = JSON.stringify(message);
    this.socket.send(text);
    this.log.add({ kind: "channel", direction: "out", title: message.type, body: message, note: typeof message.audio === "string" ? soundNote(message) : "" });
  }

  private receive(text: string): void {
    const message = JSON.parse(text) as ChannelMessage;
    if (message.type === "agent.speak.confirmed") this.log.addConfirmation(message.type, message);
    else this.log.add({ kind: "channel", direction: "in", title: message.type, body: message, failed: message.type === "error" });
    if (message.type === "connection.established") {
      this.ready = true;
      this.failures = 0;
      this.announcedRateHz = 0;
      this.events.established();
    } else {
      this.events.message(message);
    }
  }

  private lost(code: number, reason: string): void {
    this.ready = false;
    if (this.stopped) return;
    this.log.add({ kind: "channel", direction: "in", title: "closed", note: `${code}${reason === "" ? "" : ` · ${reason}`}`, failed: code !== 1000 });
    const broken = code === 1006 || code === 1001 || code === 1012;
    const waitMs = RETRIES_MS[this.failures];
    if (broken && waitMs !== undefined) {
      this.failures += 1;
      this.events.interrupted();
      setTimeout(() => !this.stopped && this.open(), waitMs);
    } else {
      this.stopped = true;
      this.events.closed(code, reason);
    }
  }
}

function soundNote(message: ChannelMessage): string {
  const samples = Math.floor((String(message.audio).length * 3) / 8);
  return `${(samples / Number(message.sample_rate)).toFixed(2)} s`;
}
