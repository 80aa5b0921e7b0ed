// Signing in and out. The console is shown to keys of the scope `admin` alone.

import { ApiError } from "../../operator/answers";
import { problemOf } from "../../operator/problems";
import { currentSignIn, signIn, type SignIn, signOut, takeCode } from "../../operator/sign-in";
import { route, api, serverProblem, signInState } from "../state/signals";
import { readRoute } from "../state/route";
import { AdminApi } from "../wire/api";
import { loadChoices } from "./choices";
import { tellFailure } from "./tell";

const ASK_AGAIN_S = 3;

/** The page is opened: sign in with the code of its address, or go on with the sign-in of this browser. */
export async function open(): Promise<void> {
  const code = takeCode();
  if (code !== "") route.value = readRoute("");
  for (;;) {
    try {
      const found = code === "" ? await currentSignIn() : await signInWithCode(code);
      serverProblem.value = null;
      if (found !== null) enter(found);
      else signInState.value = code === "" ? "missing" : "used";
      return;
    } catch (error) {
      serverProblem.value = problemOf(error);
      const waitS = serverProblem.value.retryAfterS;
      if (waitS === null) return;
      await new Promise((resolve) => setTimeout(resolve, Math.max(waitS, ASK_AGAIN_S) * 1000));
    }
  }
}

/** Sign in with the code. If it was used before, go on with the sign-in that this browser may have from it. */
async function signInWithCode(code: string): Promise<SignIn | null> {
  try {
    return await signIn({ code });
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return currentSignIn();
    throw error;
  }
}

/** Sign in with a key. It is sent once and kept nowhere in the page. */
export async function signInWithKey(key: string): Promise<void> {
  try {
    const found = await signIn({ key: key.trim() });
    if (found !== null) enter(found);
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) signInState.value = "wrong";
    else tellFailure(error);
  }
}

/** Sign out. */
export async function leave(): Promise<void> {
  try {
    await signOut(api.value?.signIn.pageToken ?? "");
  } catch (error) {
    tellFailure(error);
    return; // the browser is still signed in
  }
  location.reload(); // nothing of what was shown stays
}

function enter(found: SignIn): void {
  if (!found.isOperator) {
    signInState.value = "customer";
    return;
  }
  api.value = new AdminApi(found);
  signInState.value = "good";
  loadChoices().catch(tellFailure);
}
