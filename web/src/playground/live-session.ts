// The one session that the page may have: its start, its events, its end.

import { ApiError } from "./api";
import { NO_PICTURE, readStats, type Counted } from "./figures";
import { endOfSession, problemOf } from "./problems";
import { attitude, forgetUpdates, updateAnswered } from "./scene";
import { SessionRun } from "./session-run";
import { clearSpeech, greet, releaseMicrophone } from "./speaking";
import { SpeechLedger } from "./speech-ledger";
import {
  channelAddress,
  channelBroken,
  characters,
  chosenId,
  current,
  endedBecause,
  firstFrameMs,
  keyState,
  log,
  lookId,
  looks,
  notice,
  phase,
  picture,
  problem,
  room,
  say,
  session,
  speaking,
  stream,
  toHeardMs,
  toStartedMs,
  voiceLevel,
} from "./state";

const MOST_MEASURED = 50;

let counted: Counted | null = null; // bytes at the last report, for the rate

/** Only a look performs: the first look of a character, or the id itself where it has none. */
async function lookOf(avatarId: string): Promise<string> {
  looks.value = await current.api.looks(avatarId);
  return looks.value[0]?.avatar_id ?? avatarId;
}

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
  current.ledger = new SpeechLedger();
  counted = null;
  let look: string;
  try {
    const first = await lookOf(avatarId);
    look = options.look ?? first;
  } catch (error) {
    if (chosenId.value === avatarId && phase.value === "starting") fail(error);
    return;
  }
  if (chosenId.value !== avatarId || phase.value !== "starting" || current.run !== null) return; // another choice was made meanwhile
  lookId.value = look;
  const run: SessionRun = new SessionRun(current.api, log, {
    created: (created) => (session.value = created),
    started: (address) => {
      channelAddress.value = address;
      phase.value = "connecting";
    },
    live: (ms) => {
      firstFrameMs.value = ms;
      phase.value = "live";
      if (options.greet === true) void greet(run);
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
      if (state === "interrupted") forgetUpdates();
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
  current.run = run;
  await run.open(look);
}

function fail(error: unknown): void {
  phase.value = "failed";
  problem.value = problemOf(error);
  if (error instanceof ApiError && error.status === 401) keyState.value = "wrong";
}

export function endSession(): void {
  const had = current.run !== null;
  current.run?.end();
  close();
  if (had || phase.value === "starting") {
    phase.value = "ended";
    endedBecause.value = "";
  }
}

function close(): void {
  current.run = null;
  forgetUpdates();
  releaseMicrophone();
  clearSpeech();
  stream.value = null;
  session.value = null;
  room.value = null;
  channelBroken.value = false;
  voiceLevel.value = 0;
}

export function restart(): void {
  const avatarId = chosenId.value === "" ? (characters.value[0]?.avatar_id ?? "") : chosenId.value;
  if (avatarId !== "") void startSession(avatarId);
}

/** The stage has put the stream's first frame on the screen, with or without sound. */
export function frameShown(): void {
  current.run?.frameShown();
}

function hear(message: { type: string } & Record<string, unknown>): void {
  const id = String(message.utterance_id ?? "");
  if (message.type === "agent.playback.started") {
    const ms = current.ledger.started(id, performance.now());
    if (ms !== null) toStartedMs.value = [...toStartedMs.value, ms].slice(-MOST_MEASURED);
  } else if (message.type === "agent.playback.finished") {
    current.ledger.finished(id);
  } else if (message.type === "agent.state") {
    attitude.value = String(message.state ?? "");
  } else if (message.type === "session.updated") {
    updateAnswered();
  } else if (message.type === "error") {
    updateAnswered(); // the only answer that an update which is refused has
    say(String(message.error ?? "The server refused a message"), true);
  }
  speaking.value = current.ledger.isSpeaking;
}
