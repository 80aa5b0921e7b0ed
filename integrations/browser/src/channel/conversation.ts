// The numbered messages of a channel (its feature `resume`). Pure: no socket and no clock.
//
// Both sides number their messages from 1. Each keeps its own until the other one has acknowledged them, and sends the
// rest again on the next connection.

import type { ServerMessage } from "./messages.js";

export class Conversation {
  private kept: string[] = []; // what the server has not acknowledged
  private characters = 0; // of these
  private acknowledged = 0; // the number of the last message that the server has taken
  private sent = 0; // the number of the last message that was put on the present connection
  private answered = 0; // the number of the last message that we have acknowledged
  private arrivedUpTo = 0;

  /** The number of the last message of the server. */
  get received(): number {
    return this.arrivedUpTo;
  }

  get keptCharacters(): number {
    return this.characters;
  }

  /** Take a message to be sent. Return its number. */
  push(text: string): number {
    this.kept.push(text);
    this.characters += text.length;
    return this.acknowledged + this.kept.length;
  }

  /** Return the next message for the present connection, null if all are on their way. */
  nextUnsent(): string | null {
    const text = this.kept[this.sent - this.acknowledged];
    if (text === undefined) return null;
    this.sent += 1;
    return text;
  }

  /** Take the numbers of a message of the server. Return false if it has arrived before. */
  arrived({ ack, seq }: ServerMessage): boolean {
    if (typeof ack === "number") this.taken(ack);
    if (typeof seq !== "number") return true;
    if (seq <= this.arrivedUpTo) return false;
    this.arrivedUpTo = seq;
    return true;
  }

  isTaken(number: number): boolean {
    return number <= this.acknowledged;
  }

  /** Return the number to acknowledge now, null if the server knows it. */
  dueAcknowledgement(): number | null {
    if (this.arrivedUpTo === this.answered) return null;
    this.answered = this.arrivedUpTo;
    return this.arrivedUpTo;
  }

  /** The conversation goes on over a new connection: the server has our messages up to `received`. */
  resume(received: number): void {
    this.taken(received);
    this.sent = this.acknowledged;
    this.answered = 0;
  }

  /** The server remembers nothing: both sides count from 1 again, and what was kept is dropped. */
  beginAnew(): void {
    this.kept = [];
    this.characters = this.acknowledged = this.sent = this.answered = this.arrivedUpTo = 0;
  }

  private taken(number: number): void {
    const count = Math.min(number - this.acknowledged, this.kept.length);
    if (count > 0) {
      for (const text of this.kept.splice(0, count)) this.characters -= text.length;
      this.acknowledged += count;
    }
    this.sent = Math.max(this.sent, this.acknowledged);
  }
}
