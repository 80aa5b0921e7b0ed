// Connects a page, or a program in Node, with the avatar of one session.

import { Channel } from "../channel/channel.js";
import { platformSocket } from "../channel/connection.js";
import { ChannelLost, InvalidOptions, ServerUnreachable, SessionEnded, TakenOver } from "../channel/errors.js";
import { barrierTo } from "../viewer/barrier.js";
import { roomAddress } from "../viewer/room-address.js";
import { Avatar, type AvatarEvents } from "./avatar.js";
import { Picture, type PictureElements } from "./picture.js";
import { Tokens, type TokenSource } from "./tokens.js";

export interface ConnectOptions {
  /** The address of your Visavis server. Default: that of `room`. */
  server?: string;
  /** The session's id: needed to speak and to end it. */
  session?: string;
  /** The address of the session's room: needed to watch. */
  room?: string;
  tokens: TokenSource;
  /** Listeners that hear what happens while `connect` is under way, too. */
  on?: { [Name in keyof AvatarEvents]?: (detail: AvatarEvents[Name]) => void };
  /** Where the avatar appears: its picture is put into this element. A `<video>` is used itself. */
  element?: HTMLElement;
  /** Watch without sound. */
  muted?: boolean;
  /** Features of the channel beside those that the package needs, such as `metrics`. */
  features?: string[];
  /** Speech waits so long for the first viewer: more than 0, at most 60. */
  holdForViewerS?: number;
  /** Breaks `connect` off. Afterwards it has no effect. */
  signal?: AbortSignal;
  /** A WebSocket class. Default: that of the platform, or of the package `ws` in a Node that has none. */
  webSocket?: unknown;
}

/**
 * Connect. Resolves when the channel is open, or at once without a token to speak. Rejects with ApiKeyRefused,
 * WrongToken, InvalidOptions, Refused, SessionEnded, TakenOver, ServerUnreachable or Unsupported; then nothing stays
 * open.
 */
export async function connect(options: ConnectOptions): Promise<Avatar> {
  const { signal } = options;
  signal?.throwIfAborted();
  const { server, room } = addresses(options);
  const tokens = new Tokens(options.tokens);
  const session = options.session;
  const avatar = new Avatar(tokens, session === undefined ? null : `${server}/v1/sessions/${session}`);
  for (const [name, listener] of Object.entries(options.on ?? {})) {
    avatar.on(name as keyof AvatarEvents, listener as (detail: unknown) => void);
  }
  const aborted = (): void => avatar.close();
  signal?.addEventListener("abort", aborted, { once: true });
  try {
    const speaks = session !== undefined && (await tokens.find("speak")) !== null;
    signal?.throwIfAborted();
    if (options.element !== undefined) {
      if (room === null) throw new InvalidOptions("To show the avatar, connect needs `room`");
      await show(avatar, room, tokens, options.element, options.muted !== true);
    } else if (!speaks) {
      throw new InvalidOptions('connect needs `element` to watch, or `session` and a token of the purpose "speak"');
    }
    signal?.throwIfAborted();
    if (speaks) await openChannel(avatar, server, session, tokens, options);
    signal?.throwIfAborted();
  } catch (error) {
    const { ended } = avatar; // the room has told so, and the channel was closed for it
    avatar.close();
    if (signal?.aborted === true) throw signal.reason;
    throw error instanceof ChannelLost && ended !== null ? new SessionEnded(ended) : error;
  } finally {
    signal?.removeEventListener("abort", aborted);
  }
  return avatar;
}

async function show(
  avatar: Avatar,
  room: string,
  tokens: Tokens,
  element: HTMLElement,
  wantsSound: boolean,
): Promise<void> {
  const elements = element instanceof HTMLVideoElement ? ownVideo(element) : appended(element, avatar);
  const picture = new Picture(room, tokens, elements, wantsSound, {
    state: (state) => avatar.follow(state),
    audible: (isAudible) => avatar.emit("audible", isAudible),
    paused: (isPaused) => avatar.emit("paused", isPaused),
    transparent: (isTransparent) => {
      elements.canvas.style.visibility = isTransparent ? "visible" : "hidden";
      if (elements.canvas.isConnected) elements.video.style.opacity = isTransparent ? "0" : "1";
      avatar.emit("transparent", isTransparent);
    },
    weak: (isWeak) => avatar.emit("weak", isWeak),
  });
  avatar.attach({ picture });
  await picture.start();
}

async function openChannel(
  avatar: Avatar,
  server: string,
  session: string,
  tokens: Tokens,
  options: ConnectOptions,
): Promise<void> {
  const hold = options.holdForViewerS === undefined ? {} : { hold_for_viewer_s: options.holdForViewerS };
  const socketClass = await platformSocket(options.webSocket as typeof WebSocket | undefined);
  if (avatar.ended !== null) throw new SessionEnded(avatar.ended); // left meanwhile: nobody would close the channel
  const channel = new Channel(
    {
      url: `${server.replace(/^http/, "ws")}/v1/channel`,
      init: async () => ({ session_id: session, session_token: await tokens.get("speak"), ...hold }),
      renew: () => tokens.renew("speak"),
      socketClass,
      features: options.features ?? [],
    },
    {
      message: (message) => avatar.emit("message", message),
      connection: (isUp) => avatar.emit("connection", isUp),
      ended: (reason, error) => avatar.finish(reason, !(error instanceof TakenOver) && reason !== "closed"),
    },
  );
  avatar.attach({ channel });
  await channel.open().catch(async (error: unknown) => {
    throw error instanceof ServerUnreachable ? await explained(error, server) : error;
  });
}

/** Say what the browser may have put in the way. */
async function explained(error: ServerUnreachable, server: string): Promise<ServerUnreachable> {
  const barrier = await barrierTo(server);
  if (barrier === null) return error;
  const why =
    barrier === "mixed-content"
      ? "this page is HTTPS, and browsers do not let it reach a server that is not"
      : "it is a private address, which browsers keep from pages of the public web unless the visitor allows it";
  return new ServerUnreachable(`${error.message}: ${why}`, barrier);
}

/** Return the addresses of the server and of the room, without a slash at their end. Raises InvalidOptions. */
function addresses({ server, room }: ConnectOptions): { server: string; room: string | null } {
  const base = typeof document === "undefined" ? undefined : document.baseURI;
  const roomUrl = room === undefined ? null : roomAddress(parsed(room, server ?? base)).roomUrl;
  const given = server ?? roomUrl?.replace(/\/rooms\/[^/]+$/, "");
  if (given === undefined) throw new InvalidOptions("connect needs `server` or `room`");
  return { server: parsed(given, base).href.replace(/\/+$/, ""), room: roomUrl };
}

function parsed(address: string, base: string | undefined): URL {
  try {
    const url = new URL(address, base);
    if (url.protocol === "http:" || url.protocol === "https:") return url;
  } catch {
    // told below
  }
  throw new InvalidOptions(`${address} is no address of a server or a room`);
}

/** A canvas that is not in the page: a `<video>` of the caller's shows the picture as it comes. */
function ownVideo(video: HTMLVideoElement): PictureElements {
  video.playsInline = true;
  return { video, canvas: document.createElement("canvas") };
}

/** Put a video and a canvas into `element`; they leave with the avatar. */
function appended(element: HTMLElement, avatar: Avatar): PictureElements {
  const video = document.createElement("video");
  const canvas = document.createElement("canvas");
  video.playsInline = true;
  video.setAttribute("part", "video");
  video.setAttribute("aria-label", element.getAttribute("aria-label") ?? "Avatar");
  canvas.setAttribute("part", "canvas");
  for (const part of [video, canvas]) {
    Object.assign(part.style, { position: "absolute", inset: "0", width: "100%", height: "100%" });
    Object.assign(part.style, { objectFit: "var(--fit, contain)", objectPosition: "var(--position, 50% 100%)" });
  }
  if (getComputedStyle(element).position === "static") element.style.position = "relative";
  element.append(video, canvas);
  avatar.on("ended", () => {
    video.remove();
    canvas.remove();
  });
  return { video, canvas };
}
