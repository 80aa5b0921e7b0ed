// An utterance on its way: what its sender waits for.

/** How an utterance ended. `positionS`: how much of it was played, in seconds of its own sound. */
export interface Played {
  utteranceId: string;
  positionS: number;
  interrupted: boolean;
}

/** One utterance of a channel. Once it is cut, by an interrupt or an error, nobody sends more of it. */
export class Utterance {
  lastNumber = 0; // of its last message, see Conversation
  private cutNow: () => void = () => {};
  private settle: { resolve(played: Played): void; reject(error: Error): void } | null = null;
  private cutAlready = false;
  /** Resolves when it is cut. */
  readonly whenCut = new Promise<void>((resolve) => (this.cutNow = resolve));
  /** Resolves when its last sample was played, or when it was interrupted. Rejects with what ended it otherwise. */
  readonly played = new Promise<Played>((resolve, reject) => (this.settle = { resolve, reject }));

  constructor(readonly id: string) {
    this.played.catch(() => {}); // an utterance that nobody waits for is no unhandled rejection
  }

  get isCut(): boolean {
    return this.cutAlready;
  }

  cut(): void {
    this.cutAlready = true;
    this.cutNow();
  }

  finish(positionS: number, interrupted: boolean): void {
    this.cut();
    this.settle?.resolve({ utteranceId: this.id, positionS, interrupted });
  }

  fail(error: Error): void {
    this.cut();
    this.settle?.reject(error);
  }
}
