// The tokens of one session. Each opens one thing, for a while (docs/reference/browsers.md).

import { ApiKeyRefused, InvalidOptions, WrongToken } from "../channel/errors.js";

/** What a token opens: the picture, the channel, or starting and ending the session. */
export type Purpose = "watch" | "speak" | "control";

/** The tokens themselves, or a function that asks your server for one. It is called again when one has expired. */
export type TokenSource =
  | Partial<Record<Purpose, string>>
  | ((purpose: Purpose) => string | undefined | Promise<string | undefined>);

const API_KEY = /^ah_(live|test)_/;
const BROWSER_TOKEN = /^vvt_/;

/**
 * Return a token that a page may hold. Raises ApiKeyRefused and WrongToken. The token of a room (`#t=` of its link)
 * opens that room alone, so it is taken for watching.
 */
export function checkedToken(token: string, purpose: Purpose): string {
  if (API_KEY.test(token)) {
    throw new ApiKeyRefused(
      "This is an API key. It opens your whole account: keep it on your server, and let the server make a token " +
        `with POST /v1/sessions/{session_id}/tokens and {"purpose": "${purpose}"}`,
    );
  }
  if (purpose !== "watch" && !BROWSER_TOKEN.test(token)) {
    throw new WrongToken(
      "This is no token for a page, which begins with vvt_. Make one with POST /v1/sessions/{session_id}/tokens and " +
        `{"purpose": "${purpose}"}. The session_token and the access_token of a session stay on your server`,
    );
  }
  return token;
}

export class Tokens {
  private readonly known = new Map<Purpose, string>();

  /** Raises ApiKeyRefused and WrongToken. */
  constructor(private readonly source: TokenSource) {
    if (typeof source === "function") return;
    for (const purpose of ["watch", "speak", "control"] as const) {
      const token = source[purpose];
      if (token !== undefined && token !== "") this.known.set(purpose, checkedToken(token, purpose));
    }
  }

  /** Return a token, null if there is none. Raises ApiKeyRefused, WrongToken, and what the function raises. */
  async find(purpose: Purpose): Promise<string | null> {
    const known = this.known.get(purpose);
    if (known !== undefined) return known;
    if (typeof this.source !== "function") return null;
    const token = await this.source(purpose);
    if (token === undefined || token === "") return null;
    this.known.set(purpose, checkedToken(token, purpose));
    return token;
  }

  /** Raises InvalidOptions if there is none. */
  async get(purpose: Purpose): Promise<string> {
    const token = await this.find(purpose);
    if (token === null) throw new InvalidOptions(`There is no token of the purpose "${purpose}"`);
    return token;
  }

  /** Ask for a new token. Return whether there is one. Never throws. */
  async renew(purpose: Purpose): Promise<boolean> {
    if (typeof this.source !== "function") return false;
    const before = this.known.get(purpose);
    this.known.delete(purpose);
    const token = await this.find(purpose).catch(() => null);
    return token !== null && token !== before;
  }
}
