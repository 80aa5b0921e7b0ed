// Decides what follows an attempt to join a room. Pure.

import type { Barrier } from "./barrier.js";

export type JoinOutcome =
  | { kind: "joined" }
  // an HTTP status that is no success; `endReason`: of the session, if the server tells it
  | { kind: "answered"; status: number; retryAfterS: number | null; endReason: string | null }
  | { kind: "unreachable"; barrier?: Barrier | null } // no answer, perhaps because of a barrier; or no frame in time
  | { kind: "lost" }; // the room was live, then the connection or the picture stopped

export type RoomState =
  | { kind: "connecting" }
  | { kind: "waiting" } // the room exists; its session has not started
  | { kind: "live" }
  | { kind: "reconnecting"; attempt: number; barrier?: Barrier } // what the browser may have put in the way
  | { kind: "ended"; reason: string | null } // null: the server does not tell
  | { kind: "refused"; reason: "token" | "browser" | "no-webrtc" };

interface JoinStep {
  state: RoomState;
  retryInMs: number | null; // null: no further attempt
  attempt: number;
}

const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 8_000;
const MIN_WAIT_S = 0.25; // limits for the server's Retry-After
const MAX_WAIT_S = 10;

/** Exponential backoff. Up to a quarter is random, so that the viewers of a restarted server do not return together. */
export function backoffMs(attempt: number, random: number): number {
  const full = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** attempt);
  return Math.round(full * (0.75 + 0.25 * random));
}

/** `attempt` counts the failures since the room was last live. `random` is in [0, 1). */
export function nextJoinStep(outcome: JoinOutcome, attempt: number, random: number): JoinStep {
  if (outcome.kind === "joined") return { state: { kind: "live" }, retryInMs: null, attempt: 0 };
  if (outcome.kind === "lost") return { state: { kind: "reconnecting", attempt: 1 }, retryInMs: 0, attempt: 1 };
  if (outcome.kind === "answered") {
    switch (outcome.status) {
      case 409: {
        const waitS = Math.min(MAX_WAIT_S, Math.max(MIN_WAIT_S, outcome.retryAfterS ?? 1));
        return { state: { kind: "waiting" }, retryInMs: waitS * 1000, attempt: 0 };
      }
      case 404:
      case 410:
        return final({ kind: "ended", reason: outcome.endReason });
      case 401:
      case 403:
        return final({ kind: "refused", reason: "token" });
      case 400:
      case 415:
        return final({ kind: "refused", reason: "browser" });
    }
  }
  const barrier = outcome.kind === "unreachable" && outcome.barrier ? { barrier: outcome.barrier } : {};
  const state: RoomState = { kind: "reconnecting", attempt: attempt + 1, ...barrier };
  return { state, retryInMs: backoffMs(attempt, random), attempt: attempt + 1 };
}

function final(state: RoomState): JoinStep {
  return { state, retryInMs: null, attempt: 0 };
}
