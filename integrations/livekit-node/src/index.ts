// A face for LiveKit agents in Node: a Visavis avatar joins the agent's room and speaks what the agent says.
//
//     const avatar = new visavis.AvatarSession({ avatar: "iris" });
//     await avatar.start(session, ctx.room);
//     await session.start({ agent, room: ctx.room });

import { Plugin } from "@livekit/agents";

export { type AvatarOptions, AvatarSession, type Look } from "./avatar.js";
export type { AvatarEvents } from "./events.js";
export type { LiveKitOptions } from "./access.js";
export * from "./errors.js";
export type { AvatarChoice } from "./portraits.js";

class VisavisPlugin extends Plugin {
  constructor() {
    super({ title: "visavis", version: "0.1.0", package: "@visavis/livekit-agents" });
  }
}

Plugin.registerPlugin(new VisavisPlugin());
