// A LiveKit agent with a face that follows a script: no language model, no speech synthesiser, no network.
//
// `make livekit-demo BOT=node` in the checkout starts all that it needs. An agent of yours differs in its
// `AgentSession`, which has a model, a voice and ears, and imports "@visavis/livekit-agents"; the lines with `avatar`
// stay as they are.

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { cli, defineAgent, ServerOptions, voice } from "@livekit/agents";
import { AudioFrame, RoomEvent } from "@livekit/rtc-node";

import * as visavis from "../dist/index.js";

const VOICES = new URL("../../../src/visavis/library/voices/", import.meta.url);
const GREETING = "Hello! I am an avatar.";
const SAMPLE = "This is a longer text, which you may interrupt at any time.";

/** A WAV recording (mono, PCM16) in frames of 20 ms, as a speech synthesiser would give it. */
async function recording(name) {
  const wav = await readFile(new URL(name, VOICES));
  const rateHz = wav.readUInt32LE(24);
  const data = wav.indexOf("data") + 8;
  const samples = new Int16Array(
    wav.buffer.slice(wav.byteOffset + data, wav.byteOffset + data + wav.readUInt32LE(data - 4)),
  );
  const size = rateHz / 50;
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      const piece = samples.slice(at, (at += size));
      if (piece.length === 0) controller.close();
      else controller.enqueue(new AudioFrame(piece, rateHz, 1, piece.length));
    },
  });
}

export default defineAgent({
  entry: async (ctx) => {
    await ctx.connect();
    const session = new voice.AgentSession();

    const avatar = new visavis.AvatarSession({ avatar: process.env.AVATAR ?? "iris" });
    await avatar.start(session, ctx.room);
    await session.start({ agent: new voice.Agent({ instructions: "none" }), room: ctx.room });
    await ctx.waitForParticipant();
    await avatar.waitReady();

    session.say(GREETING, { audio: await recording("greeting.wav") });

    ctx.room.on(RoomEvent.DataReceived, async (data, _participant, _kind, topic) => {
      if (topic !== "wish") return;
      const { wish } = JSON.parse(new TextDecoder().decode(data));
      if (wish === "talk") session.say(SAMPLE, { audio: await recording("sample.wav") });
      else if (wish === "interrupt") session.interrupt();
      else await avatar.setEmotion(wish);
    });
  },
});

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  cli.runApp(
    new ServerOptions({
      agent: fileURLToPath(import.meta.url),
      loadFunc: async () => 0, // this machine draws the avatars, too, and is busy: it takes the job all the same
      initializeProcessTimeout: 60_000,
      numIdleProcesses: 1,
      host: "127.0.0.1",
    }),
  );
}
