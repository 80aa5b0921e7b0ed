// Texts for the visitor about errors and ended sessions: what happened, then what to do about it.

import { ApiError, NOT_THE_SERVER } from "./answers";
import { isBrokenConnection } from "./channel";

export interface Problem {
  title: string;
  detail: string;
  retryAfterS: number | null; // null where another attempt cannot help
}

const PHOTO_PROBLEMS: Record<string, [title: string, detail: string]> = {
  NO_FACE: ["No face found", "Use a photo that shows one face clearly, from the front."],
  SEVERAL_FACES: ["More than one face found", "Crop the photo so that it shows one person only."],
  FACE_TOO_SMALL: ["The face is too small", "Crop the photo. The head should fill about half of its height."],
  FACE_TURNED_AWAY: ["The face is turned away", "Use a photo in which the person looks towards the camera."],
  IMAGE_UNREADABLE: ["This file is not a readable picture", "It may be damaged. Save it again as JPEG or PNG."],
  IMAGE_TOO_LARGE: ["This picture is too large", "Use a picture of at most 10 MB."],
};

/** Describe why a photo was refused. */
export function photoProblem(error: unknown): Problem {
  if (error instanceof ApiError) {
    const { code, status, message, suggestion } = error;
    const texts = PHOTO_PROBLEMS[code];
    if (texts !== undefined) return { title: texts[0], detail: texts[1], retryAfterS: null };
    if (code === "INVALID_POINTS") {
      return { title: message, detail: "Move each point to its part of the face.", retryAfterS: null };
    }
    if (status === 415) return { title: message, detail: suggestion, retryAfterS: null }; // the server names the type
  }
  return problemOf(error);
}

/** Describe any failed request. */
export function problemOf(error: unknown): Problem {
  if (!(error instanceof ApiError)) {
    return { title: "This page has failed", detail: String(error), retryAfterS: null };
  }
  const { status, code, message, suggestion, retryAfterS } = error;
  if (status === 0) {
    const detail = "Check that the server runs and that this browser can reach it.";
    return { title: "The server does not answer", detail, retryAfterS: 3 };
  }
  if (code === "NO_CAPACITY") {
    const detail = "It already runs as many sessions as it can.";
    return { title: "The server is full", detail, retryAfterS: retryAfterS ?? 5 };
  }
  if (code === "CONCURRENCY_LIMIT_REACHED") {
    const detail = "End another session of this account, then start again.";
    return { title: "This key has reached its limit of sessions", detail, retryAfterS: null };
  }
  if (code === "INSUFFICIENT_MINUTES") {
    return { title: "This key has no minutes left", detail: "Its plan is used up.", retryAfterS: null };
  }
  if (status === 429 && code !== NOT_THE_SERVER) {
    const detail = "This key has sent as many requests as it may in one minute.";
    return { title: "Too many requests", detail, retryAfterS: retryAfterS ?? 20 };
  }
  return { title: message, detail: suggestion, retryAfterS: status >= 500 ? (retryAfterS ?? 5) : null };
}

// The server's end reasons, as the channel's close frame names them.
const END_REASONS: Record<string, string> = {
  ended_by_client: "The session was ended through the API.",
  room_empty: "The last viewer has left the room.",
  nobody_joined: "No viewer joined the room.",
  expired: "The session reached its maximum duration.",
  channel_lost: "The channel was closed and did not come back.",
  performer_lost: "The performer of the session stopped unexpectedly.",
  server_stopped: "The server was shut down.",
  server_died: "The server stopped unexpectedly.",
};

const TAKEN_OVER = 4409;

/** Describe why a channel was closed, from the code and the reason of its close frame; "" if there is no reason. */
export function describeEnd(code: number, reason: string): string {
  if (code === TAKEN_OVER) return "Another page has taken over this session.";
  if (isBrokenConnection(code)) return "The connection to the server was lost.";
  return END_REASONS[reason] ?? (code === 1000 ? "" : reason.replaceAll("_", " "));
}
