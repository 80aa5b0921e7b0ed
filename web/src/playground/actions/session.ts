// Starts and ends the page's session. At most one runs at a time.

import { NO_FIGURES } from "../session/picture-figures";
import { KEPT_SECONDS, KEPT_UTTERANCES } from "../session/server-metrics";
import { type SessionEvents, SessionRun } from "../session/session-run";
import { changedOutput } from "../state/output";
import {
  agentState,
  api,
  channelAddress,
  channelConnected,
  characters,
  chosenId,
  endDetail,
  figures,
  firstFrameMs,
  format,
  log,
  lookId,
  looks,
  notice,
  output,
  phase,
  playbackLatenciesMs,
  problem,
  room,
  run,
  seconds,
  session,
  soundLatenciesMs,
  speaking,
  signInState,
  stream,
  utteranceLatenciesMs,
  voiceLevel,
} from "../state/signals";
import { ApiError } from "../../operator/answers";
import { problemOf } from "../../operator/problems";
import { describeEnd } from "../wire/problems";
import { appendMeasured } from "./measured";
import { releaseMicrophone } from "./microphone";
import { notify } from "./notice";
import { greet } from "./speech";

interface StartOptions {
  greet?: boolean;
  look?: string; // by default the character's first look
}

/** End the current session and start one with a character. */
export async function startSession(characterId: string, options: StartOptions = {}): Promise<void> {
  endSession();
  chosenId.value = characterId;
  phase.value = "starting";
  problem.value = null;
  endDetail.value = "";
  notice.value = null;
  figures.value = NO_FIGURES;
  firstFrameMs.value = null;
  playbackLatenciesMs.value = [];
  soundLatenciesMs.value = [];
  seconds.value = [];
  utteranceLatenciesMs.value = [];
  let firstLook: string;
  try {
    firstLook = await loadLooks(characterId);
  } catch (error) {
    if (chosenId.value === characterId && phase.value === "starting") fail(error);
    return;
  }
  // The visitor may have chosen another avatar or ended the start meanwhile.
  if (chosenId.value !== characterId || phase.value !== "starting" || run.value !== null) return;
  lookId.value = options.look ?? firstLook;
  const request = { lookId: lookId.value, output: changedOutput(output.value), size: format.value };
  run.value = new SessionRun(api.value, log, request, eventsOf(options.greet === true));
  await run.value.open();
}

export function endSession(): void {
  const running = run.value !== null;
  run.value?.end();
  clear();
  if (running || phase.value === "starting") {
    phase.value = "ended";
    endDetail.value = "";
  }
}

/** Start a session with the chosen character, or with the first. */
export function restart(): void {
  const characterId = chosenId.value === "" ? characters.value[0]?.avatar_id : chosenId.value;
  if (characterId !== undefined) void startSession(characterId);
}

/** The player shows the stream's first frame. */
export function frameShown(): void {
  run.value?.frameShown();
}

/** Load the looks of a character. Return the first; the id itself if it has none, because then it is a look. */
async function loadLooks(characterId: string): Promise<string> {
  looks.value = await api.value.looks(characterId);
  return looks.value[0]?.avatar_id ?? characterId;
}

function eventsOf(greets: boolean): SessionEvents {
  return {
    created(created) {
      session.value = created;
    },
    started(address) {
      channelAddress.value = address;
      phase.value = "connecting";
    },
    live(ms) {
      firstFrameMs.value = ms;
      phase.value = "live";
      if (greets) void greet();
    },
    room(state) {
      room.value = state;
    },
    stream(received) {
      stream.value = received;
    },
    figures(received) {
      figures.value = received;
    },
    channel(connected) {
      channelConnected.value = connected;
      if (!connected) agentState.value = "";
    },
    speaking(speaks) {
      speaking.value = speaks;
    },
    playbackStarted(latencyMs) {
      appendMeasured(playbackLatenciesMs, latencyMs);
    },
    second(second) {
      appendMeasured(seconds, second, KEPT_SECONDS);
    },
    utteranceMeasured(latencyMs) {
      appendMeasured(utteranceLatenciesMs, latencyMs, KEPT_UTTERANCES);
    },
    agentState(state) {
      agentState.value = state;
    },
    refused(text) {
      notify(text, true);
    },
    ended(code, reason) {
      clear();
      phase.value = "ended";
      endDetail.value = describeEnd(code, reason);
    },
    failed(error) {
      clear();
      fail(error);
    },
  };
}

function fail(error: unknown): void {
  phase.value = "failed";
  problem.value = problemOf(error);
  if (error instanceof ApiError && error.status === 401) signInState.value = "over";
}

/** Reset what belongs to one session. */
function clear(): void {
  run.value = null;
  releaseMicrophone();
  speaking.value = false;
  stream.value = null;
  session.value = null;
  room.value = null;
  channelConnected.value = false;
  agentState.value = "";
  voiceLevel.value = 0;
}
