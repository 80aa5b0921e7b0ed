// Giving the avatar a voice: the greeting, recordings, the microphone; and hearing what comes back.

import { Microphone, MicrophoneError } from "./microphone";
import { rms } from "./pcm";
import { RemoteSound } from "./remote-sound";
import type { SessionRun } from "./session-run";
import { AUDIBLE, quietLeadS } from "./sound-onset";
import { decodeSpeech, FILE_RATE_HZ, SpeechFileError } from "./speech-file";
import { audible, canSpeak, current, microphone, microphoneLevel, muted, notice, say, speaking, stream, toHeardMs, voiceLevel } from "./state";
import { VoiceGate } from "./voice-gate";

const MOST_MEASURED = 50;
const MICROPHONE_REST_MS = 20_000;
const GREETING = "/samples/greeting.wav";
const SAMPLE = "/samples/sample.wav";

let greetingUnheard = false; // the greeting was spoken while the browser held sound back
let spoken = 0;
let device: Microphone | null = null;
let gate = new VoiceGate();
let wanted: "hold" | "open" | null = null; // what the microphone is being opened for; null once the visitor has let go
let releaseTimer: ReturnType<typeof setTimeout> | undefined;

const remoteSound = new RemoteSound(
  (atMs) => {
    const ms = current.ledger.heard(atMs);
    if (ms !== null) toHeardMs.value = [...toHeardMs.value, ms].slice(-MOST_MEASURED);
  },
  (level) => (voiceLevel.value = level),
);

/** The stage plays the stream: with sound, or muted until a gesture. */
export function playing(heard: boolean): void {
  audible.value = heard;
  if (stream.value !== null) void remoteSound.listen(stream.value, heard);
}

export function clearSpeech(): void {
  current.ledger.cleared();
  speaking.value = false;
}

export async function greet(run: SessionRun): Promise<void> {
  await speakFrom(GREETING, "greeting", run);
  greetingUnheard = !audible.value;
}

/** A gesture has given sound back: the greeting that nobody heard is spoken again. */
export function soundAllowed(): void {
  audible.value = true;
  muted.value = false;
  remoteSound.wake();
  if (!greetingUnheard || current.run === null || !canSpeak.value) return;
  greetingUnheard = false;
  if (current.ledger.isBusy) interrupt();
  void speakFrom(GREETING, "greeting", current.run);
}

export function wakeSound(): void {
  remoteSound.wake();
}

export function speakSample(): void {
  if (current.run !== null) void speakFrom(SAMPLE, "sample", current.run);
}

export async function speakFile(file: File): Promise<void> {
  if (current.run !== null) await speakData(() => file.arrayBuffer(), "file", current.run);
}

async function speakFrom(path: string, label: string, target: SessionRun): Promise<void> {
  await speakData(async () => {
    const response = await fetch(path);
    if (!response.ok) throw new SpeechFileError("The server has no voice sample.");
    return response.arrayBuffer();
  }, label, target);
}

async function speakData(load: () => Promise<ArrayBuffer>, label: string, target: SessionRun): Promise<void> {
  notice.value = null;
  try {
    const pcm = await decodeSpeech(await load());
    if (target !== current.run || target.channel === null || !canSpeak.value) return;
    spoken += 1;
    const id = `${label}-${spoken}`;
    const nowMs = performance.now();
    current.ledger.sent(id, nowMs, nowMs + quietLeadS(pcm, FILE_RATE_HZ) * 1000);
    target.channel.speak(pcm, FILE_RATE_HZ, id);
  } catch (error) {
    say(error instanceof SpeechFileError ? error.message : "The recording could not be loaded.", true);
  }
}

/** What is sent after this is a new beginning, so the ledger is cleared now and not when the server confirms. */
export function interrupt(): void {
  if (!canSpeak.value) return;
  current.run?.channel?.interrupt();
  clearSpeech();
}

/** Hold: until `closeMicrophone`, over whatever is being said. Open: hands-free, silence held back. */
export async function openMicrophone(mode: "hold" | "open"): Promise<void> {
  if (!canSpeak.value || microphone.value !== "off") return;
  notice.value = null;
  wanted = mode;
  gate = new VoiceGate();
  clearTimeout(releaseTimer);
  if (mode === "hold" && current.ledger.isBusy) interrupt();
  if (device === null) {
    microphone.value = "opening";
    try {
      device = await Microphone.open(streamSpeech, microphoneLost);
    } catch (error) {
      microphone.value = "off";
      say(error instanceof MicrophoneError ? error.message : "The microphone could not be opened.", true);
      return;
    }
  }
  if (!canSpeak.value) releaseMicrophone();
  else if (wanted === null) closeMicrophone(true);
  else microphone.value = wanted;
}

/** Stop sending. After talking by hand the device stays open a little while, so that the next word is not lost to its opening. */
export function closeMicrophone(opened = microphone.value !== "opening"): void {
  wanted = null;
  if (!opened) return; // openMicrophone sees to it when the device is there
  const byHand = microphone.value !== "open";
  microphone.value = "off";
  microphoneLevel.value = 0;
  clearTimeout(releaseTimer);
  releaseTimer = setTimeout(releaseMicrophone, byHand ? MICROPHONE_REST_MS : 0);
}

export function releaseMicrophone(): void {
  wanted = null;
  clearTimeout(releaseTimer);
  device?.close();
  device = null;
  microphone.value = "off";
  microphoneLevel.value = 0;
}

function microphoneLost(): void {
  releaseMicrophone();
  say("The microphone was disconnected.", true);
}

function streamSpeech(pcm: Int16Array, sampleRateHz: number): void {
  if (!canSpeak.value || (microphone.value !== "hold" && microphone.value !== "open")) return;
  const level = rms(pcm);
  microphoneLevel.value = level;
  const pieces = microphone.value === "hold" ? [pcm] : gate.push(pcm, level, (pcm.length / sampleRateHz) * 1000);
  const nowMs = performance.now();
  for (const piece of pieces) {
    current.ledger.sent(null, nowMs, level >= AUDIBLE ? nowMs : null);
    current.run?.channel?.stream(piece, sampleRateHz);
  }
}
