// Pieces of live sound between the one who makes them and the one who sends them. Bounded: sound that nobody takes for
// too long is refused.

import type { Pcm } from "./speech.js";

export class LivePieces implements AsyncIterable<Pcm> {
  private readonly waiting: Int16Array[] = [];
  private samples = 0;
  private ended = false;
  private wake: () => void = () => {};

  constructor(private readonly mostSamples: number) {}

  /** Take a piece. Return false, and drop it, if too much waits. */
  push(pcm: Int16Array): boolean {
    if (this.ended || this.samples + pcm.length > this.mostSamples) return false;
    this.waiting.push(pcm);
    this.samples += pcm.length;
    this.wake();
    return true;
  }

  end(): void {
    this.ended = true;
    this.wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Pcm, void> {
    for (;;) {
      const pcm = this.waiting.shift();
      if (pcm !== undefined) {
        this.samples -= pcm.length;
        yield pcm;
      } else if (this.ended) {
        return;
      } else {
        await new Promise<void>((resolve) => (this.wake = resolve));
      }
    }
  }
}
