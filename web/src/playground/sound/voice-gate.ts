// Passes speech and blocks silence, so that a hands-free microphone sends utterances that begin and end.

const OPEN_LEVEL = 0.012; // RMS of full scale, about -38 dBFS: speech at arm's length, after noise suppression
const CLOSE_LEVEL = 0.006;
const CLOSE_AFTER_MS = 700; // a sentence has shorter pauses within itself
const LEAD_MS = 120; // sent from before the opening, because a word begins softly

interface Piece {
  pcm: Int16Array;
  durationMs: number;
}

export class VoiceGate {
  private open = false; // from the first loud piece until CLOSE_AFTER_MS of quiet
  private quietMs = 0;
  private lead: Piece[] = [];

  get isOpen(): boolean {
    return this.open;
  }

  /** Take one piece of microphone sound. Return the pieces to send now, in order. */
  push(pcm: Int16Array, level: number, durationMs: number): Int16Array[] {
    if (this.open) {
      this.quietMs = level > CLOSE_LEVEL ? 0 : this.quietMs + durationMs;
      if (this.quietMs < CLOSE_AFTER_MS) return [pcm];
      this.open = false;
    }
    if (level > OPEN_LEVEL) {
      const sent = [...this.lead.map((piece) => piece.pcm), pcm];
      this.open = true;
      this.quietMs = 0;
      this.lead = [];
      return sent;
    }
    this.lead.push({ pcm, durationMs });
    let keptMs = this.lead.reduce((sum, piece) => sum + piece.durationMs, 0);
    while (keptMs > LEAD_MS) keptMs -= this.lead.shift()?.durationMs ?? keptMs;
    return [];
  }
}
