// Texts for the visitor about errors and ended sessions: what happened, then what to do about it.

import { ApiError } from "../../operator/answers";
import { type Problem, problemOf } from "../../operator/problems";
import { texts } from "../../operator/texts";
import { isBrokenConnection } from "./channel";

/** Describe why a photo was refused. */
export function photoProblem(error: unknown): Problem {
  if (error instanceof ApiError) {
    const { code, status, message, suggestion } = error;
    const { photoProblems: known, movePoints } = texts.value.playground;
    if (code in known) return { ...known[code as keyof typeof known], retryAfterS: null };
    if (code === "INVALID_POINTS") {
      return { title: message, detail: movePoints, retryAfterS: null };
    }
    if (status === 415) return { title: message, detail: suggestion, retryAfterS: null }; // the server names the type
  }
  return problemOf(error);
}

const TAKEN_OVER = 4409;

/** Describe why a channel was closed, from the code and the reason of its close frame; "" if there is no reason. */
export function describeEnd(code: number, reason: string): string {
  const { ends, playground } = texts.value;
  if (code === TAKEN_OVER) return playground.ends.takenOver;
  if (isBrokenConnection(code)) return playground.ends.connectionLost;
  if (reason in ends) return ends[reason as keyof typeof ends];
  return code === 1000 ? "" : reason.replaceAll("_", " ");
}
