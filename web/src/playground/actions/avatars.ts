// The avatars of the operator's account: loading them, deleting one.

import { api, avatarsState, characters, phase, serverProblem, signInState } from "../state/signals";
import { ApiError } from "../../operator/answers";
import { problemOf } from "../../operator/problems";
import type { Avatar } from "../wire/types";
import { notify } from "./notice";
import { startSession } from "./session";

const RENEW_EVERY_MS = 60_000;
const POLL_EVERY_S = 2.5; // far fewer requests than the 60 that a key may make in a minute

/** Load the avatars, wait until the server has one, then start a session with the first and let it greet. */
export async function begin(): Promise<void> {
  const used = api.value;
  avatarsState.value = "loading";
  for (let first = true; ; first = false) {
    try {
      // While the server prepares its first avatar, one small request asks for it. Only then all avatars are loaded.
      if (first || serverProblem.value !== null || (await used.publicAvatars()).length > 0) await loadAvatars();
    } catch (error) {
      if (used !== api.value) return;
      const status = error instanceof ApiError ? error.status : -1;
      if (status === 401) {
        signInState.value = "over";
        return;
      }
      serverProblem.value = problemOf(error);
      avatarsState.value = "failed";
      const temporary = status === 0 || status === 429 || status >= 500;
      if (!temporary) return;
    }
    if (used !== api.value) return;
    if (characters.value.length > 0) break;
    const waitS = serverProblem.value?.retryAfterS ?? POLL_EVERY_S;
    await new Promise((resolve) => setTimeout(resolve, waitS * 1000));
    if (used !== api.value) return;
  }
  const chosen = characters.value.find((avatar) => avatar.is_public === 1) ?? characters.value[0];
  if (chosen !== undefined && phase.value === "idle") await startSession(chosen.avatar_id, { greet: true });
}

/** Load all characters: the account's own first, then the public ones. */
export async function loadAvatars(): Promise<void> {
  const [everyone, own] = await Promise.all([api.value.publicAvatars(), api.value.ownAvatars()]);
  serverProblem.value = null;
  const ordered = [...own.filter((avatar) => avatar.is_public !== 1), ...everyone, ...own];
  const byId = new Map(
    ordered.filter((avatar) => avatar.parent_id === null).map((avatar) => [avatar.avatar_id, avatar]),
  );
  characters.value = [...byId.values()];
  avatarsState.value = characters.value.length > 0 ? "ready" : "preparing";
}

let renewedAtMs = -Infinity;

/** A picture cannot be shown: the address of a private one has expired. The avatars have new addresses. */
export function renewPictures(): void {
  if (performance.now() - renewedAtMs < RENEW_EVERY_MS) return;
  renewedAtMs = performance.now();
  loadAvatars().catch(() => {}); // the next picture that cannot be shown tries again
}

export async function deleteAvatar(avatar: Avatar): Promise<void> {
  try {
    await api.value.deleteAvatar(avatar.avatar_id);
    await loadAvatars();
  } catch (error) {
    notify(problemOf(error).title, true);
  }
}
