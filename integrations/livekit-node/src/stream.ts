// The avatar as an audio output: each segment of speech is one byte stream to it, and it tells by RPCs what was heard.
//
// These are the messages of LiveKit's own `DataStreamAudioOutput`. That one serves the RPCs in the first room of a
// process alone, and writes a sentence that follows an interruption at once into the stream that is being closed.

import { log, shortuuid, voice } from "@livekit/agents";
import type {
  AudioFrame,
  ByteStreamWriter,
  LocalParticipant,
  Room,
  RpcInvocationData as Invocation,
} from "@livekit/rtc-node";

import { isObject } from "./service/answers.js";

const SPEECH_TOPIC = "lk.audio_stream";

/** Sends speech to the participant `identity`. Call `listen` once the room is connected, and `close` at the end. */
export class AvatarStream extends voice.AudioOutput {
  private writer: Promise<ByteStreamWriter> | undefined; // of the segment that is being captured
  private closing: Promise<void> = Promise.resolve(); // until the stream before it is closed

  constructor(
    private readonly room: Room,
    private readonly identity: string,
  ) {
    super(undefined, undefined, { pause: false });
  }

  /** Hear what the avatar tells. */
  listen(): void {
    const participant = this.room.localParticipant;
    if (participant !== undefined) listenersOf(participant).set(this.identity, this);
  }

  close(): void {
    const participant = this.room.localParticipant;
    if (participant === undefined) return;
    const listeners = listenersOf(participant);
    if (listeners.get(this.identity) === this) listeners.delete(this.identity);
  }

  override async captureFrame(frame: AudioFrame): Promise<void> {
    await super.captureFrame(frame);
    const writer = await (this.writer ??= this.open(frame));
    await writer.write(bytesOf(frame));
  }

  override flush(): void {
    super.flush();
    const writer = this.writer;
    this.writer = undefined;
    if (writer !== undefined) this.closing = writer.then((opened) => opened.close()).catch(left);
  }

  override clearBuffer(): void {
    const participant = this.room.localParticipant;
    if (participant === undefined) return;
    const call = { destinationIdentity: this.identity, method: "lk.clear_buffer", payload: "" };
    Promise.resolve(this.writer) // a clear that overtakes the stream which it means would miss it
      .catch(left)
      .then(() => participant.performRpc(call))
      .catch((error: unknown) => log().warn({ error }, "the avatar has not taken lk.clear_buffer"));
  }

  private async open(frame: AudioFrame): Promise<ByteStreamWriter> {
    await this.closing;
    const participant = this.room.localParticipant;
    if (participant === undefined) throw new Error("the room was left");
    return participant.streamBytes({
      name: shortuuid("AUDIO_"),
      topic: SPEECH_TOPIC,
      destinationIdentities: [this.identity],
      attributes: { sample_rate: String(frame.sampleRate), num_channels: String(frame.channels) },
    });
  }
}

/** Who hears what avatars tell a participant, by the avatar's identity. A method has one handler in a room, and several
 * avatars may be in it.
 */
const listening = new WeakMap<LocalParticipant, Map<string, AvatarStream>>();

function listenersOf(participant: LocalParticipant): Map<string, AvatarStream> {
  let listeners = listening.get(participant);
  if (listeners === undefined) {
    const made = (listeners = new Map<string, AvatarStream>());
    listening.set(participant, made);
    participant.registerRpcMethod("lk.playback_started", async (call: Invocation) => {
      made.get(call.callerIdentity)?.onPlaybackStarted(Date.now());
      return "ok";
    });
    participant.registerRpcMethod("lk.playback_finished", async (call: Invocation) => {
      made.get(call.callerIdentity)?.onPlaybackFinished(endOf(call.payload));
      return "ok";
    });
  }
  return listeners;
}

/** Return what `lk.playback_finished` tells. */
function endOf(payload: string): voice.PlaybackFinishedEvent {
  let told: unknown;
  try {
    told = JSON.parse(payload);
  } catch {
    told = undefined;
  }
  const members = isObject(told) ? told : {};
  const position = Number(members["playback_position"]);
  return { playbackPosition: Number.isFinite(position) ? position : 0, interrupted: members["interrupted"] === true };
}

/** Return the samples of a frame, which may be a part of a larger buffer. */
function bytesOf(frame: AudioFrame): Uint8Array {
  return new Uint8Array(frame.data.buffer, frame.data.byteOffset, frame.data.byteLength);
}

function left(error: unknown): void {
  log().debug({ error }, "a stream to the avatar has broken off"); // the room was left meanwhile
}
