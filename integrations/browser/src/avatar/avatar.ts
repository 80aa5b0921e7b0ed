// An avatar in a page or in Node: its picture, its channel, and what happens to both.

import type { Channel, SpeakOptions } from "../channel/channel.js";
import { InvalidOptions, Refused } from "../channel/errors.js";
import type { ServerMessage } from "../channel/messages.js";
import type { Speech } from "../channel/speech.js";
import type { Played, Utterance } from "../channel/utterance.js";
import type { Barrier } from "../viewer/barrier.js";
import type { RoomState } from "../viewer/join-step.js";
import type { Picture } from "./picture.js";
import type { Tokens } from "./tokens.js";
import type { DropUntil } from "./track-gate.js";
import { type SpeakFromOptions, TrackSpeech } from "./track-speech.js";

/** Of the picture. `waiting`: the session has not started. `refused`: the token or this browser. */
export type PictureState = RoomState["kind"];

export interface AvatarEvents {
  /** The picture's state has changed. */
  state: PictureState;
  /** What the browser may have put between this page and the server, while there is no answer; null: nothing. */
  barrier: Barrier | null;
  /** Whether the avatar is heard. Before the visitor's first gesture browsers may block sound: call `unlock` in one. */
  audible: boolean;
  /** Whether the browser has paused the picture, as phones do that save power: call `unlock` in a click. */
  paused: boolean;
  /** Whether the network is too weak for a steady picture. */
  weak: boolean;
  /** Whether the picture has a transparent background. */
  transparent: boolean;
  /** Whether the channel has its connection. One that is lost comes back by itself. */
  connection: boolean;
  /** Every message of the server: playback, states, `session.expiring`, errors (docs/reference/channel.md). */
  message: ServerMessage;
  /** The end, exactly once, with its reason. The last event. */
  ended: { reason: string };
}

type Listener<Name extends keyof AvatarEvents> = (detail: AvatarEvents[Name]) => void;

const REASON_WITHIN_MS = 2_000; // the channel tells why the session has ended

export class Avatar {
  private picture: Picture | null = null;
  private channel: Channel | null = null;
  private readonly tracks = new Set<TrackSpeech>();
  private readonly listeners = new Map<keyof AvatarEvents, Set<(detail: never) => void>>();
  private endedReason: string | null = null;
  private pictureState: PictureState = "connecting";
  private barrier: Barrier | null = null;
  private readonly left = new AbortController();

  /** Use `connect`. */
  constructor(
    private readonly tokens: Tokens,
    private readonly sessionUrl: string | null,
  ) {}

  /** The picture's state. */
  get state(): PictureState {
    return this.pictureState;
  }

  /** Why the avatar has ended, null while it has not. */
  get ended(): string | null {
    return this.endedReason;
  }

  get audible(): boolean {
    return this.picture?.audible === true;
  }

  get paused(): boolean {
    return this.picture?.paused === true;
  }

  get muted(): boolean {
    return this.picture?.muted === true;
  }

  set muted(muted: boolean) {
    void this.picture?.setMuted(muted);
  }

  /** Call `listener` for every event of this name. Return a function that stops it. */
  on<Name extends keyof AvatarEvents>(name: Name, listener: Listener<Name>): () => void {
    const listeners = this.listeners.get(name) ?? new Set();
    this.listeners.set(name, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  /**
   * Speak PCM, whole or in pieces as they come. Resolves when it was heard, or interrupted. Rejects with InvalidSound,
   * Refused, ChannelLost or SessionEnded.
   */
  async speak(speech: Speech, sampleRateHz: number, options: SpeakOptions = {}): Promise<Played> {
    return (await this.send(speech, sampleRateHz, options)).played;
  }

  /** Like `speak`, but resolves when the speech was sent; `played` of the result waits for its end. */
  async send(speech: Speech, sampleRateHz: number, options: SpeakOptions = {}): Promise<Utterance> {
    return this.opened().send(speech, sampleRateHz, options);
  }

  /**
   * Speak what a track says, until it ends or `stop` of the result. A voice begins an utterance, silence ends it. The
   * track is not heard itself: elements of the page that play it are muted meanwhile. Rejects with Unsupported.
   */
  async speakFrom(track: MediaStreamTrack, options: SpeakFromOptions = {}): Promise<TrackSpeech> {
    const speech = await TrackSpeech.open(this.opened(), track, options, (over) => this.tracks.delete(over));
    if (this.endedReason === null) this.tracks.add(speech);
    else speech.stop();
    return speech;
  }

  /**
   * Barge-in: stop the avatar now. Resolves when nothing is heard any more. What tracks still give is dropped until
   * their next silence, until `resume` of TrackSpeech, or not at all.
   */
  async interrupt({ dropUntil = "silence" }: { dropUntil?: DropUntil } = {}): Promise<void> {
    const channel = this.opened();
    for (const track of this.tracks) track.interrupted(dropUntil);
    await channel.interrupt();
  }

  /** Show that the avatar listens or thinks. `thinking` lasts until it speaks. */
  setState(state: "listening" | "thinking"): void {
    this.opened().setState(state);
  }

  /** Change background, framing or emotion (docs/reference/output.md). Resolves with the whole output after it. */
  async update(output: Record<string, unknown>): Promise<unknown> {
    return this.opened().update(output);
  }

  /** Call this in a click or a key press of the visitor: sound, picture and tracks that were blocked begin. */
  unlock(): void {
    for (const track of this.tracks) track.wake();
    void this.picture?.play();
  }

  /** End the session. Needs a token of the purpose `control`. Rejects with Refused. */
  async end(): Promise<void> {
    if (this.sessionUrl === null) throw new InvalidOptions("connect needs `session` to end it");
    const headers = { authorization: `Bearer ${await this.tokens.get("control")}` };
    const response = await fetch(`${this.sessionUrl}/end`, { method: "POST", headers });
    if (!response.ok) throw await refusalOf(response);
  }

  /** Leave: stop the picture, the channel and all tracks. The session ends by itself later. Idempotent. */
  close(): void {
    this.finish("closed", false);
  }

  /** For `connect`. */
  attach(parts: { picture?: Picture; channel?: Channel }): void {
    if (parts.picture !== undefined) this.picture = parts.picture;
    if (parts.channel !== undefined) this.channel = parts.channel;
    if (parts.channel === undefined || typeof globalThis.addEventListener !== "function") return;
    const { channel } = parts;
    globalThis.addEventListener("online", () => channel.online(), { signal: this.left.signal });
  }

  /** For `connect`: the picture has told its state. */
  follow(state: RoomState): void {
    if (this.endedReason !== null) return;
    this.pictureState = state.kind;
    this.emit("state", state.kind);
    const barrier = state.kind === "reconnecting" ? (state.barrier ?? null) : null;
    if (barrier !== this.barrier) this.emit("barrier", (this.barrier = barrier));
    if (state.kind !== "ended") return;
    const reason = state.reason ?? "ended";
    if (this.channel === null) this.finish(reason, true);
    else setTimeout(() => this.finish(reason, true), REASON_WITHIN_MS);
  }

  /** For `connect`: the session, or this client's part in it, is over. */
  finish(reason: string, sessionIsOver: boolean): void {
    if (this.endedReason !== null) return;
    this.endedReason = reason;
    this.left.abort();
    for (const track of [...this.tracks]) track.stop();
    this.picture?.stop(sessionIsOver);
    this.channel?.close();
    if (this.pictureState !== "ended") {
      this.pictureState = "ended";
      this.emit("state", "ended");
    }
    this.emit("ended", { reason });
    this.listeners.clear();
  }

  /** For `connect`. */
  emit<Name extends keyof AvatarEvents>(name: Name, detail: AvatarEvents[Name]): void {
    for (const listener of [...(this.listeners.get(name) ?? [])]) (listener as Listener<Name>)(detail);
  }

  private opened(): Channel {
    if (this.channel !== null) return this.channel;
    throw new InvalidOptions('To speak, connect needs `session` and a token of the purpose "speak"');
  }
}

async function refusalOf(response: Response): Promise<Refused> {
  const body = (await response.json().catch(() => null)) as { error?: { message?: string; code?: string } } | null;
  const { message = `HTTP ${response.status}`, code = "" } = body?.error ?? {};
  return new Refused(message, code);
}
