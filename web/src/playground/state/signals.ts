// The playground's state: what its components show. Components read these signals; the actions change them.

import { computed, signal } from "@preact/signals";
import type { RoomState } from "@client/viewer/join-step.js";
import { NO_FIGURES, type PictureFigures } from "../session/picture-figures";
import type { Second } from "../session/server-metrics";
import type { SessionRun } from "../session/session-run";
import { Api } from "../wire/api";
import type { Problem } from "../../operator/problems";
import type { Avatar, CreatedSession, Output, PhotoReport, Points } from "../wire/types";
import { WireLog, type WireEntry } from "../wire/wire-log";
import { DEFAULT_FORMAT, DEFAULT_OUTPUT, type Format } from "./output";

// missing: nobody has signed in; wrong: the key was refused; used: the link's code was; over: the sign-in has ended
type SignInState = "checking" | "missing" | "wrong" | "used" | "over" | "good";
type AvatarsState = "loading" | "preparing" | "ready" | "failed";
type Phase = "idle" | "starting" | "connecting" | "live" | "ended" | "failed";
type MicrophoneState = "off" | "opening" | "hold" | "open"; // hold: while a key is held; open: hands-free

export interface Upload {
  name: string;
  fraction: number; // of the photo sent; stays 1 while the server studies it
  problem: Problem | null;
}

/** A photo in which the server found no face. It can be sent again with points. */
export interface UnplacedPhoto {
  file: File;
  dialogOpen: boolean;
  points: Points; // as the visitor left them
  refusal: string | null; // why the server refused these points
}

interface Notice {
  text: string;
  failed: boolean;
}

// The log
const LOG_SHOWN_EVERY_MS = 120; // live speech adds fifty entries a second, more than the display needs
let logTimer: ReturnType<typeof setTimeout> | undefined;
export const logEntries = signal<readonly WireEntry[]>([]);
export const log: WireLog = new WireLog(Date.now, () => {
  logTimer ??= setTimeout(() => {
    logTimer = undefined;
    logEntries.value = log.entries;
  }, LOG_SHOWN_EVERY_MS);
});

// The sign-in: changed by actions/sign-in
export const api = signal(new Api(null, log));
export const signInState = signal<SignInState>("checking");
export const signedIn = computed(() => signInState.value === "good");
export const speaksText = computed(() => api.value.signIn?.speaksText === true);
export const mustSignIn = computed(() => !["checking", "good"].includes(signInState.value));

// The avatars: changed by actions/avatars
export const serverProblem = signal<Problem | null>(null); // while the avatars cannot be loaded
export const characters = signal<Avatar[]>([]);
export const avatarsState = signal<AvatarsState>("loading");

// Photos: changed by actions/photos
export const upload = signal<Upload | null>(null);
export const unplacedPhoto = signal<UnplacedPhoto | null>(null);
export const photoReport = signal<PhotoReport | null>(null); // on the last photo, until it is dismissed

// The session: changed by actions/session
export const chosenId = signal(""); // the chosen character
export const looks = signal<Avatar[]>([]); // of the chosen character
export const lookId = signal("");
export const run = signal<SessionRun | null>(null);
export const phase = signal<Phase>("idle");
export const problem = signal<Problem | null>(null); // why the session failed
export const endDetail = signal(""); // why the session ended; "" if the visitor ended it
export const session = signal<CreatedSession | null>(null);
export const channelAddress = signal("");
export const channelConnected = signal(false);
export const room = signal<RoomState | null>(null);
export const stream = signal<MediaStream | null>(null);
export const speaking = signal(false);
export const agentState = signal(""); // as the server last reported: idle, listening, thinking or speaking
export const canSpeak = computed(() => phase.value === "live" && channelConnected.value);

// Figures: changed by actions/session and actions/speech
export const figures = signal<PictureFigures>(NO_FIGURES);
export const firstFrameMs = signal<number | null>(null);
export const playbackLatenciesMs = signal<number[]>([]);
export const soundLatenciesMs = signal<number[]>([]);
export const seconds = signal<Second[]>([]); // of the last minute, as the server measured them
export const utteranceLatenciesMs = signal<number[]>([]); // to the first frame, as the server measured them

// Sound: changed by actions/speech and actions/microphone
export const audible = signal(true); // false while the browser blocks sound
export const muted = signal(false); // by the visitor
export const voiceLevel = signal(0);
export const microphone = signal<MicrophoneState>("off");
export const microphoneLevel = signal(0);

// The output: changed by actions/output
export const output = signal<Output>(DEFAULT_OUTPUT);
export const format = signal<Format>(DEFAULT_FORMAT);

// One line below the controls: changed by actions/notice
export const notice = signal<Notice | null>(null);
