// What becomes of a conversation when the avatar does not come, goes, or is not wanted.

import { connect, createServer, type AddressInfo } from "node:net";

import { type JobContext, runWithJobContextAsync, voice } from "@livekit/agents";
import { EncryptionType, type KeyProviderOptions, Room } from "@livekit/rtc-node";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import * as visavis from "../../src/index.js";
import { OwnVoice } from "../../src/own-voice.js";
import { ask, isReached, long, post, Scene, spoken, User } from "./scene.js";

function failuresOf(avatar: visavis.AvatarSession): visavis.VisavisError[] {
  const failures: visavis.VisavisError[] = [];
  avatar.on("avatar_failed", (error) => failures.push(error));
  return failures;
}

/** A way to the server that holds the answer to a create until it may come. */
async function slowCreate(): Promise<{ url: string; letAnswer: () => void; close: () => void }> {
  const service = new URL(process.env["VISAVIS_API_URL"]!);
  let letAnswer = (): void => undefined;
  const mayAnswer = new Promise<void>((resolve) => (letAnswer = resolve));
  const way = createServer((client) => {
    const server = connect(Number(service.port), service.hostname);
    let answered = Promise.resolve();
    client.on("data", (data) => {
      if (data.includes("POST /v1/sessions ")) answered = mayAnswer;
      server.write(data);
    });
    server.on("data", (data) => void answered.then(() => client.write(data)));
    client.on("close", () => server.destroy());
    server.on("close", () => void answered.then(() => client.destroy()));
    for (const socket of [client, server]) socket.on("error", () => undefined); // whoever has left is told nothing
  });
  await new Promise<void>((resolve) => way.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(way.address() as AddressInfo).port}`, letAnswer, close: () => way.close() };
}

describe.runIf(isReached)("without an avatar", () => {
  let scene: Scene;
  beforeEach(async () => {
    scene = new Scene();
    await scene.open();
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await scene.close();
  });

  test("the agent speaks itself", async () => {
    const avatar = new visavis.AvatarSession({ apiKey: `ah_live_${"0".repeat(32)}` });
    const failures = failuresOf(avatar);
    await avatar.start(scene.session, scene.room);
    await scene.startSession();
    const said = scene.say(1);
    await expect(avatar.waitReady()).rejects.toBeInstanceOf(visavis.Unauthorized);
    await said.waitForPlayout();
    expect(said.interrupted).toBe(false);
    expect(failures.length).toBe(1);
    await scene.user.waitLoud("agent", 0.9);
    await avatar.aclose();
    await scene.say(0.5).waitForPlayout();
    await scene.user.waitLoud("agent", 1.4);
  });

  long("the agent speaks itself, also if its session was started before", async () => {
    await scene.startSession();
    const avatar = new visavis.AvatarSession({ readyWithinMs: 10 });
    await avatar.start(scene.session, scene.room);
    await expect(avatar.waitReady()).rejects.toBeInstanceOf(visavis.AvatarNotReady);
    const said = scene.say(1);
    await said.waitForPlayout();
    expect(said.interrupted).toBe(false);
    await scene.user.waitLoud("agent", 0.9);
    await avatar.aclose();
    await scene.say(0.5).waitForPlayout();
    await scene.user.waitLoud("agent", 1.4);
  });

  test("which shows nothing in time, the conversation goes on", async () => {
    const avatar = new visavis.AvatarSession({ readyWithinMs: 10 });
    const failures = failuresOf(avatar);
    await avatar.start(scene.session, scene.room);
    await scene.startSession();
    await expect(avatar.waitReady()).rejects.toThrow("Check that the Visavis server");
    await expect(avatar.waitReady()).rejects.toBeInstanceOf(visavis.AvatarNotReady);
    const said = scene.say(0.5);
    await said.waitForPlayout();
    await scene.user.waitLoud("agent", 0.4);
    expect(failures.length).toBe(1);
    await avatar.aclose();
  });

  test("the agent's session ends where that is wanted", async () => {
    const avatar = new visavis.AvatarSession({ avatar: "nobody", fallback: "end" });
    const closed = new Promise<voice.CloseEvent>((resolve) => {
      scene.session.on(voice.AgentSessionEventTypes.Close, resolve);
    });
    await avatar.start(scene.session, scene.room);
    await scene.startSession();
    await expect(avatar.waitReady()).rejects.toThrow("Iris");
    const event = await closed;
    expect(event.reason).toBe(voice.CloseReason.ERROR);
    expect(event.error).toMatchObject({ error: { name: "AvatarUnknown" } });
    await avatar.aclose();
  });

  test("that has died, its sentence is interrupted and the next one is heard", async () => {
    const avatar = new visavis.AvatarSession({ avatar: "iris", aspectRatio: "1:1" });
    const failures = failuresOf(avatar);
    await avatar.start(scene.session, scene.room);
    await scene.startSession();
    await avatar.waitReady();
    const said = scene.say(20);
    await scene.user.waitLoud(avatar.avatarIdentity, 0.2);
    await post(`/v1/sessions/${avatar.sessionId}/end`);
    await said.waitForPlayout();
    expect(said.interrupted).toBe(true);
    expect(failures.map((failure) => failure.name)).toEqual(["AvatarLost"]);
    const next = scene.say(0.5);
    await next.waitForPlayout();
    expect(next.interrupted).toBe(false);
    await scene.user.waitLoud("agent", 0.4);
    await avatar.aclose();
  });

  for (const [when, answered, run] of [
    ["is answered afterwards", true, test],
    ["is never answered", false, long],
  ] as const) {
    run(`whose session ends before its create ${when}, what has kept it is told`, async () => {
      const way = await slowCreate();
      const avatar = new visavis.AvatarSession({ apiUrl: way.url, metadata: { room: scene.name } });
      const failures = failuresOf(avatar);
      await avatar.start(scene.session, scene.room);
      await scene.startSession();
      await scene.user.waitPictures(avatar.avatarIdentity);
      expect(avatar.sessionId).toBeUndefined();
      const { sessions } = await ask(`/v1/sessions?metadata.room=${scene.name}`);
      for (const session of sessions) await post(`/v1/sessions/${session.session_id}/end`);
      await scene.user.waitAloneWith("agent");
      if (answered) way.letAnswer();
      await expect(avatar.waitReady()).rejects.toMatchObject({
        name: answered ? "AvatarLost" : "AvatarNotReady",
        message: expect.stringContaining(answered ? "ended_by_client" : "has not joined the room"),
      });
      expect(failures.length).toBe(1);
      way.letAnswer();
      await avatar.aclose();
      way.close();
    });
  }

  test("in the console and without sound no session is started", async () => {
    const inConsole = new visavis.AvatarSession({ metadata: { room: scene.name } });
    const job = { isFakeJob: true } as JobContext;
    await runWithJobContextAsync(job, () => inConsole.start(scene.session, scene.room));
    await inConsole.waitReady();
    scene.session.output.setAudioEnabled(false);
    const silent = new visavis.AvatarSession({ metadata: { room: scene.name } });
    await silent.start(scene.session, scene.room);
    await silent.waitReady();
    expect(scene.session.output.audio).toBeNull();
    expect((await ask(`/v1/sessions?metadata.room=${scene.name}`))["sessions"]).toEqual([]);
    await inConsole.aclose();
    await silent.aclose();
  });

  test("what is missing is named before anything starts", async () => {
    const avatar = new visavis.AvatarSession();
    vi.stubEnv("LIVEKIT_API_SECRET", "");
    await expect(avatar.start(scene.session, scene.room)).rejects.toThrow("LIVEKIT_API_SECRET");
    await expect(avatar.start(scene.session, scene.room)).rejects.toThrow("make another one");
    vi.unstubAllEnvs();
    const unconnected = new visavis.AvatarSession();
    await expect(unconnected.start(scene.session, new Room())).rejects.toThrow("connect the room");
    expect(scene.session.output.audio).toBeNull();
  });

  long("the agent's own voice begins when somebody can hear it", async () => {
    await scene.user.room.disconnect();
    scene.user = new User();
    await scene.user.join(scene.name, 600);
    const own = new OwnVoice(scene.room);
    for await (const frame of spoken(0.5)) await own.captureFrame(frame);
    own.flush();
    const played = await own.waitForPlayout();
    expect(played.playbackPosition).toBeCloseTo(0.5, 5);
    expect(played.interrupted).toBe(false);
    await scene.user.waitLoud("agent", 0.45);
    await own.aclose();
  });

  long("a sentence that is broken off before its first word ends", async () => {
    await scene.user.room.disconnect();
    scene.user = new User();
    await scene.user.join(scene.name, 600);
    const own = new OwnVoice(scene.room);
    const captured = own.captureFrame((await spoken(0.02).getReader().read()).value!);
    await new Promise((resolve) => setTimeout(resolve, 100));
    own.flush();
    own.clearBuffer();
    const brokenOff = await own.waitForPlayout();
    expect([brokenOff.interrupted, brokenOff.playbackPosition]).toEqual([true, 0]);
    await captured;
    for await (const frame of spoken(0.5)) await own.captureFrame(frame);
    own.flush();
    expect((await own.waitForPlayout()).interrupted).toBe(false);
    await scene.user.waitLoud("agent", 0.45);
    await own.aclose();
  });

  long("that another one replaces in the middle of a sentence, the new one speaks", async () => {
    const old = new visavis.AvatarSession({ avatar: "iris", aspectRatio: "1:1" });
    const next = new visavis.AvatarSession({ avatar: "leo", aspectRatio: "1:1" });
    await old.start(scene.session, scene.room);
    await scene.startSession();
    await old.waitReady();
    const said = scene.say(20);
    await scene.user.waitLoud(old.avatarIdentity, 0.2);
    await next.start(scene.session, scene.room);
    scene.session.interrupt();
    await said.waitForPlayout();
    expect(said.interrupted).toBe(true);
    const second = scene.say(1);
    await old.aclose(); // late: the new one stays
    await second.waitForPlayout();
    expect(second.interrupted).toBe(false);
    await scene.user.waitLoud(next.avatarIdentity, 0.9);

    const failed = new Promise((resolve) => next.on("avatar_failed", resolve));
    await post(`/v1/sessions/${next.sessionId}/end`);
    await failed; // without any avatar the agent speaks itself
    const third = scene.say(0.5);
    await third.waitForPlayout();
    expect(third.interrupted).toBe(false);
    await scene.user.waitLoud("agent", 0.4);
    await next.aclose();
  });

  long("audio that is switched off silences the avatar, and comes back", async () => {
    const avatar = new visavis.AvatarSession({ avatar: "iris", aspectRatio: "1:1" });
    await avatar.start(scene.session, scene.room);
    await scene.startSession();
    await avatar.waitReady();
    const said = scene.say(20);
    await scene.user.waitLoud(avatar.avatarIdentity, 0.2);
    scene.session.output.setAudioEnabled(false);
    await scene.user.waitSilent(avatar.avatarIdentity, 0.3);
    scene.session.interrupt();
    await said.waitForPlayout();
    scene.session.output.setAudioEnabled(true);
    const heardS = scene.user.of(avatar.avatarIdentity).loudS;
    const next = scene.say(0.5);
    await next.waitForPlayout();
    expect(next.interrupted).toBe(false);
    await scene.user.waitLoud(avatar.avatarIdentity, heardS + 0.4);
    await avatar.aclose();
  });
});

describe.runIf(isReached)("rooms that do not suit", () => {
  const encryption = {
    keyProviderOptions: { sharedKey: new Uint8Array([1, 2, 3]) } as KeyProviderOptions,
    encryptionType: EncryptionType.GCM,
  };
  for (const [kind, options] of [["hidden", { hidden: true }] as const, ["encrypted", { encryption }] as const]) {
    test(`are refused before anything starts: ${kind}`, async () => {
      const scene = new Scene();
      await scene.open(options);
      const avatar = new visavis.AvatarSession();
      await expect(avatar.start(scene.session, scene.room)).rejects.toMatchObject({
        name: "RoomUnsuitable",
        message: expect.stringContaining(kind),
      });
      expect(scene.session.output.audio).toBeNull();
      await avatar.aclose();
      await scene.close();
    });
  }
});
