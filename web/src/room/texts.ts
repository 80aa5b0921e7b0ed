// Which texts the room page shows in each of its states, in the visitor's language.

import type { RoomState } from "@client/viewer/join-step.js";
import { room as de } from "../texts/de";
import { room as en } from "../texts/en";
import { type Language, type Texts, visitorsLanguage } from "../texts/language";

/** The state of the room, or `asking`: the page asks for the room's token. */
export type PageState = RoomState | { kind: "asking"; refused: boolean };
type RoomTexts = Texts["room"];

const MANY_ATTEMPTS = 3; // fewer attempts are a short interruption

const ALL: Record<Language, RoomTexts> = { en, de };
export const language: Language = visitorsLanguage();
export const texts: RoomTexts = ALL[language];

export function textsOf(state: PageState): RoomTexts["states"][keyof RoomTexts["states"]] {
  switch (state.kind) {
    case "reconnecting":
      return state.attempt < MANY_ATTEMPTS ? texts.states.interrupted : texts.states.unanswered;
    case "asking":
      return state.refused ? texts.states.wrongToken : texts.states.locked;
    default:
      return texts.states[state.kind];
  }
}
