// One connection of a channel: a WebSocket from its opening to its end.

import { ServerUnreachable, Unsupported } from "./errors.js";
import { parseMessage, type ServerMessage } from "./messages.js";

/** How a connection has ended. `code` as of a WebSocket; 1006 without a close of the server. */
export interface Closed {
  code: number;
  reason: string;
}

const OPEN_WITHIN_MS = 20_000;
const LOST: Closed = { code: 1006, reason: "" };

const PACKAGE: string = "ws"; // no literal in `import`: bundlers would look for it, and pages need it not

/** The WebSocket of this platform; in a Node without one that of the package `ws`. Rejects with Unsupported. */
export async function platformSocket(given: typeof WebSocket | undefined): Promise<typeof WebSocket> {
  const found = given ?? (globalThis as { WebSocket?: typeof WebSocket }).WebSocket;
  if (found !== undefined) return found;
  try {
    const { WebSocket } = (await import(/* @vite-ignore */ /* webpackIgnore: true */ PACKAGE)) as {
      WebSocket: typeof globalThis.WebSocket;
    };
    return WebSocket;
  } catch {
    throw new Unsupported("This Node has no WebSocket: run `npm install ws`, or use Node 22");
  }
}

export class Connection {
  /** Resolves with the end of the connection, once. */
  readonly closed: Promise<Closed>;
  private end: (closed: Closed) => void = () => {};
  private readonly socket: WebSocket;
  private readonly timer: ReturnType<typeof setTimeout>;

  /** Connect. `opened` is called at most once, then `message` for every message. Raises ServerUnreachable. */
  constructor(
    socketClass: typeof WebSocket,
    url: string,
    events: { opened(): void; message(message: ServerMessage): void },
  ) {
    this.closed = new Promise((resolve) => (this.end = resolve));
    try {
      this.socket = new socketClass(url);
    } catch (error) {
      throw new ServerUnreachable(`${url} is no address of a channel: ${String(error)}`);
    }
    this.timer = setTimeout(() => this.drop(), OPEN_WITHIN_MS);
    let over = false;
    void this.closed.then(() => {
      over = true;
      clearTimeout(this.timer);
    });
    this.socket.onopen = () => {
      if (!over) events.opened();
    };
    this.socket.onmessage = ({ data }: MessageEvent) => {
      if (!over && typeof data === "string") events.message(parseMessage(data));
    };
    this.socket.onclose = ({ code, reason }) => this.end({ code, reason });
    this.socket.onerror = () => {}; // a close follows
  }

  /** The server has opened the session on it. */
  established(): void {
    clearTimeout(this.timer);
  }

  send(text: string): void {
    if (this.socket.readyState === this.socket.OPEN) this.socket.send(text);
  }

  /** Give it up at once, without waiting for the server. */
  drop(): void {
    this.end(LOST);
    this.socket.close();
  }

  close(): void {
    this.socket.close(1000);
    this.end({ code: 1000, reason: "" });
  }
}
