// The channel of a session: it sends speech, and comes back by itself when its connection is lost.

import { bytesToBase64 } from "../sound/pcm.js";
import { type Closed, Connection } from "./connection.js";
import { Conversation } from "./conversation.js";
import { ChannelLost, Refused, ServerUnreachable, SessionEnded, TakenOver, VisavisError } from "./errors.js";
import type { Emotion, ServerMessage, SessionInit } from "./messages.js";
import { isFinal, Reconnects } from "./reconnects.js";
import { checkedRate, piecesOf, type Speech, type SpeechPiece } from "./speech.js";
import { Utterance } from "./utterance.js";

const FEATURES = ["playback", "resume", "queued", "lifecycle", "state"];
// Speech is sent this far ahead of what is heard. The server takes 600 s; less is in flight when an interrupt comes.
const AHEAD_S = 30;
const KEPT_CHARACTERS = 2_000_000; // beyond 4 MiB that were not acknowledged the server can no longer resume
const ACKNOWLEDGE_EVERY_MS = 1_000;
// A session waits 10 s for its channel, and its stage 15 s for a server that has died.
const RECONNECT_WITHIN_MS = 30_000;
const REFUSE_SPEECH = new Set(["INVALID_AUDIO", "INVALID_SAMPLE_RATE", "QUEUE_FULL", "INVALID_MESSAGE"]);

export interface ChannelOptions {
  url: string; // wss://…/v1/channel
  /** The members of `session.init`, asked for before each connection. */
  init(): Promise<SessionInit>;
  /** Called when the token has expired. Return whether there is a new one. */
  renew(): Promise<boolean>;
  socketClass: typeof WebSocket;
  features: string[]; // beside those that this class needs
}

export interface ChannelEvents {
  /** Every message but confirmations. */
  message(message: ServerMessage): void;
  connection(isUp: boolean): void;
  /** The last event, once. */
  ended(reason: string, error: VisavisError): void;
}

export interface SpeakOptions {
  utteranceId?: string;
  emotion?: Emotion;
}

interface Deferred<T> {
  resolve(value: T): void;
  reject(error: Error): void;
}

export class Channel {
  private readonly features: string[];
  private readonly conversation = new Conversation();
  private readonly reconnects = new Reconnects();
  private readonly utterances = new Map<string, Utterance>();
  private readonly unconfirmed: { utterance: Utterance; seconds: number }[] = [];
  private readonly interrupts: Deferred<void>[] = [];
  private readonly updates: Deferred<unknown>[] = [];
  private turn: Promise<void> = Promise.resolve(); // an utterance is sent whole before the next one
  private interrupted = 0; // how often, so that speech that waits for its turn is dropped with the rest
  private queuedS = 0;
  private queuedAtMs = 0;
  private connection: Connection | null = null;
  private isUp = false;
  private wasUp = false; // at least once
  private refusal: Refused | null = null; // the last error before the present connection was up
  private failure: VisavisError | null = null; // set at the end
  private wake: () => void = () => {}; // ends a wait between two tries
  private progress: () => void = () => {}; // an answer has come, or the end
  private opening: Deferred<void> | null = null;
  private readonly acknowledger: ReturnType<typeof setInterval>;

  constructor(
    private readonly options: ChannelOptions,
    private readonly events: ChannelEvents,
  ) {
    this.features = [...new Set([...FEATURES, ...options.features])];
    this.acknowledger = setInterval(() => this.acknowledge(), ACKNOWLEDGE_EVERY_MS);
  }

  /** Connect. Called once. Rejects with Refused, SessionEnded, TakenOver or ServerUnreachable. */
  open(): Promise<void> {
    const opened = new Promise<void>((resolve, reject) => (this.opening = { resolve, reject }));
    void this.run().catch((error: unknown) => this.end("client_failed", asError(error)));
    return opened;
  }

  /** Close the channel. The session goes on for its grace period. Idempotent. */
  close(reason = "closed"): void {
    this.connection?.close();
    this.end(reason, new ChannelLost("The channel was closed"));
  }

  /** The machine has a network again: the connection of before is useless, even if nothing has told so yet. */
  online(): void {
    this.reconnects.online();
    this.connection?.drop();
    this.wake();
  }

  /** Send speech. Resolves when all of it was sent, at most 30 s ahead of what is heard. */
  async send(speech: Speech, sampleRateHz: number, { utteranceId, emotion }: SpeakOptions = {}): Promise<Utterance> {
    const rateHz = checkedRate(sampleRateHz);
    const utterance = new Utterance(utteranceId ?? `utt_${crypto.randomUUID()}`);
    const { interrupted } = this;
    const before = this.turn;
    let done = (): void => {};
    this.turn = new Promise((resolve) => (done = resolve));
    try {
      await before;
      this.checkOpen();
      if (interrupted !== this.interrupted) {
        utterance.finish(0, true);
        return utterance;
      }
      this.utterances.set(utterance.id, utterance);
      await this.sendPieces(utterance, piecesOf(speech, rateHz), rateHz, emotion);
    } finally {
      done();
    }
    return utterance;
  }

  /** Stop the avatar now. Resolves when nothing of the speech sent before is heard any more. */
  interrupt(): Promise<void> {
    this.checkOpen();
    this.interrupted += 1;
    for (const utterance of this.utterances.values()) utterance.cut();
    const confirmed = new Promise<void>((resolve, reject) => this.interrupts.push({ resolve, reject }));
    this.post({ type: "agent.interrupt" });
    return confirmed;
  }

  setState(state: string): void {
    this.checkOpen();
    this.post({ type: "agent.state", state });
  }

  /** Change background, framing or emotion. Resolves with the whole output after it. */
  update(output: Record<string, unknown>): Promise<unknown> {
    this.checkOpen();
    const updated = new Promise<unknown>((resolve, reject) => this.updates.push({ resolve, reject }));
    this.post({ type: "session.update", output });
    return updated;
  }

  // Sending

  /** Send an utterance up to its end. However it ends, the server learns that no more comes. */
  private async sendPieces(
    utterance: Utterance,
    pieces: AsyncGenerator<SpeechPiece, void>,
    rateHz: number,
    emotion: Emotion | undefined,
  ): Promise<void> {
    let hasBegun = false;
    try {
      for (;;) {
        const next = await Promise.race([pieces.next(), utterance.whenCut]);
        if (next === undefined || next.done === true) break;
        await this.waitForRoom(utterance);
        if (utterance.isCut) break;
        if (next.value.bytes.length === 0) continue;
        this.postSpeech(utterance, next.value, rateHz, hasBegun || emotion === undefined ? {} : { emotion });
        hasBegun = true;
      }
    } finally {
      // Not awaited: a source that has stalled would hold the line for ever.
      void pieces.return().catch(() => {});
      if (hasBegun && !utterance.isCut) this.postSpeech(utterance, { bytes: NOTHING }, rateHz, { final: true });
      if (!hasBegun) {
        this.utterances.delete(utterance.id);
        utterance.finish(0, utterance.isCut);
      }
    }
  }

  private postSpeech(utterance: Utterance, piece: SpeechPiece, rateHz: number, members: Record<string, unknown>): void {
    const { bytes, phonemes, alphabet } = piece;
    utterance.lastNumber = this.post({
      type: "agent.speak",
      audio: bytesToBase64(bytes),
      sample_rate: rateHz,
      utterance_id: utterance.id,
      ...(phonemes === undefined || phonemes.length === 0 ? {} : { phonemes }),
      ...(alphabet === undefined ? {} : { alphabet }),
      ...members,
    });
    this.unconfirmed.push({ utterance, seconds: bytes.length / 2 / rateHz });
  }

  private post(message: Record<string, unknown>): number {
    const number = this.conversation.push(JSON.stringify(message));
    this.flush();
    return number;
  }

  private flush(): void {
    if (!this.isUp) return;
    for (let text = this.conversation.nextUnsent(); text !== null; text = this.conversation.nextUnsent()) {
      this.connection?.send(text);
    }
  }

  private acknowledge(): void {
    if (!this.isUp) return;
    const seq = this.conversation.dueAcknowledgement();
    if (seq !== null) this.connection?.send(JSON.stringify({ type: "ack", seq }));
  }

  /** Wait until less than AHEAD_S of speech waits to be heard, and until the server has taken most of it. */
  private async waitForRoom(utterance: Utterance): Promise<void> {
    while (!utterance.isCut && this.failure === null) {
      const sentS = this.unconfirmed.reduce((sum, { seconds }) => sum + seconds, 0);
      const knownS = Math.max(0, this.queuedS - (performance.now() - this.queuedAtMs) / 1000);
      if (sentS + knownS < AHEAD_S && this.conversation.keptCharacters < KEPT_CHARACTERS) return;
      // Empty audio asks how much is queued, and changes nothing.
      if (this.unconfirmed.length === 0) this.postSpeech(utterance, { bytes: NOTHING }, 16_000, {});
      const answered = new Promise<void>((resolve) => (this.progress = resolve));
      await Promise.race([answered, utterance.whenCut, afterMs(1_000)]);
      if (knownS >= AHEAD_S) await Promise.race([utterance.whenCut, afterMs(250)]);
    }
    this.checkOpen();
  }

  // The connection

  private async run(): Promise<void> {
    let awaySinceMs = performance.now();
    let renewed = false; // the token, since the channel was last up
    while (this.failure === null) {
      const begunMs = performance.now();
      this.reconnects.tries(begunMs);
      const closed = await this.hold();
      const wasUp = this.isUp;
      this.isUp = false;
      this.connection = null;
      if (wasUp) {
        awaySinceMs = performance.now();
        renewed = false;
        if (this.failure === null) this.events.connection(false);
      }
      if (this.failure !== null) return;
      if (this.refusal?.code === "TOKEN_EXPIRED" && !renewed) {
        renewed = true;
        if (await this.options.renew()) continue;
      }
      this.takeClose(closed);
      this.reconnects.lost(wasUp ? performance.now() - begunMs : 0);
      const waitMs = this.reconnects.waitMs(performance.now(), Math.random());
      if (performance.now() + waitMs > awaySinceMs + RECONNECT_WITHIN_MS) {
        this.end("channel_lost", this.refusal ?? new ServerUnreachable(`No connection to ${this.options.url}`));
      } else if (this.failure === null) {
        await Promise.race([afterMs(waitMs), new Promise<void>((resolve) => (this.wake = resolve))]);
      }
    }
  }

  /** Hold one connection until it has ended. */
  private async hold(): Promise<Closed> {
    this.refusal = null;
    const init = await this.options.init();
    if (this.failure !== null) return { code: 1000, reason: "" };
    const connection = new Connection(this.options.socketClass, this.options.url, {
      opened: () => connection.send(JSON.stringify(this.opened(init))),
      message: (message) => {
        if (this.isUp) this.take(message);
        else this.beforeUp(connection, message);
      },
    });
    this.connection = connection;
    return connection.closed;
  }

  private opened(init: SessionInit): Record<string, unknown> {
    const resume = this.wasUp ? { resume: { received: this.conversation.received } } : {};
    return { type: "session.init", ...init, features: this.features, ...resume };
  }

  private beforeUp(connection: Connection, message: ServerMessage): void {
    if (message.type === "error") this.refusal = refusalOf(message); // mostly the server closes next
    if (message.type !== "connection.established") return;
    connection.established();
    if (message.resumed === true) this.conversation.resume(Number(message.received ?? 0));
    else if (this.wasUp) this.loseConversation();
    this.isUp = this.wasUp = true;
    this.events.connection(true);
    this.opening?.resolve();
    this.flush();
  }

  /** The server remembers nothing of what it has not confirmed. What it took is still spoken, and finishes. */
  private loseConversation(): void {
    const lost = new ChannelLost("The connection was lost, and the server does not know what it had taken");
    for (const utterance of [...this.utterances.values()]) {
      if (!this.conversation.isTaken(utterance.lastNumber)) this.drop(utterance, lost);
      utterance.lastNumber = 0;
    }
    this.unconfirmed.length = 0;
    for (const waiting of [...this.interrupts.splice(0), ...this.updates.splice(0)]) waiting.reject(lost);
    this.conversation.beginAnew();
  }

  // What the server says

  private take(message: ServerMessage): void {
    if (!this.conversation.arrived(message)) return;
    switch (message.type) {
      case "agent.speak.confirmed":
        this.unconfirmed.shift();
        if (typeof message.queued_s === "number") {
          this.queuedS = message.queued_s;
          this.queuedAtMs = performance.now();
        }
        break;
      case "agent.interrupt.confirmed":
        this.interrupts.shift()?.resolve();
        break;
      case "session.updated":
        this.updates.shift()?.resolve(message.output);
        break;
      case "agent.playback.finished":
        this.finished(message);
        this.events.message(message);
        break;
      case "error":
        this.refused(message);
        this.events.message(message);
        break;
      default:
        this.events.message(message);
    }
    this.progress();
  }

  private finished(message: ServerMessage): void {
    const utterance = this.utterances.get(String(message.utterance_id));
    if (utterance === undefined) return;
    this.utterances.delete(utterance.id);
    utterance.finish(Number(message.position_s ?? 0), message.interrupted === true);
  }

  private refused(message: ServerMessage): void {
    const error = refusalOf(message);
    if (REFUSE_SPEECH.has(error.code)) {
      const refused = this.unconfirmed.shift();
      if (refused !== undefined) this.drop(refused.utterance, error);
    } else if (REFUSE_UPDATE.has(error.code)) {
      this.updates.shift()?.reject(error);
    }
  }

  private drop(utterance: Utterance, error: Error): void {
    this.utterances.delete(utterance.id);
    utterance.fail(error);
  }

  // The end

  /** Take the server's close: after a final one this channel is over. */
  private takeClose({ code, reason }: Closed): void {
    if (!isFinal(code)) return;
    if (code === 4409) this.end("taken_over", new TakenOver());
    else if (code === 1000) this.end(reason || "ended", new SessionEnded(reason || "ended"));
    else if (code === 4410) {
      const told = /^[a-z_]+$/.test(reason) ? reason : "session_ended"; // not every server tells it
      this.end(told, new SessionEnded(told));
    } else
      this.end("refused", this.refusal ?? new Refused(reason || "The server has closed the channel", `CLOSE_${code}`));
  }

  private end(reason: string, error: VisavisError): void {
    if (this.failure !== null) return;
    this.failure = error;
    clearInterval(this.acknowledger);
    for (const waiting of [...this.interrupts.splice(0), ...this.updates.splice(0)]) waiting.reject(error);
    for (const utterance of [...this.utterances.values()]) this.drop(utterance, error);
    this.connection?.drop();
    this.wake();
    this.progress();
    this.opening?.reject(error); // no effect once it is open
    this.events.ended(reason, error);
  }

  private checkOpen(): void {
    if (this.failure !== null) throw this.failure;
  }
}

const NOTHING = new Uint8Array(0);
const REFUSE_UPDATE = new Set([
  ...["INVALID_OUTPUT", "INVALID_BACKGROUND", "INVALID_FRAMING", "INVALID_EMOTION", "UPDATE_PENDING", "NO_CAPACITY"],
  ...["PREPARATION_FAILED", "STORAGE_UNUSABLE", "IMAGE_UNREADABLE", "IMAGE_URL_REFUSED", "IMAGE_TYPE"],
  "IMAGE_TOO_LARGE",
]);

function refusalOf(message: ServerMessage): Refused {
  return new Refused(String(message.error ?? "The server has refused a message"), String(message.code ?? ""));
}

function asError(error: unknown): VisavisError {
  return error instanceof VisavisError ? error : new VisavisError(String(error));
}

function afterMs(ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer: unknown = setTimeout(resolve, ms);
    (timer as { unref?: () => void }).unref?.(); // in Node: a wait alone keeps no program running
  });
}
