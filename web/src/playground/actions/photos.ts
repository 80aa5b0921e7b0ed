// Makes an avatar from the visitor's photo, and starts a session with it.

import { startingPoints } from "../state/photo-points";
import { api, characters, signedIn, photoReport, unplacedPhoto, upload } from "../state/signals";
import { ApiError } from "../../operator/answers";
import { texts } from "../../operator/texts";
import { photoProblem } from "../wire/problems";
import type { Points } from "../wire/types";
import { loadAvatars } from "./avatars";
import { startSession } from "./session";

const MAX_PHOTO_BYTES = 10_000_000;

/** `points` say where the face is. The visitor places them after the server has found no face. */
export async function uploadPhoto(file: File, points?: Points): Promise<void> {
  const uploading = upload.value !== null && upload.value.problem === null;
  if (!signedIn.value || uploading) return;
  const name = file.name === "" ? texts.value.playground.avatars.photoName : file.name;
  photoReport.value = null;
  unplacedPhoto.value = null;
  try {
    if (file.size > MAX_PHOTO_BYTES) throw new ApiError(413, "IMAGE_TOO_LARGE", "", "", null);
    upload.value = { name, fraction: 0, problem: null };
    const progress = (fraction: number): void => {
      upload.value = { name, fraction, problem: null };
    };
    const made = await api.value.uploadFace(file, progress, points);
    await loadAvatars();
    upload.value = null;
    photoReport.value = made.report ?? null;
    await startWith(made.avatar_id);
  } catch (error) {
    refuse(name, file, points, error);
  }
}

export function closeReport(): void {
  photoReport.value = null;
}

export function closeRefusal(): void {
  upload.value = null;
  unplacedPhoto.value = null;
}

export function openPointsDialog(): void {
  if (unplacedPhoto.value === null) return;
  unplacedPhoto.value = { ...unplacedPhoto.value, dialogOpen: true, refusal: null };
}

/** Keep the points, so that the dialog opens with them again. */
export function closePointsDialog(points: Points): void {
  if (unplacedPhoto.value === null) return;
  unplacedPhoto.value = { ...unplacedPhoto.value, dialogOpen: false, points, refusal: null };
}

function refuse(name: string, file: File, points: Points | undefined, error: unknown): void {
  const code = error instanceof ApiError ? error.code : "";
  const problem = photoProblem(error);
  upload.value = { name, fraction: 0, problem };
  if (points === undefined && code !== "NO_FACE") return;
  const dialogOpen = code === "INVALID_POINTS";
  const refusal = dialogOpen ? problem.title : null;
  unplacedPhoto.value = { file, dialogOpen, points: points ?? startingPoints(), refusal };
}

/** Start a session with an uploaded face, which is a look or a character. */
async function startWith(avatarId: string): Promise<void> {
  const looks = await api.value.looks(avatarId);
  const character = looks.length > 0 ? avatarId : ((await characterOf(avatarId)) ?? avatarId);
  await startSession(character, { greet: true, look: looks[0]?.avatar_id ?? avatarId });
}

async function characterOf(lookId: string): Promise<string | undefined> {
  for (const character of characters.value.filter((avatar) => avatar.is_public !== 1)) {
    const looks = await api.value.looks(character.avatar_id);
    if (looks.some((look) => look.avatar_id === lookId)) return character.avatar_id;
  }
  return undefined;
}
