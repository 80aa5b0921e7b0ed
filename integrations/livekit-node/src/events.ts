// What an avatar's session tells, beside the events of LiveKit's class. Types alone: the emitter is LiveKit's.

import { voice } from "@livekit/agents";

import type { VisavisError } from "./errors.js";

/** `avatar_failed` comes at most once. `session_expiring`: how many seconds are left. */
export interface AvatarEvents {
  avatar_ready: () => void;
  avatar_failed: (error: VisavisError) => void;
  session_expiring: (secondsLeft: number) => void;
}

type Told = voice.AvatarSession;
type Listener = (...values: never[]) => void;

export class AvatarSessionWithEvents extends voice.AvatarSession {
  override on<E extends keyof AvatarEvents>(event: E, listener: AvatarEvents[E]): this;
  override on(...heard: Parameters<Told["on"]>): this;
  override on(event: string, listener: Listener): this {
    return super.on(event as never, listener as never);
  }

  override once<E extends keyof AvatarEvents>(event: E, listener: AvatarEvents[E]): this;
  override once(...heard: Parameters<Told["once"]>): this;
  override once(event: string, listener: Listener): this {
    return super.once(event as never, listener as never);
  }

  override off<E extends keyof AvatarEvents>(event: E, listener: AvatarEvents[E]): this;
  override off(...heard: Parameters<Told["off"]>): this;
  override off(event: string, listener: Listener): this {
    return super.off(event as never, listener as never);
  }

  override emit<E extends keyof AvatarEvents>(event: E, ...values: Parameters<AvatarEvents[E]>): boolean;
  override emit(...told: Parameters<Told["emit"]>): boolean;
  override emit(event: string, ...values: unknown[]): boolean {
    return (super.emit as (event: string, ...values: unknown[]) => boolean)(event, ...values);
  }
}
