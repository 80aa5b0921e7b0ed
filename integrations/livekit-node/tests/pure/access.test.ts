// The avatar's access to the room, without a room.

import type { JobContext } from "@livekit/agents";
import { Room } from "@livekit/rtc-node";
import { TokenVerifier } from "livekit-server-sdk";
import { afterEach, describe, expect, test, vi } from "vitest";

import { avatarToken, projectOf, roomAndAgent } from "../../src/access.js";
import { RoomUnsuitable, VisavisError } from "../../src/errors.js";
import { AvatarSession } from "../../src/index.js";

afterEach(() => vi.unstubAllEnvs());

describe("access", () => {
  test("what is missing is named", () => {
    vi.stubEnv("LIVEKIT_URL", "ws://127.0.0.1:7880");
    vi.stubEnv("LIVEKIT_API_KEY", "");
    vi.stubEnv("LIVEKIT_API_SECRET", "");
    expect(() => projectOf({ livekitApiKey: "key" })).toThrow(
      "The avatar needs a token for the room: set LIVEKIT_API_SECRET, or give livekitApiSecret to start()",
    );
    vi.stubEnv("VISAVIS_API_KEY", "");
    expect(() => new AvatarSession()).toThrow(VisavisError);
    expect(() => new AvatarSession()).toThrow("give apiKey, or set VISAVIS_API_KEY");
  });

  test("the token lets the avatar publish for its agent, and nothing else", async () => {
    const project = { url: "ws://x", apiKey: "key", apiSecret: "a-secret-that-is-long-enough-for-hs256" };
    const signed = await avatarToken(project, { room: "r", identity: "visavis-avatar-1", name: "Avatar", agent: "a" });
    const claims = await new TokenVerifier(project.apiKey, project.apiSecret).verify(signed);
    expect(claims.sub).toBe("visavis-avatar-1");
    expect(claims.kind).toBe("agent");
    expect(claims.attributes).toEqual({ "lk.publish_on_behalf": "a" });
    expect(claims.video).toEqual({
      roomJoin: true,
      room: "r",
      canPublish: true,
      canPublishSources: ["camera", "microphone"],
      canPublishData: true,
      canSubscribe: true,
    });
  });

  test("before the room is connected the job names room and agent", () => {
    const job = { job: { room: { name: "r" } }, info: { acceptArguments: { identity: "a" } } };
    expect(roomAndAgent(new Room(), job as unknown as JobContext)).toEqual({ name: "r", agent: "a" });
    expect(() => roomAndAgent(new Room(), undefined)).toThrow(RoomUnsuitable);
  });
});
