// What goes wrong, in words for a person: what happened, and what to do about it.

import { ApiError } from "./api";

export interface Problem {
  title: string;
  detail: string;
  retryAfterS: number | null; // where trying again later may help
}

const PHOTO_REFUSALS: Record<string, [string, string]> = {
  NO_FACE: ["No face was found", "Use a photo in which one face is clearly seen, from the front."],
  SEVERAL_FACES: ["There are several faces", "Crop the photo so that only one person is in it."],
  FACE_TOO_SMALL: ["The face is too small", "Crop closer: the head should fill about half of the picture's height."],
  FACE_TURNED_AWAY: ["The face is turned away", "Use a photo in which the person looks towards the camera."],
  IMAGE_UNREADABLE: ["This file could not be read as a picture", "It may be damaged. Save it again as JPEG or PNG."],
  IMAGE_TOO_LARGE: ["This picture is too large", "Use one of at most 10 MB."],
};

export function photoProblem(error: unknown): Problem {
  if (error instanceof ApiError) {
    const words = PHOTO_REFUSALS[error.code];
    if (words !== undefined) return { title: words[0], detail: words[1], retryAfterS: null };
    if (error.code === "INVALID_POINTS") return { title: error.message, detail: "Move the points to where the face has these parts.", retryAfterS: null };
    if (error.status === 415) return { title: error.message, detail: error.suggestion, retryAfterS: null }; // it says which
  }
  return problemOf(error);
}

export function problemOf(error: unknown): Problem {
  if (!(error instanceof ApiError)) return { title: "Something went wrong on this page", detail: String(error), retryAfterS: null };
  const { status, code, message, suggestion, retryAfterS } = error;
  if (status === 0) return { title: "The server does not answer", detail: "Check that it is running, and that this page can reach it.", retryAfterS: 3 };
  if (code === "NO_CAPACITY") return { title: "All performers are busy", detail: "Every avatar that this machine can run is in use.", retryAfterS: retryAfterS ?? 5 };
  if (code === "CONCURRENCY_LIMIT_REACHED") {
    return { title: "This key has no session left", detail: "End one of its other sessions, then start again.", retryAfterS: null };
  }
  if (code === "INSUFFICIENT_MINUTES") return { title: "No minutes remaining", detail: "The plan of this key is used up.", retryAfterS: null };
  if (status === 429) return { title: "Too many requests", detail: "This key has reached its limit for this minute.", retryAfterS: retryAfterS ?? 20 };
  return { title: message, detail: suggestion, retryAfterS: status >= 500 ? (retryAfterS ?? 5) : null };
}

const END_REASONS: Record<string, string> = {
  ended_by_client: "It was ended through the API.",
  room_empty: "Nobody was watching any more.",
  nobody_joined: "Nobody came to watch.",
  expired: "It reached its longest duration.",
  channel_lost: "Its channel was closed.",
  performer_lost: "Its performer stopped unexpectedly.",
  server_stopped: "The server was shut down.",
  server_died: "The server stopped unexpectedly.",
};

/** Why a channel closed for good. */
export function endOfSession(code: number, reason: string): string {
  if (code === 4409) return "Another page has taken this session over.";
  if (code === 1006 || code === 1001 || code === 1012) return "The connection to the server was lost.";
  return END_REASONS[reason] ?? (code === 1000 ? "" : reason.replaceAll("_", " "));
}
