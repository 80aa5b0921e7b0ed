// The agent's calls to its avatar: RPCs in the room.

import { log } from "@livekit/agents";
import { type Room, RpcError } from "@livekit/rtc-node";

import { AvatarRefused } from "./errors.js";
import type { Json } from "./service/transport.js";

const ANSWER_WITHIN_MS = 15_000; // more than the 7 s that LiveKit allows for the way
export const PAUSE_TRIES = 3; // one that nobody answers may have stopped the avatar, or not

/** Calls methods of the participant `identity`. Calls arrive in the order in which they were made; pauses have an order
 * of their own, since they must not wait for what the server is asked.
 */
export class AvatarCalls {
  private turn: Promise<unknown> = Promise.resolve(); // the last call that was made: the next one waits for it
  private pauseWanted = false;
  private isPaused: boolean | undefined = false; // as the avatar has confirmed, undefined if that is not known
  private pausing = false; // something brings the avatar to the pause that is wanted
  private isClosed = false;

  constructor(
    private readonly room: Room,
    private readonly identity: string,
  ) {}

  /** Return the answer. Throws `AvatarRefused`. */
  call(method: string, members?: Json): Promise<string> {
    const answer = this.turn.then(() => this.perform(method, members === undefined ? "" : JSON.stringify(members)));
    this.turn = answer.catch(() => undefined);
    return answer;
  }

  /** Call in the background. A refusal is logged. */
  send(method: string, members?: Json): void {
    this.call(method, members).catch((error: unknown) => this.note(method, error));
  }

  /**
   * Have the avatar stop in the middle of its speech, or go on, in the background. What is wanted last
   * holds. Nothing is
   * sent if the avatar does so already.
   */
  pause(on: boolean): void {
    this.pauseWanted = on;
    if (!this.pausing && this.isPaused !== on) {
      this.pausing = true;
      void this.followPause().finally(() => (this.pausing = false));
    }
  }

  /** Make no further calls. */
  close(): void {
    this.isClosed = true;
  }

  private async followPause(): Promise<void> {
    for (let tries = 0; this.isPaused !== this.pauseWanted && tries < PAUSE_TRIES; ) {
      const on = this.pauseWanted;
      this.isPaused = undefined;
      tries += 1;
      const method = on ? "visavis.pause" : "visavis.resume";
      try {
        await this.perform(method, "");
        [this.isPaused, tries] = [on, 0];
      } catch (error) {
        this.note(method, error);
      }
    }
  }

  private async perform(method: string, payload: string): Promise<string> {
    const participant = this.room.localParticipant;
    if (this.isClosed || participant === undefined) throw new AvatarRefused("The avatar's room was left");
    const destinationIdentity = this.identity;
    try {
      return await participant.performRpc({ destinationIdentity, method, payload, responseTimeout: ANSWER_WITHIN_MS });
    } catch (error) {
      if (error instanceof RpcError) throw new AvatarRefused(error.message, error.data ?? "");
      throw error;
    }
  }

  private note(method: string, error: unknown): void {
    if (this.isClosed) return;
    if (error instanceof AvatarRefused) log().warn(`the avatar has not taken ${method}: ${error.message}`);
    else log().debug({ error, method }, "a call to the avatar has failed"); // the room was left meanwhile
  }
}
