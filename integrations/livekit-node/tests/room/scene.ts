// A room with an agent, its avatar and a user who watches: real servers, a real @livekit/agents, a scripted voice.

import { randomBytes } from "node:crypto";
import { ReadableStream } from "node:stream/web";

import { llm, tts, voice } from "@livekit/agents";
import {
  AudioFrame,
  AudioStream,
  type E2EEOptions,
  type RemoteTrack,
  Room,
  RoomEvent,
  TrackKind,
  VideoStream,
} from "@livekit/rtc-node";
import { AccessToken } from "livekit-server-sdk";
import { test } from "vitest";

const RATE_HZ = 24_000;
const WITHIN_MS = 30_000; // a bound on waiting for what must happen
const LOUD = 500;
const PICTURES = 3; // so many are looked at
const NEEDED = ["LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET", "VISAVIS_API_URL", "VISAVIS_API_KEY"];

/** Whether there are servers. `tests/livekit/node_plugin.py` of the repository starts them. */
export const isReached = NEEDED.every((name) => process.env[name]);
/** A test that `make conformance` runs alone. */
export const long: typeof test | ((...ignored: unknown[]) => void) =
  process.env["VISAVIS_CONFORMANCE"] === "full" ? test : () => undefined;

export async function token(room: string, identity: string, kind: "standard" | "agent", hidden = false) {
  const made = new AccessToken(undefined, undefined, { identity });
  made.kind = kind;
  made.addGrant({ roomJoin: true, room, canPublishData: true, hidden });
  return made.toJwt();
}

/** A tone in frames of 20 ms. */
function tone(seconds: number): AudioFrame[] {
  const size = RATE_HZ / 50;
  return Array.from({ length: Math.round(seconds * 50) }, (_, number) => {
    const frame = AudioFrame.create(RATE_HZ, 1, size);
    for (let at = 0; at < size; at++) {
      frame.data[at] = Math.round(12_000 * Math.sin(((number * size + at) * 440 * 2 * Math.PI) / RATE_HZ));
    }
    return frame;
  });
}

/** A tone as a synthesiser gives it: faster than it is heard. */
export function spoken(seconds: number): ReadableStream<AudioFrame> {
  const frames = tone(seconds);
  return new ReadableStream({
    pull: (controller) => {
      const frame = frames.shift();
      if (frame === undefined) controller.close();
      else controller.enqueue(frame);
    },
  });
}

/** A model that always says the same. */
export class ScriptedModel extends llm.LLM {
  constructor(private readonly answer: string) {
    super();
  }

  label(): string {
    return "scripted";
  }

  chat({ chatCtx, toolCtx, connOptions }: Parameters<llm.LLM["chat"]>[0]): llm.LLMStream {
    const answer = this.answer;
    class Stream extends llm.LLMStream {
      protected async run(): Promise<void> {
        this.queue.put({ id: "scripted", delta: { role: "assistant", content: answer } });
      }
    }
    const options = { chatCtx, connOptions: connOptions ?? { maxRetry: 0, retryIntervalMs: 0, timeoutMs: 10_000 } };
    return new Stream(this, toolCtx === undefined ? options : { ...options, toolCtx });
  }
}

/** A synthesiser that says every sentence as a tone of so many seconds. */
export class ScriptedVoice extends tts.TTS {
  label = "scripted";

  constructor(private readonly seconds: number) {
    super(RATE_HZ, 1, { streaming: false });
  }

  override synthesize(text: string): tts.ChunkedStream {
    const frames = tone(this.seconds);
    class Stream extends tts.ChunkedStream {
      label = "scripted";
      protected async run(): Promise<void> {
        frames.forEach((frame, number) => {
          this.queue.put({ requestId: text, segmentId: text, frame, final: number === frames.length - 1 });
        });
        this.queue.close();
      }
    }
    return new Stream(text, this);
  }

  override stream(): tts.SynthesizeStream {
    throw new Error("it synthesises whole sentences");
  }
}

/** What a user receives of one participant: pictures, and the level of each 10 ms of sound. */
class Seen {
  pictures = 0;
  levels: number[] = [];

  get loudS(): number {
    return this.levels.filter((level) => level > LOUD).length / 100;
  }
}

/** A participant who watches and listens. */
export class User {
  readonly room = new Room();
  private readonly seen = new Map<string, Seen>();
  private readonly waiting = new Set<() => void>();

  /** `subscribesAfterMs`: how late the user asks for each track; undefined: at once, by itself. */
  async join(room: string, subscribesAfterMs?: number): Promise<void> {
    this.room.on(RoomEvent.TrackSubscribed, (track, publication, participant) => {
      const seen = this.of(participant.identity);
      if (track.kind === TrackKind.KIND_AUDIO) void this.hear(track, seen);
      else
        void this.see(track, seen)
          .then((whole) => whole && publication.setSubscribed(false))
          .catch(() => {}); // the avatar has left meanwhile
    });
    this.room.on(RoomEvent.ParticipantDisconnected, () => this.changed());
    if (subscribesAfterMs !== undefined) {
      this.room.on(RoomEvent.TrackPublished, (track) => {
        setTimeout(() => track.setSubscribed(true), subscribesAfterMs);
      });
    }
    const url = process.env["LIVEKIT_URL"]!;
    const autoSubscribe = subscribesAfterMs === undefined;
    await this.room.connect(url, await token(room, "user", "standard"), { autoSubscribe, dynacast: false });
  }

  of(identity: string): Seen {
    let seen = this.seen.get(identity);
    if (seen === undefined) this.seen.set(identity, (seen = new Seen()));
    return seen;
  }

  waitPictures(identity: string): Promise<void> {
    return this.until(`pictures of ${identity}`, () => this.of(identity).pictures >= PICTURES);
  }

  waitLoud(identity: string, seconds: number): Promise<void> {
    return this.until(`${seconds} s of ${identity}`, () => this.of(identity).loudS >= seconds);
  }

  /** Wait until the participant has been silent for so long. */
  waitSilent(identity: string, seconds: number): Promise<void> {
    const count = Math.round(seconds * 100);
    return this.until(`silence of ${identity}`, () => {
      const last = this.of(identity).levels.slice(-count);
      return last.length === count && Math.max(...last) <= LOUD;
    });
  }

  waitAloneWith(identity: string): Promise<void> {
    return this.until(`${identity} alone`, () => [...this.room.remoteParticipants.keys()].join() === identity);
  }

  private async until(what: string, happened: () => boolean): Promise<void> {
    const endsMs = performance.now() + WITHIN_MS;
    while (!happened()) {
      const leftMs = endsMs - performance.now();
      if (leftMs <= 0) throw new Error(`it has not come in time: ${what}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.waiting.add(() => (clearTimeout(timer), resolve()));
      });
    }
  }

  private changed(): void {
    for (const resolve of this.waiting) resolve();
    this.waiting.clear();
  }

  /** Return whether all the pictures that are looked at have come. */
  private async see(track: RemoteTrack, seen: Seen): Promise<boolean> {
    for await (const _ of new VideoStream(track)) {
      seen.pictures += 1;
      this.changed();
      if (seen.pictures === PICTURES) return true; // decoding them takes more than all the rest
    }
    return false;
  }

  private async hear(track: RemoteTrack, seen: Seen): Promise<void> {
    for await (const frame of new AudioStream(track, { sampleRate: 48_000, numChannels: 1, frameSizeMs: 10 })) {
      const power = frame.data.reduce((sum, sample) => sum + sample * sample, 0) / frame.data.length;
      seen.levels.push(Math.sqrt(power));
      this.changed();
    }
  }
}

/** A room, an agent in it with a session of LiveKit's, and a user. `open` it, and `close` it. */
export class Scene {
  readonly name = `room-${randomBytes(6).toString("hex")}`;
  readonly room = new Room();
  readonly session = new voice.AgentSession({ llm: new ScriptedModel("I am scripted."), tts: new ScriptedVoice(1) });
  user = new User();

  async open(options: { hidden?: boolean; encryption?: E2EEOptions } = {}): Promise<void> {
    const agent = await token(this.name, "agent", "agent", options.hidden);
    const url = process.env["LIVEKIT_URL"]!;
    const connecting = { autoSubscribe: false, dynacast: false }; // it does not look at its avatar
    await this.room.connect(url, agent, options.encryption ? { ...connecting, e2ee: options.encryption } : connecting);
    await this.user.join(this.name);
  }

  async startSession(): Promise<void> {
    await this.session.start({
      agent: new voice.Agent({ instructions: "none" }),
      room: this.room,
      record: false,
    });
  }

  say(seconds: number): voice.SpeechHandle {
    return this.session.say("some words", { audio: spoken(seconds) });
  }

  async close(): Promise<void> {
    await this.session.close();
    await this.room.disconnect();
    await this.user.room.disconnect();
  }
}

/** Ask the Visavis server. */
export async function ask(path: string, method = "GET"): Promise<Record<string, any>> {
  const headers = { "x-api-key": process.env["VISAVIS_API_KEY"]! };
  const answer = await fetch(process.env["VISAVIS_API_URL"] + path, { method, headers });
  return (await answer.json()) as Record<string, any>;
}

export async function post(path: string): Promise<void> {
  await ask(path, "POST");
}

export async function waitEnded(sessionId: string): Promise<void> {
  while ((await ask(`/v1/sessions/${sessionId}`))["session"].status !== "ended") {
    await new Promise((resolve) => setTimeout(resolve, 50)); // polls the server
  }
}
