// The visitor talks through the microphone: while a key or button is held, or hands-free.

import { Microphone, MicrophoneError } from "../sound/microphone";
import { rms } from "@client/sound/pcm.js";
import { VoiceGate } from "@client/sound/voice-gate.js";
import { canSpeak, microphone, microphoneLevel, notice, run } from "../state/signals";
import { texts } from "../../operator/texts";
import { notify } from "./notice";
import { interrupt } from "./speech";

type Mode = "hold" | "open";

const KEEP_OPEN_MS = 20_000; // opening a device takes time, and the next word would lose its beginning
const GOOD_AFTER_MS = 1_000; // a device that is gone sooner is not opened again

let device: Microphone | null = null;
let openedMs = 0; // when the device was
let gate = new VoiceGate();
let wanted: Mode | null = null; // what the device is being opened for; null once the visitor has let go
let releaseTimer: ReturnType<typeof setTimeout> | undefined;

/** Start to talk until `closeMicrophone`. Mode `hold` interrupts the avatar; mode `open` is hands-free. */
export async function openMicrophone(mode: Mode): Promise<void> {
  if (!canSpeak.value || microphone.value !== "off") return;
  if (mode === "hold" && run.value?.hasSpeech === true) interrupt();
  await talk(mode);
}

async function talk(mode: Mode): Promise<void> {
  notice.value = null;
  wanted = mode;
  gate = new VoiceGate();
  clearTimeout(releaseTimer);
  if (device === null) {
    microphone.value = "opening";
    try {
      device = await Microphone.open(sendSpeech, deviceLost);
      openedMs = performance.now();
    } catch (error) {
      microphone.value = "off";
      notify(texts.value.playground.sound[error instanceof MicrophoneError ? error.reason : "notOpened"], true);
      return;
    }
  }
  if (!canSpeak.value) releaseMicrophone();
  else if (wanted === null) stopTalking();
  else microphone.value = wanted;
}

/** Stop talking. The device stays open for a while after mode `hold`. */
export function closeMicrophone(): void {
  wanted = null;
  if (microphone.value !== "opening") stopTalking(); // else openMicrophone does it when the device is open
}

/** Close the device. */
export function releaseMicrophone(): void {
  wanted = null;
  clearTimeout(releaseTimer);
  device?.close();
  device = null;
  microphone.value = "off";
  microphoneLevel.value = 0;
}

function stopTalking(): void {
  const keepMs = microphone.value === "open" ? 0 : KEEP_OPEN_MS;
  microphone.value = "off";
  microphoneLevel.value = 0;
  clearTimeout(releaseTimer);
  releaseTimer = setTimeout(releaseMicrophone, keepMs);
}

/** The device is gone: go on with the one that is there now. */
function deviceLost(): void {
  const { value: state } = microphone;
  releaseMicrophone();
  if (state !== "hold" && state !== "open") return;
  if (performance.now() - openedMs < GOOD_AFTER_MS) notify(texts.value.playground.sound.disconnected, true);
  else void talk(state);
}

function sendSpeech(pcm: Int16Array, sampleRateHz: number): void {
  if (!canSpeak.value || (microphone.value !== "hold" && microphone.value !== "open")) return;
  const level = rms(pcm);
  microphoneLevel.value = level;
  const pieces = microphone.value === "hold" ? [pcm] : gate.push(pcm, level, (pcm.length / sampleRateHz) * 1000);
  for (const piece of pieces) run.value?.stream(piece, sampleRateHz, level);
}
