// Which avatar is meant: an id, the address of a photo, a photo, or the name of an avatar.

import { readFile } from "node:fs/promises";

import { AvatarUnknown, InvalidRequest } from "./errors.js";
import type { VisavisService } from "./service/service.js";

/** The name of an avatar, its id, the address of a photo, the bytes of a photo, or a `file:` URL of one. */
export type AvatarChoice = string | URL | Uint8Array;

const SENT_AS_IT_IS = /^(avat_|https?:\/\/|data:image\/)/;
const LOOK = / \(look\)$/;

/**
 * Return what a session is created with. Throws `AvatarUnknown` for a name that no avatar has, and
 * `InvalidRequest` for
 * a file that cannot be read.
 */
export async function findAvatar(service: VisavisService, choice: AvatarChoice, signal?: AbortSignal): Promise<string> {
  if (choice instanceof Uint8Array) return Buffer.from(choice).toString("base64");
  if (choice instanceof URL) return choice.protocol === "file:" ? base64Of(choice) : choice.href;
  return SENT_AS_IT_IS.test(choice) ? choice : ofName(service, choice, signal);
}

async function ofName(service: VisavisService, name: string, signal?: AbortSignal): Promise<string> {
  const avatars = await service.avatars(signal);
  const found = avatars.find((avatar) => plain(avatar.name) === plain(name));
  if (found !== undefined) return found.id;
  const names = [...new Set(avatars.map((avatar) => avatar.name))].sort().join(", ") || "none";
  throw new AvatarUnknown(`No avatar is called "${name}". The account has: ${names}`);
}

function plain(name: string): string {
  return name.toLowerCase().replace(LOOK, "");
}

async function base64Of(file: URL): Promise<string> {
  try {
    return (await readFile(file)).toString("base64");
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new InvalidRequest(`${file.pathname} cannot be read: ${why}`, { status: 0, code: "IMAGE_UNREADABLE" });
  }
}
