// The channel's messages, as far as this package reads and writes them (docs/reference/channel.md).

/** When one sound is spoken, in milliseconds from the start of the sound that it comes with. */
export interface Phoneme {
  symbol: string | number;
  start_ms: number;
  end_ms: number;
}

export type Alphabet = "ipa" | "arpabet" | "sapi";

/** An emotion by its name, or with its weight from 0 to 1. */
export type Emotion = string | { name: string; weight: number };

/** A message of the server. `type` decides which other members it has; unknown ones are left alone. */
export type ServerMessage = { type: string } & Record<string, unknown>;

/** The members of `session.init` beside `type`, `features` and `resume`. */
export type SessionInit = { session_id: string; session_token: string } & Record<string, unknown>;

/** Parse a text frame. What is no message of the server's becomes one without a meaning. */
export function parseMessage(text: string): ServerMessage {
  const parsed: unknown = JSON.parse(text);
  const isMessage = typeof parsed === "object" && parsed !== null && "type" in parsed;
  return isMessage ? (parsed as ServerMessage) : { type: "" };
}
