// Which texts the room page shows in each of its states, in the visitor's language.

import type { RoomState } from "@client/viewer/join-step.js";
import { ends as endsDe, room as de } from "../texts/de";
import { ends as endsEn, room as en } from "../texts/en";
import { type Language, type Texts, visitorsLanguage } from "../texts/language";

/** The state of the room, or `asking`: the page asks for the room's token. */
export type PageState = RoomState | { kind: "asking"; refused: boolean };
type RoomTexts = Texts["room"];

const MANY_ATTEMPTS = 3; // fewer attempts are a short interruption

const ALL: Record<Language, RoomTexts> = { en, de };
const ENDS: Record<Language, Texts["ends"]> = { en: endsEn, de: endsDe };
export const language: Language = visitorsLanguage();
export const texts: RoomTexts = ALL[language];

type StateTexts = RoomTexts["states"][keyof RoomTexts["states"]];

export function textsOf(state: PageState): StateTexts {
  switch (state.kind) {
    case "ended":
      return { ...texts.states.ended, detail: whyEnded(state.reason) ?? texts.states.ended.detail };
    case "reconnecting":
      return state.attempt < MANY_ATTEMPTS ? texts.states.interrupted : texts.states.unanswered;
    case "refused":
      return state.reason === "no-webrtc" ? texts.states.noWebRtc : texts.states.refused;
    case "asking":
      return state.refused ? texts.states.wrongToken : texts.states.locked;
    default:
      return texts.states[state.kind];
  }
}

/** An end that was asked for needs no more words. */
function whyEnded(reason: string | null): string | null {
  if (reason === "ended_by_client") return null;
  const known = ENDS[language];
  return reason !== null && reason in known ? known[reason as keyof typeof known] : null;
}
