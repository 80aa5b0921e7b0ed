// <visavis-avatar>: an avatar as an element of a page.

import type { Avatar, AvatarEvents, PictureState } from "../avatar/avatar.js";
import { connect } from "../avatar/connect.js";
import type { Purpose } from "../avatar/tokens.js";
import type { DropUntil } from "../avatar/track-gate.js";
import type { SpeakFromOptions, TrackSpeech } from "../avatar/track-speech.js";
import type { SpeakOptions } from "../channel/channel.js";
import { InvalidOptions, ServerUnreachable, SessionEnded } from "../channel/errors.js";
import type { Speech } from "../channel/speech.js";
import type { Played } from "../channel/utterance.js";
import type { Barrier } from "../viewer/barrier.js";
import { roomAddress } from "../viewer/room-address.js";
import { addStyle } from "./style.js";
import { type AvatarTexts, textsFor } from "./texts.js";

/** The element's events. `error`: why it could not connect; `state` is `refused` then. */
export interface AvatarElementEvents {
  state: CustomEvent<PictureState>;
  audible: CustomEvent<boolean>;
  paused: CustomEvent<boolean>;
  message: CustomEvent<AvatarEvents["message"]>;
  ended: CustomEvent<AvatarEvents["ended"]>;
  error: CustomEvent<Error>;
}

type GetToken = (purpose: Purpose) => string | undefined | Promise<string | undefined>;

const LINKS = ["server", "room", "session", "token", "speak-token"] as const;

// A server has no elements, and imports this module all the same.
const Base = (globalThis as { HTMLElement?: typeof HTMLElement }).HTMLElement ?? (class {} as typeof HTMLElement);

/**
 * Attributes: `room`, the address of the room, which may end with `#t=` and its token; `token`, to watch; `session` and
 * `speak-token`, to speak; `server`, if `room` is only the room's name; `muted`. Each is a property, too, in camel
 * case.
 */
export class VisavisAvatar extends Base {
  static readonly observedAttributes: readonly string[] = [...LINKS, "muted"];

  private tokenSource: GetToken | null = null;
  private connected: Promise<Avatar> | null = null;
  private present: Avatar | null = null;
  private breaking: AbortController | null = null;
  private isDue = false;
  private given: Partial<AvatarTexts> = {};
  private barrier: Barrier | null = null; // while there is no picture
  private readonly picture: HTMLElement;
  private readonly status: HTMLElement;
  private readonly statusText: HTMLElement;
  private readonly unmute: HTMLButtonElement;
  private readonly again: HTMLButtonElement;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    addStyle(root);
    this.picture = part("div", "picture");
    this.status = part("div", "status");
    this.status.setAttribute("role", "status");
    this.statusText = document.createElement("span");
    this.status.append(part("span", "mark"), this.statusText);
    this.unmute = part("button", "unmute");
    this.again = part("button", "again");
    this.unmute.addEventListener("click", () => this.unlock());
    this.again.addEventListener("click", () => this.reconnect());
    const over = part("div", "over");
    over.append(this.status, this.unmute, this.again);
    root.append(this.picture, over);
    this.status.hidden = this.unmute.hidden = this.again.hidden = true;
  }

  get state(): PictureState | null {
    return this.getAttribute("state") as PictureState | null;
  }

  /** The connected avatar, null before. */
  get avatar(): Avatar | null {
    return this.present;
  }

  /** Asked for tokens in place of the attributes, and for new ones when they have expired. */
  get getToken(): GetToken | null {
    return this.tokenSource;
  }

  set getToken(getToken: GetToken | null) {
    this.tokenSource = getToken;
  }

  /** Whether the avatar is heard. Browsers may block sound until the visitor has made a gesture. */
  get audible(): boolean {
    return this.present?.audible === true;
  }

  get muted(): boolean {
    const value = this.getAttribute("muted");
    return value !== null && value !== "false"; // React before 19 writes muted={false} as muted="false"
  }

  set muted(muted: boolean) {
    if (muted) this.setAttribute("muted", "");
    else this.removeAttribute("muted");
    if (this.present !== null && this.present.muted !== this.muted) this.present.muted = this.muted;
    else if (!this.muted) this.unlock();
  }

  /** What the element says: in the language of the page (`lang`), German or English, or in words of your own. */
  get texts(): AvatarTexts {
    const language = this.closest<HTMLElement>("[lang]")?.lang ?? "";
    return { ...textsFor(language), ...this.given };
  }

  set texts(texts: Partial<AvatarTexts>) {
    this.given = { ...texts };
    this.draw();
  }

  /** Speak PCM, see Avatar.speak. Waits until the element is connected. */
  async speak(speech: Speech, sampleRateHz: number, options: SpeakOptions = {}): Promise<Played> {
    return (await this.ready()).speak(speech, sampleRateHz, options);
  }

  /** Speak what a track says, see Avatar.speakFrom. Waits until the element is connected. */
  async speakFrom(track: MediaStreamTrack, options: SpeakFromOptions = {}): Promise<TrackSpeech> {
    return (await this.ready()).speakFrom(track, options);
  }

  /** Stop the avatar now, see Avatar.interrupt. */
  async interrupt(options: { dropUntil?: DropUntil } = {}): Promise<void> {
    await (await this.ready()).interrupt(options);
  }

  /** Call this in a click or a key press of the visitor: sound or picture that the browser has blocked begin. */
  unlock(): void {
    this.present?.unlock();
  }

  /** Connect again, with new tokens of `getToken`. */
  reconnect(): void {
    this.leave();
    this.schedule();
  }

  /** Resolves when the element is connected. Rejects as `connect` does. */
  async ready(): Promise<Avatar> {
    await Promise.resolve(); // attributes that are set in one go connect once
    if (this.connected === null) throw new InvalidOptions("<visavis-avatar> needs `room`, and must be in the page");
    return this.connected;
  }

  override addEventListener<Name extends keyof AvatarElementEvents>(
    type: Name,
    listener: (event: AvatarElementEvents[Name]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  override addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  override addEventListener(type: string, listener: unknown, options?: boolean | AddEventListenerOptions): void {
    super.addEventListener(type, listener as EventListener, options);
  }

  connectedCallback(): void {
    for (const name of ["getToken", "muted", "texts", ...LINKS.map(camelCase)]) this.takeEarly(name);
    if (this.breaking === null) this.schedule();
  }

  disconnectedCallback(): void {
    // An element that is only moved is back in the page by then, and goes on.
    queueMicrotask(() => {
      if (!this.isConnected) this.leave();
    });
  }

  attributeChangedCallback(name: string, before: string | null, now: string | null): void {
    if (name === "muted") {
      if (this.present !== null && this.present.muted !== this.muted) this.present.muted = this.muted;
    } else if (before !== now && this.isConnected) {
      this.reconnect();
    }
  }

  /** Take a property that a page has set before the element was defined. */
  private takeEarly(name: string): void {
    if (!Object.hasOwn(this, name)) return;
    const self = this as unknown as Record<string, unknown>;
    const value = self[name];
    delete self[name];
    self[name] = value;
  }

  private schedule(): void {
    if (this.isDue) return;
    this.isDue = true;
    queueMicrotask(() => {
      this.isDue = false;
      if (this.isConnected) this.watch();
    });
  }

  private leave(): void {
    const { breaking, present } = this;
    this.barrier = null;
    this.breaking = this.present = this.connected = null; // its last events are no longer this element's
    breaking?.abort();
    present?.close();
    this.unmute.hidden = true;
  }

  private watch(): void {
    this.leave();
    const room = this.getAttribute("room") ?? "";
    if (room === "") {
      this.removeAttribute("state");
      this.draw();
      return;
    }
    const breaking = new AbortController();
    this.breaking = breaking;
    const connected = this.connect(room, breaking);
    this.connected = connected;
    connected.catch((error: unknown) => {
      if (breaking.signal.aborted) return;
      if (error instanceof SessionEnded) {
        this.finish({ reason: error.reason });
        return;
      }
      this.barred(error instanceof ServerUnreachable ? error.barrier : null);
      this.become("refused");
      this.tell("error", error);
    });
  }

  private async connect(room: string, breaking: AbortController): Promise<Avatar> {
    const server = this.getAttribute("server") ?? "";
    const session = this.getAttribute("session") ?? "";
    const link = new URL(/^[\w-]+(#.*)?$/.test(room) ? `${server}/rooms/${room}` : room, server || document.baseURI);
    const watch = this.getAttribute("token") ?? roomAddress(link).token;
    const speak = this.getAttribute("speak-token") ?? "";
    /** Whether a late event is still one of the present avatar. */
    const current = (): boolean => this.breaking === breaking;
    /** Before it is connected, what `connect` rejects with tells whether this is an end. */
    const ends = (): boolean => current() && this.present !== null;
    const avatar = await connect({
      room: link.href,
      ...(server === "" ? {} : { server }),
      ...(session === "" ? {} : { session }),
      tokens: this.tokenSource ?? { watch, speak },
      element: this.picture,
      muted: this.muted,
      signal: breaking.signal,
      on: {
        state: (state) => (state === "ended" ? ends() : current()) && this.become(state),
        barrier: (barrier) => current() && this.barred(barrier),
        audible: (isAudible) => current() && this.heard(isAudible),
        paused: (isPaused) => current() && this.stands(isPaused),
        transparent: (isTransparent) => current() && this.toggleAttribute("transparent", isTransparent),
        message: (message) => current() && this.tell("message", message),
        ended: (end) => ends() && this.finish(end),
      },
    });
    this.present = avatar;
    this.heard(avatar.audible);
    return avatar;
  }

  private become(state: PictureState): void {
    if (this.state === state) return;
    this.setAttribute("state", state);
    this.draw();
    this.tell("state", state);
  }

  private finish(end: AvatarEvents["ended"]): void {
    this.become("ended");
    if (end.reason !== "closed") this.tell("ended", end);
  }

  private barred(barrier: Barrier | null): void {
    this.barrier = barrier;
    this.draw();
  }

  private heard(isAudible: boolean): void {
    this.drawUnmute();
    this.tell("audible", isAudible);
  }

  private stands(isPaused: boolean): void {
    this.drawUnmute();
    this.tell("paused", isPaused);
  }

  private draw(): void {
    const { state, texts: shown } = this;
    this.again.textContent = shown.again;
    this.again.hidden = state !== "refused";
    this.status.hidden = state === null || state === "live";
    this.statusText.textContent = state === null || state === "live" ? "" : shown[this.words(state)];
    this.picture.setAttribute("aria-label", shown.label);
    this.drawUnmute();
  }

  /** Which text tells of a state: of one without an answer, why that may be. */
  private words(state: Exclude<PictureState, "live">): keyof AvatarTexts {
    if (this.barrier === null || (state !== "reconnecting" && state !== "refused")) return state;
    return this.barrier === "mixed-content" ? "mixedContent" : "localNetwork";
  }

  /** The button that a click is needed for: the picture is paused, or its sound blocked. */
  private drawUnmute(): void {
    const { present, texts: shown } = this;
    const isPaused = present?.paused === true;
    this.unmute.textContent = isPaused ? shown.play : shown.unmute;
    this.unmute.hidden = present === null || this.state !== "live" || !(isPaused || !(present.audible || this.muted));
  }

  private tell(name: keyof AvatarElementEvents, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/** Each attribute as a property. */
export interface VisavisAvatar {
  server: string;
  room: string;
  session: string;
  token: string;
  speakToken: string;
}

for (const attribute of LINKS) {
  Object.defineProperty(VisavisAvatar.prototype, camelCase(attribute), {
    configurable: true,
    enumerable: true,
    get(this: VisavisAvatar): string {
      return this.getAttribute(attribute) ?? "";
    },
    set(this: VisavisAvatar, value: unknown): void {
      if (value === null || value === undefined) this.removeAttribute(attribute);
      else this.setAttribute(attribute, String(value));
    },
  });
}

function camelCase(name: string): string {
  return name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

function part<Name extends keyof HTMLElementTagNameMap>(tag: Name, name: string): HTMLElementTagNameMap[Name] {
  const element = document.createElement(tag);
  element.className = name;
  element.setAttribute("part", name);
  if (element instanceof HTMLButtonElement) element.type = "button";
  return element;
}

declare global {
  interface HTMLElementTagNameMap {
    "visavis-avatar": VisavisAvatar;
  }
}
