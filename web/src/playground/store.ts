// The playground's state, and everything that a visitor can do to it. Components read the signals and call the actions.

import { computed, signal } from "@preact/signals";
import { Api, ApiError, type Avatar, type CreatedSession } from "./api";
import { NO_PICTURE, readStats, type Counted, type PictureFigures } from "./figures";
import { keepKey, takeKey } from "./key";
import { Microphone, MicrophoneError } from "./microphone";
import { rms } from "./pcm";
import { endOfSession, photoProblem, problemOf, type Problem } from "./problems";
import { RemoteSound } from "./remote-sound";
import { SessionRun } from "./session-run";
import { AUDIBLE, quietLeadS } from "./sound-onset";
import { decodeSpeech, FILE_RATE_HZ, SpeechFileError } from "./speech-file";
import { SpeechLedger } from "./speech-ledger";
import { VoiceGate } from "./voice-gate";
import { WireLog, type WireEntry } from "./wire-log";
import type { RoomState } from "../shared/join-step";

export type Phase = "idle" | "starting" | "connecting" | "live" | "ended" | "failed";
export type AvatarsState = "loading" | "preparing" | "ready" | "failed";
export type MicrophoneState = "off" | "opening" | "hold" | "open"; // hold: while a key or button is pressed; open: hands-free
export interface Upload {
  name: string;
  part: number; // 0 to 1 on the way; 1 while the server studies it
  problem: Problem | null;
}

const PREPARING_POLL_MS = 2_500; // far below the 60 requests a minute that a key may make
const MOST_MEASURED = 50;
const MICROPHONE_REST_MS = 20_000;
const NOTICE_MS = 5_000;
const WIRE_EVERY_MS = 120;
const LARGEST_PHOTO_BYTES = 10_000_000;
const GREETING = "/samples/greeting.wav";
const SAMPLE = "/samples/sample.wav";

export const key = signal(takeKey());
export const keyState = signal<"missing" | "checking" | "wrong" | "good">(key.value === "" ? "missing" : "checking");
export const serverProblem = signal<Problem | null>(null); // while the first requests fail
export const characters = signal<Avatar[]>([]);
export const avatarsState = signal<AvatarsState>("loading");
export const chosenId = signal(""); // of a character
export const phase = signal<Phase>("idle");
export const problem = signal<Problem | null>(null); // of the session
export const endedBecause = signal("");
export const session = signal<CreatedSession | null>(null);
export const channelAddress = signal("");
export const lookId = signal("");
export const room = signal<RoomState | null>(null);
export const channelBroken = signal(false);
export const stream = signal<MediaStream | null>(null);
export const speaking = signal(false);
export const audible = signal(true); // false while the browser holds sound back
export const muted = signal(false);
export const microphone = signal<MicrophoneState>("off");
export const microphoneLevel = signal(0);
export const voiceLevel = signal(0);
export const notice = signal<{ text: string; failed: boolean } | null>(null); // one line under the controls
export const upload = signal<Upload | null>(null);
export const picture = signal<PictureFigures>(NO_PICTURE);
export const firstFrameMs = signal<number | null>(null);
export const toStartedMs = signal<number[]>([]);
export const toHeardMs = signal<number[]>([]);
export const wire = signal<readonly WireEntry[]>([]);
export const canSpeak = computed(() => phase.value === "live" && !channelBroken.value);

export const log: WireLog = new WireLog(Date.now, () => {
  wireTimer ??= setTimeout(() => {
    wireTimer = undefined;
    wire.value = log.entries;
  }, WIRE_EVERY_MS);
});
let wireTimer: ReturnType<typeof setTimeout> | undefined; // live speech logs fifty times a second, and nobody reads that fast
let api = new Api(key.value, log);
let run: SessionRun | null = null;
let ledger = new SpeechLedger();
let counted: Counted | null = null;
let greetingUnheard = false; // the greeting was spoken while the browser held sound back
let spoken = 0;
let device: Microphone | null = null;
let gate = new VoiceGate();
let wanted: "hold" | "open" | null = null; // what the microphone is being opened for; null once the visitor has let go
let releaseTimer: ReturnType<typeof setTimeout> | undefined;

const remoteSound = new RemoteSound(
  (atMs) => {
    const ms = ledger.heard(atMs);
    if (ms !== null) toHeardMs.value = [...toHeardMs.value, ms].slice(-MOST_MEASURED);
  },
  (level) => (voiceLevel.value = level),
);

// --- key and avatars

export function setKey(value: string): void {
  endSession();
  key.value = value.trim();
  keepKey(key.value);
  api = new Api(key.value, log);
  characters.value = [];
  chosenId.value = "";
  phase.value = "idle";
  serverProblem.value = null;
  keyState.value = key.value === "" ? "missing" : "checking";
  if (key.value !== "") void begin();
}

/** Load the avatars and, once there is one, start a session with the first and let it greet. */
export async function begin(): Promise<void> {
  if (key.value === "") return;
  const current = api;
  avatarsState.value = "loading";
  for (let asked = false; ; asked = true) {
    try {
      // While the server prepares its first avatar, one request at a time asks whether it is there.
      if (!asked || serverProblem.value !== null || (await current.publicAvatars()).length > 0) await loadAvatars();
    } catch (error) {
      if (current !== api) return;
      const status = error instanceof ApiError ? error.status : -1;
      if (status === 401) {
        keyState.value = "wrong";
        keepKey("");
        return;
      }
      serverProblem.value = problemOf(error);
      avatarsState.value = "failed";
      if (status !== 0 && status !== 429 && status < 500) return;
    }
    if (current !== api) return;
    if (characters.value.length > 0) break;
    await new Promise((resolve) => setTimeout(resolve, (serverProblem.value?.retryAfterS ?? PREPARING_POLL_MS / 1000) * 1000));
    if (current !== api) return;
  }
  const first = characters.value.find((avatar) => avatar.is_public === 1) ?? characters.value[0];
  if (first !== undefined && phase.value === "idle") await startSession(first.avatar_id, { greet: true });
}

async function loadAvatars(): Promise<void> {
  const [ofAll, own] = await Promise.all([api.publicAvatars(), api.ownAvatars()]);
  keyState.value = "good";
  serverProblem.value = null;
  const seen = new Set<string>();
  const ownFirst = [...own.filter((avatar) => avatar.is_public !== 1), ...ofAll, ...own];
  characters.value = ownFirst.filter((avatar) => avatar.parent_id === null && !seen.has(avatar.avatar_id) && seen.add(avatar.avatar_id));
  avatarsState.value = characters.value.length > 0 ? "ready" : "preparing";
}

/** Only a look performs: the first look of a character, or the id itself where it has none. */
async function lookOf(avatarId: string): Promise<string> {
  return (await api.looks(avatarId))[0]?.avatar_id ?? avatarId;
}

export async function removeAvatar(avatar: Avatar): Promise<void> {
  try {
    await api.deleteAvatar(avatar.avatar_id);
    await loadAvatars();
  } catch (error) {
    say(problemOf(error).title, true);
  }
}

export async function uploadPhoto(file: File): Promise<void> {
  if (keyState.value !== "good" || (upload.value !== null && upload.value.problem === null)) return;
  const name = file.name === "" ? "Photo" : file.name;
  const refuse = (error: unknown): void => void (upload.value = { name, part: 0, problem: photoProblem(error) });
  if (file.size > LARGEST_PHOTO_BYTES) return refuse(new ApiError(413, "IMAGE_TOO_LARGE", "", "", null));
  upload.value = { name, part: 0, problem: null };
  try {
    const made = await api.uploadFace(file, (part) => (upload.value = { name, part, problem: null }));
    await loadAvatars();
    upload.value = null;
    const looks = await api.looks(made.avatar_id);
    const character = looks.length > 0 ? made.avatar_id : (await characterOf(made.avatar_id)) ?? made.avatar_id;
    await startSession(character, { greet: true, look: looks[0]?.avatar_id ?? made.avatar_id });
  } catch (error) {
    refuse(error);
  }
}

/** The upload's answer names a look; the card that is shown as chosen is its character's. */
async function characterOf(look: string): Promise<string | undefined> {
  for (const character of characters.value.filter((avatar) => avatar.is_public !== 1)) {
    if ((await api.looks(character.avatar_id)).some((candidate) => candidate.avatar_id === look)) return character.avatar_id;
  }
  return undefined;
}

// --- the session

export async function startSession(avatarId: string, options: { greet?: boolean; look?: string } = {}): Promise<void> {
  endSession();
  chosenId.value = avatarId;
  phase.value = "starting";
  problem.value = null;
  endedBecause.value = "";
  notice.value = null;
  picture.value = NO_PICTURE;
  firstFrameMs.value = null;
  toStartedMs.value = [];
  toHeardMs.value = [];
  ledger = new SpeechLedger();
  counted = null;
  let look: string;
  try {
    look = options.look ?? (await lookOf(avatarId));
  } catch (error) {
    if (chosenId.value === avatarId && phase.value === "starting") fail(error);
    return;
  }
  if (chosenId.value !== avatarId || phase.value !== "starting" || run !== null) return; // another choice was made meanwhile
  lookId.value = look;
  const current: SessionRun = new SessionRun(api, log, {
    created: (created) => (session.value = created),
    started: (address) => {
      channelAddress.value = address;
      phase.value = "connecting";
    },
    live: (ms) => {
      firstFrameMs.value = ms;
      phase.value = "live";
      if (options.greet === true) void greet(current);
    },
    room: (state) => (room.value = state),
    stream: (received) => (stream.value = received),
    stats: (stats) => {
      const read = readStats(stats, counted);
      counted = read.counted;
      picture.value = read.figures;
    },
    channel: (state) => {
      channelBroken.value = state === "interrupted";
      if (state === "interrupted") clearSpeech();
    },
    message: (message) => hear(message),
    ended: (code, reason) => {
      close();
      phase.value = "ended";
      endedBecause.value = endOfSession(code, reason);
    },
    failed: (error) => {
      close();
      fail(error);
    },
  });
  run = current;
  await current.open(look);
}

function fail(error: unknown): void {
  phase.value = "failed";
  problem.value = problemOf(error);
  if (error instanceof ApiError && error.status === 401) keyState.value = "wrong";
}

export function endSession(): void {
  const had = run !== null;
  run?.end();
  close();
  if (had || phase.value === "starting") {
    phase.value = "ended";
    endedBecause.value = "";
  }
}

function close(): void {
  run = null;
  releaseMicrophone();
  clearSpeech();
  stream.value = null;
  session.value = null;
  room.value = null;
  channelBroken.value = false;
  voiceLevel.value = 0;
  greetingUnheard = false;
}

export function restart(): void {
  const avatarId = chosenId.value === "" ? (characters.value[0]?.avatar_id ?? "") : chosenId.value;
  if (avatarId !== "") void startSession(avatarId);
}

/** The stage plays the stream: with sound, or muted until a gesture. */
export function playing(heard: boolean): void {
  audible.value = heard;
  if (stream.value !== null) void remoteSound.listen(stream.value, heard);
}

/** The stage has put the stream's first frame on the screen, with or without sound. */
export function frameShown(): void {
  run?.frameShown();
}

function hear(message: { type: string } & Record<string, unknown>): void {
  const id = String(message.utterance_id ?? "");
  if (message.type === "agent.playback.started") {
    const ms = ledger.started(id, performance.now());
    if (ms !== null) toStartedMs.value = [...toStartedMs.value, ms].slice(-MOST_MEASURED);
  } else if (message.type === "agent.playback.finished") {
    ledger.finished(id);
  } else if (message.type === "error") {
    say(String(message.error ?? "The server refused a message"), true);
  }
  speaking.value = ledger.isSpeaking;
}

function clearSpeech(): void {
  ledger.cleared();
  speaking.value = false;
}

// --- speaking

async function greet(current: SessionRun): Promise<void> {
  await speakFrom(GREETING, "greeting", current);
  greetingUnheard = !audible.value;
}

/** A gesture has given sound back: the greeting that nobody heard is spoken again. */
export function soundAllowed(): void {
  audible.value = true;
  muted.value = false;
  remoteSound.wake();
  if (!greetingUnheard || run === null || !canSpeak.value) return;
  greetingUnheard = false;
  if (ledger.isBusy) interrupt();
  void speakFrom(GREETING, "greeting", run);
}

export function wakeSound(): void {
  remoteSound.wake();
}

export function speakSample(): void {
  if (run !== null) void speakFrom(SAMPLE, "sample", run);
}

export async function speakFile(file: File): Promise<void> {
  if (run !== null) await speakData(() => file.arrayBuffer(), "file", run);
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
    if (target !== run || target.channel === null || !canSpeak.value) return;
    spoken += 1;
    const id = `${label}-${spoken}`;
    const nowMs = performance.now();
    ledger.sent(id, nowMs, nowMs + quietLeadS(pcm, FILE_RATE_HZ) * 1000);
    target.channel.speak(pcm, FILE_RATE_HZ, id);
  } catch (error) {
    say(error instanceof SpeechFileError ? error.message : "The recording could not be loaded.", true);
  }
}

/** What is sent after this is a new beginning, so the ledger is cleared now and not when the server confirms. */
export function interrupt(): void {
  if (!canSpeak.value) return;
  run?.channel?.interrupt();
  clearSpeech();
}

/** Hold: until `closeMicrophone`, over whatever is being said. Open: hands-free, silence held back. */
export async function openMicrophone(mode: "hold" | "open"): Promise<void> {
  if (!canSpeak.value || microphone.value !== "off") return;
  notice.value = null;
  wanted = mode;
  gate = new VoiceGate();
  clearTimeout(releaseTimer);
  if (mode === "hold" && ledger.isBusy) interrupt();
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

function releaseMicrophone(): void {
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
    ledger.sent(null, nowMs, level >= AUDIBLE ? nowMs : null);
    run?.channel?.stream(piece, sampleRateHz);
  }
}

/** One line for the visitor; good news goes away by itself. */
export function say(text: string, failed: boolean): void {
  const line = { text, failed };
  notice.value = line;
  if (!failed) setTimeout(() => notice.value === line && (notice.value = null), NOTICE_MS);
}
