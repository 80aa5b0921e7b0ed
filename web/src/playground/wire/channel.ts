// The channel: the WebSocket that carries speech to the server and events back. It owns the socket, and reconnects when
// the connection breaks.

import { bytesToBase64, pcm16Bytes, splitPcm } from "@client/sound/pcm.js";
import type { ChannelMessage, CreatedSession, Output, PictureSize, SettableState } from "./types";
import type { WireLog } from "./wire-log";

const PIECE_S = 1; // of a recording, in one agent.speak message
const RETRIES_MS = [300, 1_000, 2_500, 4_000]; // less in sum than the 10 s that the server waits for a channel
const NORMAL_CLOSURE = 1000;
const BROKEN_CONNECTION = new Set([1001, 1006, 1012]); // going away, abnormal closure, service restart

interface ChannelEvents {
  established(): void;
  message(message: ChannelMessage): void;
  interrupted(): void; // the connection broke or is being replaced; the channel reconnects
  closed(code: number, reason: string): void; // the channel does not reconnect; the last event
}

/** Whether a close code means that the connection broke. Every other code is a decision of the server. */
export function isBrokenConnection(code: number): boolean {
  return BROKEN_CONNECTION.has(code);
}

export class Channel {
  private socket: WebSocket | null = null;
  private ready = false; // the server has answered session.init
  private stopped = false;
  private failures = 0; // since the channel was last ready
  private sentSize: PictureSize | null = null; // in the last session.init
  private announcedRateHz = 0; // of the binary frames; 0 until audio.format is sent

  constructor(
    private readonly address: string,
    private readonly session: CreatedSession,
    private size: PictureSize,
    private readonly log: WireLog,
    private readonly events: ChannelEvents,
    private readonly speaksText = false,
  ) {}

  get isReady(): boolean {
    return this.ready;
  }

  open(): void {
    const socket = new WebSocket(this.address);
    socket.binaryType = "arraybuffer";
    this.socket = socket;
    socket.addEventListener("open", () => this.sendInit());
    socket.addEventListener("message", (event) => this.socket === socket && this.receive(String(event.data)));
    socket.addEventListener("close", (event) => this.socket === socket && this.lost(event.code, event.reason));
  }

  /** Send a recording as one utterance, in agent.speak messages of one second each. */
  speak(pcm: Int16Array, sampleRateHz: number, utteranceId: string): void {
    const pieces = splitPcm(pcm, Math.round(sampleRateHz * PIECE_S));
    pieces.forEach((piece, index) => {
      this.send({
        type: "agent.speak",
        audio: bytesToBase64(pcm16Bytes(piece)),
        sample_rate: sampleRateHz,
        utterance_id: utteranceId,
        ...(index === pieces.length - 1 ? { final: true } : {}),
      });
    });
  }

  /** Have the server speak a text as one utterance. */
  say(text: string, utteranceId: string): void {
    this.send({ type: "agent.say", text, utterance_id: utteranceId, final: true });
  }

  /** Send live sound as one binary frame. */
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

  /** Send a change of the output. Return whether it was sent: false while the channel is not ready. */
  updateOutput(output: Partial<Output>): boolean {
    if (!this.ready) return false;
    this.send({ type: "session.update", output });
    return true;
  }

  setState(state: SettableState): void {
    this.send({ type: "agent.state", state });
  }

  /** Change the picture's size. Only session.init carries the size, so the channel reconnects; the session goes on. */
  resize(size: PictureSize): void {
    this.size = size;
    if (this.ready) this.reconnect();
  }

  /** Close the channel. No event follows. */
  close(): void {
    this.stopped = true;
    this.ready = false;
    this.socket?.close(NORMAL_CLOSURE);
  }

  private reconnect(): void {
    const before = this.socket;
    this.ready = false;
    this.events.interrupted();
    this.open();
    before?.close(NORMAL_CLOSURE);
  }

  private sendInit(): void {
    this.sentSize = this.size;
    const { session_id, access_token, daily_room } = this.session;
    const { url, token } = daily_room;
    this.send({
      type: "session.init",
      config: {
        session_id,
        access_token,
        room: { platform: "daily", url, token, display_name: "Visavis playground" },
        video_width: this.size.width,
        video_height: this.size.height,
      },
      features: ["playback", "binary", "state", "metrics", ...(this.speaksText ? ["text"] : [])],
    });
  }

  private send(message: ChannelMessage): void {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    this.socket.send(JSON.stringify(message));
    this.log.add({
      kind: "channel",
      direction: "out",
      title: message.type,
      body: message,
      note: typeof message.audio === "string" ? durationNote(message.audio, Number(message.sample_rate)) : "",
    });
  }

  private receive(text: string): void {
    if (this.stopped) return;
    const message = JSON.parse(text) as ChannelMessage;
    const { type } = message;
    if (type === "session.metrics") {
      this.events.message(message); // not logged: one comes every second, and the charts show it
      return;
    }
    if (type === "agent.speak.confirmed") this.log.addConfirmation(type, message);
    else this.log.add({ kind: "channel", direction: "in", title: type, body: message, failed: type === "error" });
    if (type === "connection.established") this.established();
    else this.events.message(message);
  }

  private established(): void {
    this.failures = 0;
    this.announcedRateHz = 0;
    if (this.sentSize !== this.size) {
      this.reconnect(); // the size was changed after session.init was sent
      return;
    }
    this.ready = true;
    this.events.established();
  }

  private lost(code: number, reason: string): void {
    this.ready = false;
    if (this.stopped) return;
    const note = reason === "" ? String(code) : `${code} · ${reason}`;
    this.log.add({ kind: "channel", direction: "in", title: "closed", note, failed: code !== NORMAL_CLOSURE });
    const retryInMs = RETRIES_MS[this.failures];
    if (isBrokenConnection(code) && retryInMs !== undefined) {
      this.failures += 1;
      this.events.interrupted();
      setTimeout(() => !this.stopped && this.open(), retryInMs);
    } else {
      this.stopped = true;
      this.events.closed(code, reason);
    }
  }
}

/** The duration of PCM16 sound in base64. */
function durationNote(audio: string, sampleRateHz: number): string {
  const samples = Math.floor((audio.length * 3) / 8);
  return `${(samples / sampleRateHz).toFixed(2)} s`;
}
