// An avatar in an agent's room: it joins, speaks, is interrupted, and goes.

import { voice } from "@livekit/agents";
import { ParticipantKind, TrackKind, TrackSource } from "@livekit/rtc-node";
import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { AvatarSession } from "../../src/index.js";
import { ask, isReached, long, Scene, User, waitEnded } from "./scene.js";

describe.runIf(isReached)("an avatar", () => {
  let scene: Scene;
  beforeEach(async () => {
    scene = new Scene();
    await scene.open();
  });
  afterEach(() => scene.close());

  test("joins, is seen, speaks a turn, is interrupted ten times, and goes", async () => {
    const avatar = new AvatarSession({ avatar: "iris", aspectRatio: "1:1" });
    let ready = 0;
    avatar.on("avatar_ready", () => (ready += 1));
    await avatar.start(scene.session, scene.room);
    await scene.startSession();
    await avatar.waitReady();
    expect(ready).toBe(1);
    await scene.user.waitPictures(avatar.avatarIdentity);

    const participant = scene.user.room.remoteParticipants.get(avatar.avatarIdentity)!;
    expect(participant.kind).toBe(ParticipantKind.AGENT);
    expect(participant.attributes["lk.publish_on_behalf"]).toBe("agent");
    const sources = [...participant.trackPublications.values()].map((publication) => publication.source!).sort();
    expect(sources).toEqual([TrackSource.SOURCE_CAMERA, TrackSource.SOURCE_MICROPHONE].sort());

    const reply = scene.session.generateReply({ userInput: "Who are you?" }); // by a model and a synthesiser
    await reply.waitForPlayout();
    expect(reply.interrupted).toBe(false);
    await scene.user.waitLoud(avatar.avatarIdentity, 0.9);
    const agent = scene.user.room.remoteParticipants.get("agent")!;
    expect([...agent.trackPublications.values()].filter((one) => one.kind === TrackKind.KIND_AUDIO)).toEqual([]);

    const ends: { position: number; interrupted: boolean }[] = [];
    scene.session.output.audio!.on("playbackFinished", (event) => {
      ends.push({ position: event.playbackPosition, interrupted: event.interrupted });
    });
    for (let turn = 1; turn <= 10; turn++) {
      const heardS = scene.user.of(avatar.avatarIdentity).loudS;
      const said = scene.say(5);
      await scene.user.waitLoud(avatar.avatarIdentity, heardS + 0.1);
      scene.session.interrupt();
      await said.waitForPlayout();
      expect(said.interrupted).toBe(true);
      await scene.user.waitSilent(avatar.avatarIdentity, 0.1);
      expect(ends.length).toBe(turn);
      expect(ends.at(-1)!.interrupted).toBe(true);
      expect(ends.at(-1)!.position).toBeGreaterThan(0);
      expect(ends.at(-1)!.position).toBeLessThan(5);
    }
    const said = scene.say(0.4);
    await said.waitForPlayout();
    expect(said.interrupted).toBe(false);
    expect(ends.length).toBe(11);
    expect(ends.at(-1)!.interrupted).toBe(false);
    expect(ends.at(-1)!.position).toBeCloseTo(0.4, 1);

    await avatar.aclose();
    await avatar.aclose();
    await waitEnded(avatar.sessionId!);
  });

  test("is waited for by speech, which is heard whole", async () => {
    const avatar = new AvatarSession({ avatar: "iris", aspectRatio: "1:1" });
    await avatar.start(scene.session, scene.room);
    await scene.startSession();
    const said = scene.say(1); // the avatar has not even joined
    await said.waitForPlayout();
    expect(said.interrupted).toBe(false);
    await scene.user.waitLoud(avatar.avatarIdentity, 0.9);
    await avatar.aclose();
  });

  long("has its first sentence wait for a user", async () => {
    await scene.user.room.disconnect();
    scene.user = new User();
    const avatar = new AvatarSession({ avatar: "iris", aspectRatio: "1:1", holdForViewerS: 30 });
    await avatar.start(scene.session, scene.room);
    await scene.startSession();
    await avatar.waitReady();
    const said = scene.say(1);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(said.done()).toBe(false);
    await scene.user.join(scene.name);
    await said.waitForPlayout();
    expect(said.interrupted).toBe(false);
    await scene.user.waitLoud(avatar.avatarIdentity, 0.9);
    await avatar.aclose();
  });

  test("leaves no session when its start is broken off", async () => {
    for (const waitMs of [0, 20, 100, 300]) {
      const avatar = new AvatarSession({ avatar: "iris", metadata: { room: scene.name } });
      await avatar.start(scene.session, scene.room);
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      await avatar.aclose();
    }
    expect((await ask(`/v1/sessions?status=started&metadata.room=${scene.name}`))["sessions"]).toEqual([]);
    await scene.user.waitAloneWith("agent");
  });

  test("shows what the agent wants, and what agent and user do", async () => {
    const avatar = new AvatarSession({ avatar: "iris", aspectRatio: "1:1", emotion: "sad" });
    await avatar.start(scene.session, scene.room);
    await avatar.waitReady();
    expect((await avatar.setEmotion("happy"))["emotion"]).toEqual({ name: "happy", weight: 1 });
    const background = { type: "color", color: "#102030" };
    const shown = await avatar.update({ background, framing: { zoom: 1.2 } });
    expect(shown).toMatchObject({ background, framing: { zoom: 1.2 }, emotion: { name: "happy" } });
    await expect(avatar.setEmotion("bored")).rejects.toMatchObject({
      name: "AvatarRefused",
      code: "INVALID_EMOTION",
      message: expect.stringContaining("emotion must be one of"),
    });

    const calls = scene.room.localParticipant!;
    const made: [string, string, string][] = [];
    const perform = calls.performRpc.bind(calls);
    calls.performRpc = async (call) => {
      const answer = await perform(call);
      made.push([call.method, call.payload, answer]);
      return answer;
    };
    const { AgentStateChanged, UserStateChanged } = voice.AgentSessionEventTypes;
    const user = (before: voice.UserState, now: voice.UserState) =>
      scene.session.emit(UserStateChanged, voice.createUserStateChangedEvent(before, now));
    const agent = (before: voice.AgentState, now: voice.AgentState) =>
      scene.session.emit(AgentStateChanged, voice.createAgentStateChangedEvent(before, now));
    user("listening", "speaking");
    user("speaking", "listening");
    agent("listening", "thinking");
    agent("thinking", "speaking");
    agent("thinking", "listening");
    await avatar.update({ emotion: "neutral" }); // calls keep their order
    const states = made
      .filter(([method]) => method === "visavis.state")
      .map(([, payload, answer]) => [payload, answer]);
    expect(states).toEqual(["listening", "thinking", "listening"].map((state) => [JSON.stringify({ state }), "ok"]));
    await avatar.aclose();
  });

  long("pauses for an interruption that was none, and goes on with the next sample", async () => {
    const avatar = new AvatarSession({ avatar: "iris", aspectRatio: "1:1" });
    await avatar.start(scene.session, scene.room);
    await scene.startSession();
    await avatar.waitReady();
    const output = scene.session.output.audio!;
    expect(output.canPause).toBe(true);
    const heard = scene.user.of(avatar.avatarIdentity);
    const said = scene.say(3);
    await scene.user.waitLoud(avatar.avatarIdentity, 1);
    output.pause();
    await scene.user.waitSilent(avatar.avatarIdentity, 0.4);
    expect(heard.loudS).toBeLessThan(2.5);
    output.resume();
    await said.waitForPlayout();
    expect(said.interrupted).toBe(false);
    await scene.user.waitLoud(avatar.avatarIdentity, 2.9);
    expect(heard.loudS).toBeLessThan(3.1);

    const next = scene.say(3);
    await scene.user.waitLoud(avatar.avatarIdentity, 3.5);
    output.pause();
    scene.session.interrupt(); // it was a real one
    await next.waitForPlayout();
    expect(next.interrupted).toBe(true);
    const last = scene.say(0.4);
    await last.waitForPlayout();
    expect(last.interrupted).toBe(false);
    await avatar.aclose();
  });

  long(
    "is interrupted a hundred times with nothing left over",
    async () => {
      const avatar = new AvatarSession({ avatar: "iris", aspectRatio: "1:1" });
      await avatar.start(scene.session, scene.room);
      await scene.startSession();
      await avatar.waitReady();
      const heard = scene.user.of(avatar.avatarIdentity);
      const toSilenceMs: number[] = [];
      for (let turn = 0; turn < 100; turn++) {
        const beforeS = heard.loudS;
        const said = scene.say(4);
        await scene.user.waitLoud(avatar.avatarIdentity, beforeS + 0.05 + 0.01 * (turn % 30));
        const begunMs = performance.now();
        scene.session.interrupt();
        await scene.user.waitSilent(avatar.avatarIdentity, 0.03);
        toSilenceMs.push(performance.now() - begunMs - 30);
        await said.waitForPlayout();
        expect(said.interrupted).toBe(true);
      }
      toSilenceMs.sort((a, b) => a - b);
      console.log(
        `interrupt to silence heard: p50 ${toSilenceMs[50]!.toFixed()} ms, p95 ${toSilenceMs[95]!.toFixed()} ms`,
      );
      await scene.user.waitSilent(avatar.avatarIdentity, 0.3);
      const beforeS = heard.loudS;
      await scene.say(0.5).waitForPlayout();
      await scene.user.waitLoud(avatar.avatarIdentity, beforeS + 0.44); // it may come later than its end is told
      await scene.user.waitSilent(avatar.avatarIdentity, 0.3);
      expect(Math.abs(heard.loudS - beforeS - 0.5)).toBeLessThan(0.06);
      await avatar.aclose();
    },
    600_000,
  );

  long("ends with the agent's session", async () => {
    const avatar = new AvatarSession({ avatar: "iris" });
    await avatar.start(scene.session, scene.room);
    await scene.startSession();
    await avatar.waitReady();
    await scene.session.close();
    await waitEnded(avatar.sessionId!);
  });

  long("ends when its agent is gone", async () => {
    const avatar = new AvatarSession({ avatar: "iris" });
    await avatar.start(scene.session, scene.room);
    await avatar.waitReady();
    await scene.room.disconnect();
    await waitEnded(avatar.sessionId!);
    await avatar.aclose();
  });
});
