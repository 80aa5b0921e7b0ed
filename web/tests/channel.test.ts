import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Channel } from "../src/playground/wire/channel";
import { WireLog } from "../src/playground/wire/wire-log";

/** A socket whose other end is the test. It answers nothing by itself. */
class FakeSocket extends EventTarget {
  static readonly OPEN = 1;
  readonly sent: { type: string; config?: Record<string, unknown>; features?: string[] }[] = [];
  readyState = 0;

  constructor(readonly address: string) {
    super();
    sockets.push(this);
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(code: number): void {
    this.dropped(code);
  }

  opened(): void {
    this.readyState = FakeSocket.OPEN;
    this.dispatchEvent(new Event("open"));
  }

  received(message: object): void {
    this.dispatchEvent(new MessageEvent("message", { data: JSON.stringify(message) }));
  }

  dropped(code: number, reason = ""): void {
    this.readyState = 3;
    this.dispatchEvent(Object.assign(new Event("close"), { code, reason }));
  }
}

const SESSION = { session_id: "sess_1", access_token: "secret", daily_room: { url: "http://x/rooms/y", token: "t" } };
const SQUARE = { width: 720, height: 720 };
const WIDE = { width: 1280, height: 720 };
const ESTABLISHED = { type: "connection.established" };

let sockets: FakeSocket[];
let events: string[];

function opened(speaksText = false): Channel {
  const log = new WireLog(
    () => 0,
    () => {},
  );
  const listener = {
    established: () => events.push("established"),
    message: ({ type }: { type: string }) => events.push(type),
    interrupted: () => events.push("interrupted"),
    closed: (code: number, reason: string) => events.push(`closed ${code} ${reason}`),
  };
  const channel = new Channel("ws://x", SESSION, SQUARE, log, listener, speaksText);
  channel.open();
  return channel;
}

function socket(): FakeSocket {
  const last = sockets.at(-1);
  if (last === undefined) throw new Error("no socket was opened");
  return last;
}

function widthSent(): unknown {
  return socket().sent.find(({ type }) => type === "session.init")?.config?.video_width;
}

beforeEach(() => {
  sockets = [];
  events = [];
  vi.useFakeTimers();
  vi.stubGlobal("WebSocket", FakeSocket);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

it("introduces itself with the picture's size, and is ready when the server answers", () => {
  const channel = opened();
  socket().opened();
  expect(widthSent()).toBe(720);
  expect(channel.isReady).toBe(false);
  socket().received(ESTABLISHED);
  expect(channel.isReady).toBe(true);
  expect(events).toEqual(["established"]);
});

it("asks for text where the server speaks it, and sends a text as one utterance", () => {
  opened();
  socket().opened();
  expect(socket().sent[0]?.features).not.toContain("text");
  const channel = opened(true);
  socket().opened();
  expect(socket().sent[0]?.features).toContain("text");
  socket().received(ESTABLISHED);
  channel.say("Hello there.", "text-1");
  expect(socket().sent.at(-1)).toEqual({
    type: "agent.say",
    text: "Hello there.",
    utterance_id: "text-1",
    final: true,
  });
});

it("reconnects after a broken connection, each time later, and gives up in the end", () => {
  opened();
  for (const waitMs of [300, 1_000, 2_500, 4_000]) {
    socket().dropped(1006);
    const before = sockets.length;
    vi.advanceTimersByTime(waitMs - 1);
    expect(sockets).toHaveLength(before);
    vi.advanceTimersByTime(1);
    expect(sockets).toHaveLength(before + 1);
  }
  socket().dropped(1006);
  expect(events).toEqual(["interrupted", "interrupted", "interrupted", "interrupted", "closed 1006 "]);
});

it("does not reconnect when the server has closed it", () => {
  opened();
  socket().opened();
  socket().received(ESTABLISHED);
  socket().dropped(1000, "expired");
  vi.advanceTimersByTime(60_000);
  expect(events).toEqual(["established", "closed 1000 expired"]);
  expect(sockets).toHaveLength(1);
});

it("reconnects at once to change the size of a live picture", () => {
  const channel = opened();
  socket().opened();
  socket().received(ESTABLISHED);
  channel.resize(WIDE);
  socket().opened();
  socket().received(ESTABLISHED);
  expect(widthSent()).toBe(1280);
  expect(events).toEqual(["established", "interrupted", "established"]);
});

it("does not lose a size that is chosen while it connects", () => {
  const channel = opened();
  channel.resize(WIDE);
  socket().opened();
  expect(widthSent()).toBe(1280);
  channel.resize(SQUARE);
  socket().received(ESTABLISHED);
  expect(channel.isReady).toBe(false);
  socket().opened();
  socket().received(ESTABLISHED);
  expect(widthSent()).toBe(720);
  expect(channel.isReady).toBe(true);
});

it("reports nothing after it is closed", () => {
  const channel = opened();
  socket().opened();
  socket().received(ESTABLISHED);
  channel.close();
  socket().received({ type: "agent.state", state: "idle" });
  vi.advanceTimersByTime(60_000);
  expect(events).toEqual(["established"]);
  expect(sockets).toHaveLength(1);
});
