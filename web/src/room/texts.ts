// The texts of the room page, for each of its states.

import type { RoomState } from "../viewer/join-step";

/** The state of the room, or `asking`: the page asks for the room's token. */
export type PageState = RoomState | { kind: "asking"; refused: boolean };

interface Texts {
  badge: string;
  headline: string;
  detail: string;
}

export const WEAK_BADGE = "Weak connection"; // instead of "Live"
const MANY_ATTEMPTS = 3; // fewer attempts are a short interruption

export function textsOf(state: PageState): Texts {
  switch (state.kind) {
    case "connecting":
      return { badge: "Connecting", headline: "Connecting", detail: "" };
    case "waiting":
      return {
        badge: "Waiting",
        headline: "Waiting for the avatar",
        detail: "The avatar appears here when its session starts.",
      };
    case "live":
      return { badge: "Live", headline: "Live", detail: "" };
    case "reconnecting":
      return {
        badge: "Reconnecting",
        headline: "Reconnecting",
        detail:
          state.attempt < MANY_ATTEMPTS
            ? "The connection was interrupted."
            : "The server does not answer. This page keeps trying.",
      };
    case "ended":
      return {
        badge: "Ended",
        headline: "The session has ended",
        detail: "The room is closed. You can close this page.",
      };
    case "refused":
      return {
        badge: "Error",
        headline: "This browser cannot show the room",
        detail: "The server refused the browser's WebRTC offer. Try another browser.",
      };
    case "asking":
      return state.refused
        ? {
            badge: "Locked",
            headline: "This token does not open the room",
            detail: "Each token opens one room. Check that you have copied all of it.",
          }
        : {
            badge: "Locked",
            headline: "This room needs a token",
            detail: "Paste the token that you received with the link.",
          };
  }
}
