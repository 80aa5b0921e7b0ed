// Sends changes of the output to a live session, one at a time. Changes that come faster than the server answers are
// merged, so that a slider does not fill the channel.

import type { Output } from "../wire/types";

type Change = Partial<Output>;

export class OutputUpdates {
  private unsent: Change = {};
  private unanswered: Change | null = null; // sent; the server has not answered yet

  /** `send` returns false while the channel cannot send. */
  constructor(private readonly send: (change: Change) => boolean) {}

  change(change: Change): void {
    this.unsent = { ...this.unsent, ...change };
    this.sendNext();
  }

  /** The server has accepted or refused the last change. */
  answered(): void {
    this.unanswered = null;
    this.sendNext();
  }

  /** The channel broke. A change without an answer may be lost, so it is sent again after `connected`. */
  interrupted(): void {
    this.unsent = { ...this.unanswered, ...this.unsent };
    this.unanswered = null;
  }

  connected(): void {
    this.sendNext();
  }

  private sendNext(): void {
    if (this.unanswered !== null || Object.keys(this.unsent).length === 0) return;
    if (!this.send(this.unsent)) return;
    this.unanswered = this.unsent;
    this.unsent = {};
  }
}
