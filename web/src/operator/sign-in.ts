// Signing in: a key is posted once, or a link's code; the browser then keeps a cookie that no script can read. The page
// gets a token that it sends with each call, so that pages of other origins cannot make the operator's calls.

import { errorOf, parsed, unreachable } from "./answers";
import { serverAddress } from "./server-address";

export interface SignIn {
  keyName: string;
  keyHint: string; // the first letters of the key: enough to recognise it
  isOperator: boolean; // the key has the scope `admin`
  pageToken: string;
  speaksText: boolean; // the server has a speech synthesiser
}

/** Take the code from `#code=` and remove it from the address bar; "" without one. */
export function takeCode(): string {
  const code = new URLSearchParams(location.hash.replace(/^#/, "")).get("code")?.trim() ?? "";
  if (code !== "") history.replaceState(null, "", location.pathname + location.search);
  return code;
}

/** Sign in. Throws `ApiError`. */
export function signIn(proof: { key: string } | { code: string }): Promise<SignIn | null> {
  const body = JSON.stringify(proof);
  return call({ method: "POST", headers: { "content-type": "application/json" }, body });
}

/** Return the sign-in of this browser; null without one. Throws `ApiError`. */
export function currentSignIn(): Promise<SignIn | null> {
  return call({ method: "GET" });
}

/** Sign out. Throws `ApiError`. */
export async function signOut(pageToken: string): Promise<void> {
  await request({ method: "DELETE", headers: { [PAGE_HEADER]: pageToken } });
}

/** The header in which the page token is sent. */
export const PAGE_HEADER = "x-visavis-page";

async function call(options: RequestInit): Promise<SignIn | null> {
  const answer = (await request(options)) as {
    sign_in: {
      key: { name: string; start: string; scopes: string[] };
      page_token: string;
      text: boolean;
    } | null;
  };
  if (answer.sign_in === null) return null;
  const { key, page_token: pageToken, text: speaksText } = answer.sign_in;
  const isOperator = key.scopes.includes("admin");
  return { keyName: key.name, keyHint: `${key.start}…`, isOperator, pageToken, speaksText };
}

async function request(options: RequestInit): Promise<unknown> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(serverAddress("/sign-in"), { cache: "no-store", ...options });
    text = await response.text();
  } catch {
    throw unreachable();
  }
  const body = parsed(text);
  if (!response.ok || body === undefined) throw errorOf(response.status, body, response.headers.get("retry-after"));
  return body;
}
