// Decides, without I/O, what follows an attempt to join a room over WHEP.

export type JoinOutcome =
  | { kind: "joined" }
  | { kind: "answered"; status: number; retryAfterS: number | null }
  | { kind: "unreachable" }
  | { kind: "lost" }; // joined before, and the connection or the picture has stopped

export type RoomState =
  | { kind: "connecting" }
  | { kind: "waiting" } // the room is there, its session has not started
  | { kind: "live" }
  | { kind: "reconnecting"; attempt: number }
  | { kind: "ended" }
  | { kind: "refused"; reason: "token" | "browser" };

export interface JoinStep {
  state: RoomState;
  retryInMs: number | null; // null: no further attempt
  attempt: number;
}

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 8_000;

/** Doubling waits with up to a quarter of jitter, so that the viewers of a restarted server do not all come at once. */
export function backoffMs(attempt: number, random: number): number {
  const plain = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** attempt);
  return Math.round(plain * (0.75 + 0.25 * random));
}

/** `attempt` counts the failures since the viewer was last live. */
export function nextJoinStep(outcome: JoinOutcome, attempt: number, random: number): JoinStep {
  if (outcome.kind === "joined") return { state: { kind: "live" }, retryInMs: null, attempt: 0 };
  if (outcome.kind === "lost") return { state: { kind: "reconnecting", attempt: 1 }, retryInMs: 0, attempt: 1 };
  if (outcome.kind === "answered") {
    const { status, retryAfterS } = outcome;
    if (status === 409) return { state: { kind: "waiting" }, retryInMs: Math.min(10, Math.max(0.25, retryAfterS ?? 1)) * 1000, attempt: 0 };
    if (status === 404 || status === 410) return { state: { kind: "ended" }, retryInMs: null, attempt: 0 };
    if (status === 401 || status === 403) return { state: { kind: "refused", reason: "token" }, retryInMs: null, attempt: 0 };
    if (status === 400 || status === 415) return { state: { kind: "refused", reason: "browser" }, retryInMs: null, attempt: 0 };
  }
  return { state: { kind: "reconnecting", attempt: attempt + 1 }, retryInMs: backoffMs(attempt, random), attempt: attempt + 1 };
}
