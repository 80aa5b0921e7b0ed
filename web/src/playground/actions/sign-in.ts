// Signing in and out. What the page shows begins with a sign-in, and goes with it.

import { api, avatarsState, characters, chosenId, log, phase, serverProblem, signInState } from "../state/signals";
import { ApiError } from "../../operator/answers";
import { Api } from "../wire/api";
import { problemOf } from "../../operator/problems";
import { currentSignIn, signIn, type SignIn, signOut, takeCode } from "../../operator/sign-in";
import { begin } from "./avatars";
import { notify } from "./notice";
import { endSession } from "./session";

const ASK_AGAIN_S = 3;

/** The page is opened: sign in with the code of its address, or go on with the sign-in of this browser. */
export async function open(): Promise<void> {
  const code = takeCode();
  for (;;) {
    try {
      const found = code === "" ? await currentSignIn() : await signInWithCode(code);
      if (found !== null) enter(found);
      else signInState.value = code === "" ? "missing" : "used";
      return;
    } catch (error) {
      serverProblem.value = problemOf(error);
      avatarsState.value = "failed";
      if (!isTemporary(error)) return;
      const waitS = serverProblem.value.retryAfterS ?? ASK_AGAIN_S;
      await new Promise((resolve) => setTimeout(resolve, waitS * 1000));
    }
  }
}

/** Sign in with the code. If it was used before, go on with the sign-in that this browser may have from it. */
async function signInWithCode(code: string): Promise<SignIn | null> {
  try {
    return await signIn({ code });
  } catch (error) {
    if (isTemporary(error)) throw error;
    return currentSignIn();
  }
}

/** Sign in with a key. It is sent once and kept nowhere in the page. */
export async function signInWithKey(key: string): Promise<void> {
  try {
    const found = await signIn({ key: key.trim() });
    if (found !== null) enter(found);
  } catch (error) {
    signInState.value = "wrong";
    if (isTemporary(error)) notify(problemOf(error).title, true);
  }
}

/** Sign out. */
export async function leave(): Promise<void> {
  const pageToken = api.value.signIn?.pageToken ?? "";
  endSession();
  try {
    await signOut(pageToken);
  } catch (error) {
    notify(problemOf(error).title, true);
    return; // the browser is still signed in
  }
  location.reload(); // nothing of what was shown stays, the log and the figures included
}

function enter(found: SignIn): void {
  characters.value = [];
  chosenId.value = "";
  phase.value = "idle";
  serverProblem.value = null;
  api.value = new Api(found, log);
  signInState.value = "good";
  void begin();
}

function isTemporary(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 0 || error.status === 429 || error.status >= 500);
}
