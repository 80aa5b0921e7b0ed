// The avatar's access to the agent's room: one token for each session, made with the project's LiveKit credentials.

import type { JobContext } from "@livekit/agents";
import type { Room } from "@livekit/rtc-node";
import { AccessToken, TrackSource } from "livekit-server-sdk";

import { AvatarError, RoomUnsuitable } from "./errors.js";

const PUBLISH_ON_BEHALF = "lk.publish_on_behalf";
const TOKEN_LASTS = "1h"; // to join: the server refreshes the token of whoever is in the room

/**
 * Where the room is, and what signs its tokens. Default: the variables LIVEKIT_URL, LIVEKIT_API_KEY,
 * LIVEKIT_API_SECRET.
 */
export interface LiveKitOptions {
  livekitUrl?: string;
  livekitApiKey?: string;
  livekitApiSecret?: string;
}

export interface LiveKitProject {
  url: string;
  apiKey: string;
  apiSecret: string;
}

/** Take what is given, and the rest from the variables that LiveKit uses. Throws `AvatarError`. */
export function projectOf(options: LiveKitOptions): LiveKitProject {
  const wanted = [
    ["LIVEKIT_URL", "livekitUrl"],
    ["LIVEKIT_API_KEY", "livekitApiKey"],
    ["LIVEKIT_API_SECRET", "livekitApiSecret"],
  ] as const;
  const given = wanted.map(([variable, option]) => options[option] || process.env[variable] || "");
  const missing = wanted.filter((_, number) => given[number] === "");
  if (missing.length > 0) {
    const [variables, names] = [0, 1].map((part) => missing.map((one) => one[part]).join(", "));
    throw new AvatarError(`The avatar needs a token for the room: set ${variables}, or give ${names} to start()`);
  }
  const [url = "", apiKey = "", apiSecret = ""] = given;
  return { url, apiKey, apiSecret };
}

/** Return a token for an avatar that publishes for its agent, and may do nothing else. */
export async function avatarToken(
  project: LiveKitProject,
  who: { room: string; identity: string; name: string; agent: string },
): Promise<string> {
  const token = new AccessToken(project.apiKey, project.apiSecret, {
    identity: who.identity,
    name: who.name,
    ttl: TOKEN_LASTS,
    attributes: { [PUBLISH_ON_BEHALF]: who.agent },
  });
  token.kind = "agent";
  token.addGrant({
    roomJoin: true,
    room: who.room,
    canPublish: true,
    canPublishSources: [TrackSource.CAMERA, TrackSource.MICROPHONE],
    canPublishData: true,
    canSubscribe: true,
  });
  return token.toJwt();
}

/** Return the name of the room and the agent's identity, also before the agent is in it. Throws `RoomUnsuitable`. */
export function roomAndAgent(room: Room, job: JobContext | undefined): { name: string; agent: string } {
  if (room.isConnected && room.localParticipant !== undefined) {
    return { name: room.name ?? "", agent: room.localParticipant.identity };
  }
  if (job === undefined) {
    throw new RoomUnsuitable("The room is not connected, and there is no job: connect the room before avatar.start()");
  }
  return { name: job.job.room?.name ?? "", agent: job.info.acceptArguments.identity };
}

/**
 * Throws `RoomUnsuitable` for a connected room that is end-to-end encrypted, and for an agent that is
 * hidden in it: the
 * avatar would not see its agent leave.
 */
export function requireSuitable(room: Room): void {
  if (!room.isConnected) return;
  if (room.e2eeManager?.enabled) {
    throw new RoomUnsuitable(
      "The room is end-to-end encrypted, and the avatar has no key: connect the agent without encryption",
    );
  }
  if (room.localParticipant?.info.permission?.hidden) {
    throw new RoomUnsuitable("The agent is hidden in the room: dispatch it without the grant hidden");
  }
}
