// What the console tells and asks: a line at the bottom, a question, a secret that is shown once.

import { ApiError } from "../../operator/answers";
import { problemOf } from "../../operator/problems";
import { api, newSecret, type NewSecret, notice, question, type Question, signInState } from "../state/signals";

const NOTICE_MS = 5_000;

/** Show a line. It disappears by itself, unless it reports a failure. */
export function notify(text: string, failed = false): void {
  const line = { text, failed };
  notice.value = line;
  setTimeout(
    () => {
      if (notice.value === line) notice.value = null;
    },
    failed ? 3 * NOTICE_MS : NOTICE_MS,
  );
}

export function dismissNotice(): void {
  notice.value = null;
}

/** Ask before something that cannot be undone. */
export function ask(asked: Question | null): void {
  question.value = asked;
}

export function showSecret(secret: NewSecret | null): void {
  newSecret.value = secret;
}

/** Tell of a call that has failed; a sign-in that is over leads to the form. */
export function tellFailure(error: unknown): void {
  if (endsSignIn(error)) return;
  const { title, detail } = problemOf(error);
  notify(detail === "" ? title : `${title}. ${detail}`, true);
}

/** Whether the sign-in is over. Then the form is shown. */
export function endsSignIn(error: unknown): boolean {
  if (!(error instanceof ApiError) || error.status !== 401) return false;
  api.value = null;
  signInState.value = "over";
  return true;
}

/** Do something, and tell how it went. Return whether it succeeded. */
export async function attempt(work: () => Promise<void>, done: string): Promise<boolean> {
  try {
    await work();
  } catch (error) {
    tellFailure(error);
    return false;
  }
  if (done !== "") notify(done);
  return true;
}
