// The avatar of one agent's session.

import { randomBytes } from "node:crypto";

import { getJobContext, log, voice, waitForParticipant, waitForTrackPublication } from "@livekit/agents";
import { type DataPacketKind, type RemoteParticipant, type Room, RoomEvent, TrackKind } from "@livekit/rtc-node";

import { avatarToken, type LiveKitOptions, projectOf, requireSuitable, roomAndAgent } from "./access.js";
import { AvatarCalls } from "./calls.js";
import { AvatarError, AvatarLost, AvatarNotReady, Refused, VisavisError } from "./errors.js";
import { AvatarSessionWithEvents } from "./events.js";
import { AvatarOutput } from "./output.js";
import { OwnVoice } from "./own-voice.js";
import { type AvatarChoice, findAvatar } from "./portraits.js";
import { isObject } from "./service/answers.js";
import { VisavisService } from "./service/service.js";
import { BrokenOff, type Json } from "./service/transport.js";
import { AvatarStream } from "./stream.js";

const READY_WITHIN_MS = 10_000;
const BACK_WITHIN_MS = 2_000; // after it has left: an avatar whose connection was lost joins again
const JOIN_TIMEOUT_S = 20; // the server ends a session whose agent has not been seen for so long
const END_WITHIN_MS = 5_000;
const STATE_TOPIC = "session.state";

/** What the avatar shows: as in the server's reference. */
export interface Look {
  background?: Json;
  framing?: Json;
  emotion?: string | Json;
}

export interface AvatarOptions extends Look {
  /** The name of an avatar, its id, the address of a photo, the bytes of a photo, or a `file:` URL of one. */
  avatar?: AvatarChoice;
  /** Of the Visavis server; default: the variable VISAVIS_API_URL. */
  apiUrl?: string;
  /** Default: the variable VISAVIS_API_KEY. */
  apiKey?: string;
  aspectRatio?: "4:3" | "3:4" | "1:1";
  metadata?: Json;
  /** What becomes of the conversation without the avatar: the agent speaks itself, or its session ends. */
  fallback?: "voice" | "end";
  /** How long the avatar may take until it is seen. */
  readyWithinMs?: number;
  /** The first sentence waits so long for a user, or for a telephone to be answered: above 0, at most 60. */
  holdForViewerS?: number;
  participantName?: string;
}

/** What `start` has set up in the agent's session and its room. */
interface Scene {
  agent: voice.AgentSession;
  room: Room;
  calls: AvatarCalls;
  stream: AvatarStream;
  output: AvatarOutput;
  before: voice.AudioOutput | undefined; // what the agent spoke with, if it had begun
  voice: voice.AudioOutput; // what it speaks with when there is no avatar
}

/** A Visavis avatar that speaks what an agent says. */
export class AvatarSession extends AvatarSessionWithEvents {
  private readonly service: VisavisService;
  private readonly options: AvatarOptions;
  private readonly identity = `visavis-avatar-${randomBytes(4).toString("hex")}`;
  private look: Look = {};
  private scene: Scene | undefined; // set by `start`
  private id: string | undefined; // set when the session was created
  private endedEarly: AvatarLost | undefined; // before its create was answered
  private failure: VisavisError | undefined;
  private isStarted = false;
  private isReady = false;
  private closing: Promise<void> | undefined; // set by the first `aclose`
  private readonly closed = new AbortController(); // aborted by it
  private readonly tasks = new Set<Promise<void>>();
  private settle: () => void = () => undefined;
  private readonly settled = new Promise<void>((resolve) => (this.settle = resolve)); // ready, failed, or none comes

  /** Throws `VisavisError` without an API key. */
  constructor(options: AvatarOptions = {}) {
    super();
    this.options = options;
    this.service = new VisavisService(options.apiUrl, options.apiKey);
    this.look = lookOf(options);
  }

  override get avatarIdentity(): string {
    return this.identity;
  }

  override get provider(): string {
    return "visavis";
  }

  /** The id of the Visavis session, once it was created. */
  get sessionId(): string | undefined {
    return this.id;
  }

  // --- starting
  /**
   * Have the avatar join the room, before the agent's session is started. Resolves at once: `waitReady`
   * waits until it is
   * seen. Until then the agent's speech waits.
   *
   * The Visavis server must reach the address of the LiveKit server, too. Throws `AvatarError`; then
   * nothing was started.
   */
  override async start(agent: voice.AgentSession, room: Room, livekit: LiveKitOptions = {}): Promise<void> {
    if (this.isStarted) throw new AvatarError("This AvatarSession was started before: make another one");
    this.isStarted = true;
    const job = getJobContext(false);
    const why = job?.isFakeJob === true ? "the agent runs in the console" : noSoundIn(agent);
    if (why !== undefined) {
      log().info(`no avatar is started: ${why}`);
      this.settle();
      return;
    }
    const project = projectOf(livekit);
    requireSuitable(room);
    const { name, agent: agentIdentity } = roomAndAgent(room, job);
    const participantName = this.options.participantName ?? "Avatar";
    const who = { room: name, identity: this.identity, name: participantName, agent: agentIdentity };
    const token = await avatarToken(project, who);
    await super.start(agent, room);
    this.scene = this.setUp(agent, room);
    agent.on(voice.AgentSessionEventTypes.Close, this.onAgentClosed);
    agent.on(voice.AgentSessionEventTypes.AgentStateChanged, this.onAgentState);
    agent.on(voice.AgentSessionEventTypes.UserStateChanged, this.onUserState);
    room.on(RoomEvent.ParticipantDisconnected, this.onParticipantLeft);
    room.on(RoomEvent.DataReceived, this.onData);
    const { holdForViewerS } = this.options;
    const hold = holdForViewerS === undefined ? {} : { hold_for_viewer_s: holdForViewerS };
    this.spawn(this.bring(this.scene, { platform: "livekit", url: project.url, token, ...hold }));
  }

  /** Wait until the avatar is seen. Throws what has kept it from coming. */
  async waitReady(): Promise<void> {
    await this.settled;
    if (this.failure !== undefined) throw this.failure;
  }

  /** Send the agent's speech to the avatar. What carried it before is what the agent falls back to. */
  private setUp(agent: voice.AgentSession, room: Room): Scene {
    const before = agent.output.audio ?? undefined;
    const calls = new AvatarCalls(room, this.identity);
    const stream = new AvatarStream(room, this.identity);
    const pauseAvatar = (on: boolean) => {
      if (this.failure === undefined) calls.pause(on);
    };
    const output = new AvatarOutput(stream, { pauseAvatar });
    agent.output.audio = output;
    return { agent, room, calls, stream, output, before, voice: before ?? new OwnVoice(room) };
  }

  /** Create the session, and wait until the avatar is seen. One that is broken off leaves no session. */
  private async bring(scene: Scene, room: Json & { url: string }): Promise<void> {
    const withinMs = this.options.readyWithinMs ?? READY_WITHIN_MS;
    const late = AbortSignal.timeout(withinMs);
    const signal = AbortSignal.any([this.closed.signal, late]);
    try {
      await this.create(scene, room, signal);
      await this.appear(scene, signal);
    } catch (thrown) {
      if (this.closed.signal.aborted) return;
      const error = thrown instanceof BrokenOff ? thrown.last : thrown;
      const where = this.id === undefined ? "has not joined the room" : "shows no picture";
      const why =
        late.aborted && !(error instanceof Refused) // a refusal says more
          ? new AvatarNotReady(
              `The avatar ${where} after ${withinMs / 1000} s. Check that the Visavis server at ` +
                `${this.service.baseUrl} runs and reaches ${room.url}`,
            )
          : error;
      await this.fail(why instanceof VisavisError ? why : new AvatarLost(`The avatar ${where}: ${String(why)}`));
      return;
    }
    this.isReady = true;
    scene.output.open();
    this.settle();
    log().info({ sessionId: this.id }, "the avatar is ready");
    this.emit("avatar_ready");
  }

  private async create(scene: Scene, room: Json, signal: AbortSignal): Promise<void> {
    const avatar = await findAvatar(this.service, this.options.avatar ?? "iris", signal);
    const sent = this.look;
    const body: Record<string, unknown> = { avatar, aspect_ratio: this.options.aspectRatio ?? "4:3", room };
    if (this.options.metadata !== undefined) body["metadata"] = this.options.metadata;
    if (Object.keys(sent).length > 0) body["output"] = sent;
    body["options"] = { join_timeout: JOIN_TIMEOUT_S };
    this.id = await this.service.create(body, signal);
    if (this.endedEarly !== undefined) throw this.endedEarly;
    if (this.look !== sent) scene.calls.send("visavis.output", { ...this.look });
  }

  private async appear(scene: Scene, signal: AbortSignal): Promise<void> {
    const { room } = scene;
    await connected(room, signal);
    requireSuitable(room);
    scene.stream.listen();
    const wanted = { room, identity: this.identity, signal };
    await waitForParticipant(wanted);
    await waitForTrackPublication({ ...wanted, kind: TrackKind.KIND_VIDEO });
  }

  // --- what the avatar shows
  /** Show an emotion from now on: `"happy"`, or `{name: "happy", weight: 0.6}`. Throws `AvatarRefused`. */
  async setEmotion(emotion: string | Json): Promise<Json> {
    return this.update({ emotion });
  }

  /** Change what the avatar shows, and return all that it shows then. Before it has come, this is what it comes with.
   * Throws `AvatarRefused`.
   */
  async update(change: Look): Promise<Json> {
    const given = lookOf(change);
    if (Object.keys(given).length > 0) this.look = { ...this.look, ...given };
    if (Object.keys(given).length > 0 && this.isReady && this.scene !== undefined) {
      return JSON.parse(await this.scene.calls.call("visavis.output", { ...given })) as Json;
    }
    return { ...this.look };
  }

  private showState(state: "thinking" | "listening"): void {
    if (this.isReady) this.scene?.calls.send("visavis.state", { state });
  }

  private readonly onAgentState = (event: voice.AgentStateChangedEvent): void => {
    if (event.newState === "thinking") this.showState("thinking");
    else if (event.oldState === "thinking" && event.newState !== "speaking") this.showState("listening");
  };

  private readonly onUserState = (event: voice.UserStateChangedEvent): void => {
    if (event.newState === "speaking") this.showState("listening");
  };

  // --- trouble
  private readonly onParticipantLeft = (participant: RemoteParticipant): void => {
    const { scene } = this;
    if (participant.identity === this.identity && this.isReady && this.closing === undefined && scene !== undefined) {
      this.spawn(this.awaitReturn(scene));
    }
  };

  /** Give an avatar that has left the room a moment to come back. */
  private async awaitReturn(scene: Scene): Promise<void> {
    try {
      await this.appear(scene, AbortSignal.any([this.closed.signal, AbortSignal.timeout(BACK_WITHIN_MS)]));
    } catch {
      if (this.closed.signal.aborted) return;
      await this.fail(
        new AvatarLost(`The avatar has left the room. The server's log tells why, by the session ${this.id}`),
      );
      return;
    }
    this.interrupt(scene); // what it had not said is lost
  }

  private readonly onData = (
    data: Uint8Array,
    participant?: RemoteParticipant,
    _kind?: DataPacketKind,
    topic?: string,
  ): void => {
    if (topic !== STATE_TOPIC || participant?.identity !== this.identity) return;
    let told: unknown;
    try {
      told = JSON.parse(new TextDecoder().decode(data));
    } catch {
      return;
    }
    if (!isObject(told)) return;
    const reason = String(told["reason"] ?? "");
    if (told["state"] === "expiring") {
      this.emit("session_expiring", Number(told["seconds_left"]));
    } else if (told["state"] === "error") {
      log().warn(`the avatar cannot speak what it was sent: ${reason}`);
    } else if (told["state"] === "ended" && this.closing === undefined) {
      const ended = new AvatarLost(`The avatar's session has ended: ${reason || "without a reason"}`);
      if (this.id !== undefined) this.spawn(this.fail(ended));
      else this.endedEarly = ended; // perhaps because its create is given up: then that says why
    }
  };

  /** Go on without the avatar, or end the agent's session. The first failure counts. */
  private async fail(error: VisavisError): Promise<void> {
    const { scene } = this;
    if (this.failure !== undefined || this.closing !== undefined || scene === undefined) return;
    this.failure = error;
    log().error({ sessionId: this.id }, `the avatar has failed: ${error.message}`);
    const wasReady = this.isReady;
    this.isReady = false;
    this.settle();
    this.emit("avatar_failed", error);
    if (wasReady) this.interrupt(scene);
    scene.output.failOver(scene.voice);
    if (this.options.fallback === "end") closeAgent(scene.agent, error);
    await this.endSession();
  }

  /** End what the agent says now as interrupted. */
  private interrupt(scene: Scene): void {
    try {
      scene.agent.interrupt({ force: true });
    } catch (error) {
      log().debug({ error }, "nothing was interrupted"); // the agent's session does not run
    }
  }

  private async endSession(): Promise<void> {
    if (this.id === undefined) return;
    try {
      await this.service.end(this.id, AbortSignal.timeout(END_WITHIN_MS));
    } catch (error) {
      log().warn(
        { sessionId: this.id },
        `the avatar's session could not be ended, it ends when the agent leaves: ${String(error)}`,
      );
    }
  }

  // --- closing
  /** End the session; the agent speaks itself from then on. May be called several times, and at the same time. */
  override async aclose(): Promise<void> {
    await (this.closing ??= this.close());
  }

  private async close(): Promise<void> {
    this.closed.abort();
    await Promise.all(this.tasks);
    const { scene } = this;
    if (scene !== undefined) {
      const { agent, room, output, stream } = scene;
      agent.off(voice.AgentSessionEventTypes.Close, this.onAgentClosed);
      agent.off(voice.AgentSessionEventTypes.AgentStateChanged, this.onAgentState);
      agent.off(voice.AgentSessionEventTypes.UserStateChanged, this.onUserState);
      room.off(RoomEvent.ParticipantDisconnected, this.onParticipantLeft);
      room.off(RoomEvent.DataReceived, this.onData);
      if (agent.output.audio === output && scene.before !== undefined) agent.output.audio = scene.before;
      else output.failOver(scene.voice); // an avatar that has taken over may fall back to this output
      output.close();
      scene.calls.close();
      stream.close();
    }
    this.settle();
    await this.endSession();
    await super.aclose();
  }

  private readonly onAgentClosed = (): void => {
    this.aclose().catch((error: unknown) => log().error({ error }, "the avatar's session was not closed"));
  };

  private spawn(work: Promise<void>): void {
    const task = work
      .catch((error: unknown) => log().error({ error }, "the avatar's session has an error"))
      .finally(() => this.tasks.delete(task));
    this.tasks.add(task);
  }
}

function lookOf({ background, framing, emotion }: Look): Look {
  const look = { background, framing, emotion };
  return Object.fromEntries(Object.entries(look).filter(([, value]) => value !== undefined));
}

/** Return why an agent needs no avatar, undefined if it needs one. */
function noSoundIn(agent: voice.AgentSession): string | undefined {
  return agent.output.audioEnabled ? undefined : "the agent's session has no sound";
}

/** Close an agent's session because of an error, which its event `close` carries as one of the voice. */
function closeAgent(agent: voice.AgentSession, error: Error): void {
  const told = { type: "tts_error", timestamp: Date.now(), label: "visavis", error, recoverable: false } as const;
  agent._closeSoon({ reason: voice.CloseReason.ERROR, error: told }); // no public way has an error
}

/** Wait until a room is connected. */
async function connected(room: Room, signal: AbortSignal): Promise<void> {
  if (room.isConnected) return;
  await new Promise<void>((resolve, reject) => {
    const look = () => {
      if (room.isConnected) done(resolve);
    };
    const stop = () => done(() => reject(signal.reason as Error));
    const done = (settle: () => void) => {
      room.off(RoomEvent.ConnectionStateChanged, look);
      signal.removeEventListener("abort", stop);
      settle();
    };
    room.on(RoomEvent.ConnectionStateChanged, look);
    signal.addEventListener("abort", stop);
    if (signal.aborted) stop();
  });
}
