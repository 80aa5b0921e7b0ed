// The key, and the faces that it opens: loading them, adding one from a photo, deleting one.

import { Api, ApiError, type Avatar } from "./api";
import { keepKey } from "./key";
import { endSession, startSession } from "./live-session";
import { type Points, photoReport, startingPoints, unfound } from "./photo";
import { photoProblem, problemOf } from "./problems";
import { avatarsState, characters, chosenId, current, key, keyState, log, phase, say, serverProblem, upload } from "./state";

const PREPARING_POLL_MS = 2_500; // far below the 60 requests a minute that a key may make
const LARGEST_PHOTO_BYTES = 10_000_000;

export function setKey(value: string): void {
  endSession();
  key.value = value.trim();
  keepKey(key.value);
  current.api = new Api(key.value, log);
  characters.value = [];
  chosenId.value = "";
  phase.value = "idle";
  serverProblem.value = null;
  keyState.value = key.value === "" ? "missing" : "checking";
  if (key.value !== "") void begin();
}

/** Load the avatars and, once there is one, start a session with the first and let it greet. */
export async function begin(): Promise<void> {
  if (key.value === "") return;
  const { api } = current;
  avatarsState.value = "loading";
  for (let asked = false; ; asked = true) {
    try {
      // While the server prepares its first avatar, one request at a time asks whether it is there.
      if (!asked || serverProblem.value !== null || (await api.publicAvatars()).length > 0) await loadAvatars();
    } catch (error) {
      if (api !== current.api) return;
      const status = error instanceof ApiError ? error.status : -1;
      if (status === 401) {
        keyState.value = "wrong";
        keepKey("");
        return;
      }
      serverProblem.value = problemOf(error);
      avatarsState.value = "failed";
      if (status !== 0 && status !== 429 && status < 500) return;
    }
    if (api !== current.api) return;
    if (characters.value.length > 0) break;
    await new Promise((resolve) => setTimeout(resolve, (serverProblem.value?.retryAfterS ?? PREPARING_POLL_MS / 1000) * 1000));
    if (api !== current.api) return;
  }
  const first = characters.value.find((avatar) => avatar.is_public === 1) ?? characters.value[0];
  if (first !== undefined && phase.value === "idle") await startSession(first.avatar_id, { greet: true });
}

async function loadAvatars(): Promise<void> {
  const [ofAll, own] = await Promise.all([current.api.publicAvatars(), current.api.ownAvatars()]);
  keyState.value = "good";
  serverProblem.value = null;
  const seen = new Set<string>();
  const ownFirst = [...own.filter((avatar) => avatar.is_public !== 1), ...ofAll, ...own];
  characters.value = ownFirst.filter((avatar) => avatar.parent_id === null && !seen.has(avatar.avatar_id) && seen.add(avatar.avatar_id));
  avatarsState.value = characters.value.length > 0 ? "ready" : "preparing";
}

export async function removeAvatar(avatar: Avatar): Promise<void> {
  try {
    await current.api.deleteAvatar(avatar.avatar_id);
    await loadAvatars();
  } catch (error) {
    say(problemOf(error).title, true);
  }
}

/** `points` say where the face is, after the server found none. */
export async function uploadPhoto(file: File, points?: Points): Promise<void> {
  if (keyState.value !== "good" || (upload.value !== null && upload.value.problem === null)) return;
  const name = file.name === "" ? "Photo" : file.name;
  const refuse = (error: unknown): void => {
    const misplaced = error instanceof ApiError && error.code === "INVALID_POINTS";
    const again = points !== undefined || (error instanceof ApiError && error.code === "NO_FACE");
    const problem = photoProblem(error);
    unfound.value = again ? { file, open: misplaced, points: points ?? startingPoints(), problem: misplaced ? problem.title : null } : null;
    upload.value = { name, part: 0, problem };
  };
  photoReport.value = null;
  unfound.value = null;
  if (file.size > LARGEST_PHOTO_BYTES) return refuse(new ApiError(413, "IMAGE_TOO_LARGE", "", "", null));
  upload.value = { name, part: 0, problem: null };
  try {
    const made = await current.api.uploadFace(file, (part) => (upload.value = { name, part, problem: null }), points);
    await loadAvatars();
    upload.value = null;
    if (made.report !== undefined) photoReport.value = { name, report: made.report };
    const looks = await current.api.looks(made.avatar_id);
    const character = looks.length > 0 ? made.avatar_id : (await characterOf(made.avatar_id)) ?? made.avatar_id;
    await startSession(character, { greet: true, look: looks[0]?.avatar_id ?? made.avatar_id });
  } catch (error) {
    refuse(error);
  }
}

/** The upload's answer names a look; the card that is shown as chosen is its character's. */
async function characterOf(look: string): Promise<string | undefined> {
  for (const character of characters.value.filter((avatar) => avatar.is_public !== 1)) {
    if ((await current.api.looks(character.avatar_id)).some((candidate) => candidate.avatar_id === look)) return character.avatar_id;
  }
  return undefined;
}
