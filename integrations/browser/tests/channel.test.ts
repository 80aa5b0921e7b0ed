import { describe, expect, it, vi } from "vitest";
import { platformSocket } from "../src/channel/connection.js";
import { connect } from "../src/index.js";
import { ApiKeyRefused, InvalidOptions, InvalidSound, Refused, TakenOver, WrongToken } from "../src/index.js";
import type { Avatar, ConnectOptions } from "../src/index.js";
import { FakeServer, type FakeConnection } from "./fake-server.js";

const TOKEN = "vvt_7Yk2mQ9xZc4VbN1pLw8RtG5hJs3KdF6aXe0UoIiTyPr";
const QUARTER = new Int16Array(4_000).fill(1_000); // of a second at 16 kHz

function options(server: FakeServer, more: Partial<ConnectOptions> = {}): ConnectOptions {
  return {
    server: "https://avatars.example.com/",
    session: "sess_1",
    tokens: { speak: TOKEN },
    webSocket: server.socketClass,
    ...more,
  };
}

async function opened(more: Partial<ConnectOptions> = {}): Promise<[Avatar, FakeConnection, FakeServer]> {
  const server = new FakeServer();
  const connecting = connect(options(server, more));
  const connection = await server.connected();
  await connection.take("session.init");
  connection.say({ type: "connection.established", session_id: "sess_1", resumed: false, received: 0 });
  return [await connecting, connection, server];
}

it("takes the WebSocket of the package ws where the platform has none", async () => {
  vi.stubGlobal("WebSocket", undefined);
  const found = await platformSocket(undefined).finally(() => vi.unstubAllGlobals());
  const name: string = "ws"; // it brings no types
  expect(found).toBe((await import(name)).WebSocket);
});

describe("connecting", () => {
  it("opens the session of the token", async () => {
    const server = new FakeServer();
    const connecting = connect(options(server, { features: ["metrics"], holdForViewerS: 10 }));
    const connection = await server.connected();
    expect(await connection.take("session.init")).toEqual({
      type: "session.init",
      session_id: "sess_1",
      session_token: TOKEN,
      hold_for_viewer_s: 10,
      features: ["playback", "resume", "queued", "lifecycle", "state", "metrics"],
    });
    connection.say({ type: "connection.established", resumed: false, received: 0 });
    (await connecting).close();
    expect(server.urls).toEqual(["wss://avatars.example.com/v1/channel"]);
  });
  it.each([
    ["an API key", "ah_live_0123456789abcdefghijklmnopqrstuv", ApiKeyRefused],
    ["a test key", "ah_test_0123456789abcdefghijklmnopqrstuv", ApiKeyRefused],
    ["the token of a session", "Y0dqkcV2H9pVbJmKx3f7sT1wLzQ4nR8uE6aG5iCoDhM", WrongToken],
  ])("refuses %s before anything is sent", async (_, token, error) => {
    for (const tokens of [{ speak: token }, () => token]) {
      const server = new FakeServer();
      await expect(connect(options(server, { tokens }))).rejects.toThrow(error);
      expect(server.urls).toEqual([]);
    }
  });
  it("says what is missing", async () => {
    const server = new FakeServer();
    await expect(connect(options(server, { tokens: {} }))).rejects.toThrow(InvalidOptions);
    await expect(connect({ tokens: { speak: TOKEN }, session: "s" })).rejects.toThrow(/server/);
    await expect(connect(options(server, { server: "avatars" }))).rejects.toThrow(/no address/);
  });
  it("rejects with the refusal of the server", async () => {
    const server = new FakeServer();
    const connecting = connect(options(server));
    const connection = await server.connected();
    connection.say({ type: "error", error: "Unknown session", code: "SESSION_NOT_FOUND" });
    connection.close(4404, "Unknown session");
    await expect(connecting).rejects.toMatchObject({ code: "SESSION_NOT_FOUND" });
    await expect(connecting).rejects.toThrow(Refused);
  });
  it("that is broken off leaves no connection", async () => {
    const server = new FakeServer();
    const breaking = new AbortController();
    const connecting = connect(options(server, { signal: breaking.signal }));
    const connection = await server.connected();
    breaking.abort();
    await expect(connecting).rejects.toThrow(/abort/i);
    connection.say({ type: "connection.established", resumed: false, received: 0 });
    expect(connection.received.filter(({ type }) => type !== "session.init")).toEqual([]);
  });
  it("broken off at any turn and made again with the same token leaves one channel, as StrictMode mounts", async () => {
    let brokenOff = 0;
    for (let turns = 0; turns < 40; turns++) {
      const server = new FakeServer();
      void server.establishAll();
      const leaving = new AbortController();
      const tokens = (): Promise<string> => Promise.resolve(TOKEN);
      const first = connect(options(server, { tokens, signal: leaving.signal }));
      await takeTurns(turns);
      leaving.abort();
      const left = first.then(
        (avatar) => avatar.close(), // it was connected by then: a page closes it
        () => (brokenOff += 1),
      );
      const second = await connect(options(server, { tokens }));
      await left;
      await takeTurns(40);
      expect([server.open, second.ended], `left after ${turns} turns`).toEqual([1, null]);
      second.close();
      expect(server.open, `closed, after ${turns} turns`).toBe(0);
    }
    expect(brokenOff).toBeGreaterThan(5);
    expect(brokenOff).toBeLessThan(40); // the last ones were connected: every turn before that was tried
  });
});

describe("speech", () => {
  it("is sent in pieces and resolves when it was heard", async () => {
    const [avatar, connection] = await opened();
    const speaking = avatar.speak(new Int16Array(6_000), 16_000, { utteranceId: "u1", emotion: "happy" });
    const sent = [];
    for (let n = 0; n < 3; n++) sent.push(await connection.take("agent.speak"));
    expect(sent.map(({ audio }) => atob(String(audio)).length)).toEqual([8_000, 4_000, 0]);
    expect(sent.map(({ emotion, final }) => [emotion, final])).toEqual([
      ["happy", undefined],
      [undefined, undefined],
      [undefined, true],
    ]);
    connection.say({ type: "agent.playback.finished", utterance_id: "u1", position_s: 0.375, interrupted: false });
    expect(await speaking).toEqual({ utteranceId: "u1", positionS: 0.375, interrupted: false });
    avatar.close();
  });
  it("goes on whatever events, members and values are new", async () => {
    const [avatar, connection] = await opened();
    const seen: string[] = [];
    avatar.on("message", ({ type }) => seen.push(type));
    connection.say({ type: "agent.new", of: { y: 1 } });
    connection.say({ type: "agent.state", state: "dancing", more: [1] });
    connection.say({ type: "error", error: "x", code: "NEW_CODE", more: 1 });
    connection.say({ type: "session.expiring", seconds_left: "soon" });
    const speaking = avatar.speak(QUARTER, 16_000, { utteranceId: "u1" });
    for (let n = 0; n < 2; n++) {
      await connection.take("agent.speak");
      connection.say({ type: "agent.speak.confirmed", audio_samples: 4_000, queued_s: "little", more: true });
    }
    const finished = { utterance_id: "u1", position_s: 0.25, interrupted: false, why: "new" };
    connection.say({ type: "agent.playback.finished", ...finished });
    expect(await speaking).toEqual({ utteranceId: "u1", positionS: 0.25, interrupted: false });
    expect(seen).toEqual(["agent.new", "agent.state", "error", "session.expiring", "agent.playback.finished"]);
    expect(avatar.ended).toBeNull();
    avatar.close();
  });
  it("takes floats, bytes cut anywhere, and streams", async () => {
    const [avatar, connection] = await opened();
    const stream = new ReadableStream<Uint8Array>({
      start(controller) {
        for (const bytes of [[1], [2, 3], [4]]) controller.enqueue(new Uint8Array(bytes));
        controller.close();
      },
    });
    await avatar.send(stream, 24_000);
    await avatar.send([new Float32Array([0, 1]), new Int16Array([-2])], 24_000);
    const audio = connection.received.map((message) => [...atob(String(message.audio))].map((c) => c.charCodeAt(0)));
    expect(audio).toEqual([[1], [2, 3], [4], [], [0, 0, 255, 127], [254, 255], []]);
    avatar.close();
  });
  it("carries the timings of each piece", async () => {
    const [avatar, connection] = await opened();
    const phonemes = [{ symbol: "AH0", start_ms: 0, end_ms: 250 }];
    await avatar.send({ pcm: QUARTER, phonemes, alphabet: "arpabet" }, 16_000);
    expect(await connection.take("agent.speak")).toMatchObject({ phonemes, alphabet: "arpabet", sample_rate: 16_000 });
    avatar.close();
  });
  it("is refused without a rate, or as something else than sound", async () => {
    const [avatar] = await opened();
    await expect(avatar.speak(QUARTER, 0)).rejects.toThrow(InvalidSound);
    await expect(avatar.speak(["text"] as never, 16_000)).rejects.toThrow(InvalidSound);
    avatar.close();
  });
  it("is sent at most 30 s ahead of what is heard", async () => {
    const [avatar, connection] = await opened();
    const sending = avatar.send(new Int16Array(16_000 * 40), 16_000);
    await connection.take("agent.speak");
    await takeTurns(1_000);
    expect(connection.received.length).toBeLessThanOrEqual(120); // of 0.25 s each
    expect(connection.received.length).toBeGreaterThan(100);
    avatar.close();
    await expect(sending).rejects.toThrow(/closed/);
  });
  it("ends with the code of its refusal", async () => {
    const [avatar, connection] = await opened();
    const speaking = avatar.speak(QUARTER, 16_000);
    await connection.take("agent.speak");
    connection.say({ type: "error", error: "600 s are queued", code: "QUEUE_FULL", seq: 1 });
    await expect(speaking).rejects.toMatchObject({ code: "QUEUE_FULL" });
    avatar.close();
  });
});

describe("an interrupt", () => {
  it("cuts what is being sent, also a source that has stalled, and lets later speech through", async () => {
    const [avatar, connection] = await opened();
    async function* stalled(): AsyncGenerator<Int16Array> {
      yield QUARTER;
      await new Promise(() => {});
    }
    const sending = avatar.send(stalled(), 16_000, { utteranceId: "old" });
    const waiting = avatar.speak(QUARTER, 16_000, { utteranceId: "waiting" });
    await connection.take("agent.speak");
    const interrupted = avatar.interrupt();
    await connection.take("agent.interrupt");
    connection.say({ type: "agent.interrupt.confirmed", seq: 1 });
    await interrupted;
    expect((await sending).isCut).toBe(true);
    expect(await waiting).toEqual({ utteranceId: "waiting", positionS: 0, interrupted: true });
    void avatar.speak(QUARTER, 16_000, { utteranceId: "new" }).catch(() => {});
    expect(await connection.take("agent.speak")).toMatchObject({ utterance_id: "new" });
    avatar.close();
  });
});

describe("a lost connection", () => {
  it("comes back, sends again what was not taken, and nothing else", async () => {
    const [avatar, first, server] = await opened();
    const connections: boolean[] = [];
    avatar.on("connection", (isUp) => connections.push(isUp));
    await avatar.send(QUARTER, 16_000, { utteranceId: "u1" });
    first.say({ type: "agent.speak.confirmed", audio_samples: 4_000, seq: 1, ack: 1 });
    first.close(1006);
    const second = await server.connected();
    expect(await second.take("session.init")).toMatchObject({ resume: { received: 1 } });
    second.say({ type: "connection.established", resumed: true, received: 1 });
    expect(await second.take("agent.speak")).toMatchObject({ utterance_id: "u1", audio: "", final: true });
    expect(second.received).toEqual([]);
    expect(connections).toEqual([false, true]);
    avatar.close();
  });
  it("is opened at once when the machine is online again", async () => {
    const [avatar, , server] = await opened();
    dispatchOnline();
    const second = await server.connected();
    expect(await second.take("session.init")).toMatchObject({ resume: { received: 0 } });
    avatar.close();
  });
  it("fails speech that the server has forgotten", async () => {
    const [avatar, first, server] = await opened();
    const speaking = avatar.speak(QUARTER, 16_000);
    await first.take("agent.speak");
    first.close(1006);
    const second = await server.connected();
    second.say({ type: "connection.established", resumed: false, received: 0 });
    await expect(speaking).rejects.toThrow(/does not know/);
    avatar.close();
  });
  it("asks once for a new token when the old one has expired", async () => {
    const asked: string[] = [];
    const tokens = (purpose: string): string => {
      asked.push(purpose);
      return `${TOKEN}${asked.length}`;
    };
    const [avatar, first, server] = await opened({ tokens });
    first.close(1006);
    const second = await server.connected();
    second.say({ type: "error", error: "The token has expired", code: "TOKEN_EXPIRED" });
    second.close(4401);
    const third = await server.connected();
    expect(await third.take("session.init")).toMatchObject({ session_token: `${TOKEN}2` });
    third.say({ type: "error", error: "The token has expired", code: "TOKEN_EXPIRED" });
    const ended = new Promise((resolve) => avatar.on("ended", resolve));
    third.close(4401);
    expect(await ended).toEqual({ reason: "refused" });
    expect(asked).toEqual(["speak", "speak"]);
  });
});

describe("the end", () => {
  it.each([
    [1000, "expired", "expired"],
    [1000, "", "ended"],
    [4410, "expired", "expired"],
    [4410, "Session has already ended", "session_ended"],
    [4409, "", "taken_over"],
    [4401, "", "refused"],
  ])("of a close with %i %s is told once", async (code, text, reason) => {
    const [avatar, connection, server] = await opened();
    const told: string[] = [];
    avatar.on("ended", (end) => told.push(end.reason));
    const speaking = avatar.speak(QUARTER, 16_000);
    await connection.take("agent.speak");
    connection.close(code, text);
    const error: unknown = await speaking.catch((raised: unknown) => raised);
    avatar.close();
    expect(told).toEqual([reason]);
    expect(avatar.ended).toBe(reason);
    expect(error instanceof TakenOver).toBe(code === 4409);
    await expect(avatar.speak(QUARTER, 16_000)).rejects.toBe(error);
    expect(server.urls).toHaveLength(1);
  });
});

async function takeTurns(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await Promise.resolve();
}

function dispatchOnline(): void {
  for (const listener of [...onlineListeners]) listener();
}

// Node has no `addEventListener` of its own: a page's is played here.
const onlineListeners = new Set<() => void>();
(globalThis as { addEventListener?: unknown }).addEventListener = (
  _: string,
  listener: () => void,
  { signal }: { signal: AbortSignal },
): void => {
  onlineListeners.add(listener);
  signal.addEventListener("abort", () => onlineListeners.delete(listener));
};
