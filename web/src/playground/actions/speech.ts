// Makes the avatar speak recordings, and measures the sound that comes back. The microphone is in microphone.ts.

import type { SessionRun } from "../session/session-run";
import { decodeRecording, RECORDING_RATE_HZ, RecordingError } from "../sound/recording";
import { RemoteSound } from "../sound/remote-sound";
import { audible, canSpeak, muted, notice, run, soundLatenciesMs, stream, voiceLevel } from "../state/signals";
import { serverAddress } from "../../operator/server-address";
import { texts } from "../../operator/texts";
import { appendMeasured } from "./measured";
import { notify } from "./notice";

const GREETING = "/samples/greeting.wav";
const SAMPLE = "/samples/sample.wav";

let greetingUnheard = false; // the avatar greeted while the browser blocked sound

const remoteSound = new RemoteSound(
  (atMs) => {
    const latencyMs = run.value?.soundHeard(atMs) ?? null;
    if (latencyMs !== null) appendMeasured(soundLatenciesMs, latencyMs);
  },
  (level) => {
    voiceLevel.value = level;
  },
);

/** The player plays the stream, with or without sound. */
export function streamPlays(withSound: boolean): void {
  audible.value = withSound;
  if (stream.value !== null) void remoteSound.listen(stream.value, withSound);
}

export async function greet(): Promise<void> {
  await speakSampleFile(GREETING, "greeting");
  greetingUnheard = !audible.value;
}

/** A gesture has allowed sound. The avatar repeats a greeting that was not heard. */
export function allowSound(): void {
  audible.value = true;
  muted.value = false;
  remoteSound.wake();
  if (!greetingUnheard || run.value === null || !canSpeak.value) return;
  greetingUnheard = false;
  if (run.value.hasSpeech) interrupt();
  void speakSampleFile(GREETING, "greeting");
}

/** A gesture was made: measuring the sound may start. */
export function wakeSound(): void {
  remoteSound.wake();
}

export function toggleMuted(): void {
  muted.value = !muted.value;
}

export function speakSample(): void {
  void speakSampleFile(SAMPLE, "sample");
}

export async function speakFile(file: File): Promise<void> {
  await speakRecording(() => file.arrayBuffer(), "file");
}

export function sayText(text: string): void {
  notice.value = null;
  if (canSpeak.value) run.value?.say(text);
}

export function interrupt(): void {
  if (canSpeak.value) run.value?.interrupt();
}

async function speakSampleFile(path: string, label: string): Promise<void> {
  const load = async (): Promise<ArrayBuffer> => {
    const response = await fetch(serverAddress(path));
    if (!response.ok) throw new RecordingError("notThere");
    return response.arrayBuffer();
  };
  await speakRecording(load, label);
}

async function speakRecording(load: () => Promise<ArrayBuffer>, label: string): Promise<void> {
  const target: SessionRun | null = run.value;
  if (target === null) return;
  notice.value = null;
  try {
    const pcm = await decodeRecording(await load());
    if (target === run.value && canSpeak.value) target.speak(label, pcm, RECORDING_RATE_HZ);
  } catch (error) {
    notify(texts.value.playground.sound[error instanceof RecordingError ? error.reason : "notLoaded"], true);
  }
}
