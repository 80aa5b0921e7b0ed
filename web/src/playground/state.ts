// The playground's state. Components read the signals; `avatars`, `live-session` and `speaking` are the actions that change them.

import { computed, signal } from "@preact/signals";
import { Api, type Avatar, type CreatedSession } from "./api";
import { NO_PICTURE, type PictureFigures } from "./figures";
import { takeKey } from "./key";
import type { Problem } from "./problems";
import type { SessionRun } from "./session-run";
import { SpeechLedger } from "./speech-ledger";
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

const NOTICE_MS = 5_000;
const WIRE_EVERY_MS = 120;

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
export const looks = signal<Avatar[]>([]); // of the chosen character
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

/** What there is one of at a time, and components need not see. */
export const current: { api: Api; run: SessionRun | null; ledger: SpeechLedger } = { api: new Api(key.value, log), run: null, ledger: new SpeechLedger() };

/** One line for the visitor; good news goes away by itself. */
export function say(text: string, failed: boolean): void {
  const line = { text, failed };
  notice.value = line;
  if (!failed) setTimeout(() => notice.value === line && (notice.value = null), NOTICE_MS);
}
