// Lets speech through and holds silence back, so that a hands-free microphone makes utterances with a beginning and an end.

const OPENS_ABOVE = 0.012; // RMS of full scale, about -38 dBFS: speech at arm's length, after the browser's noise suppression
const STAYS_ABOVE = 0.006;
const HANG_MS = 700; // pauses within a sentence are shorter
const LEAD_MS = 120; // kept from before the opening: the onset of a word is softer than its vowel

interface Piece {
  pcm: Int16Array;
  durationMs: number;
}

export class VoiceGate {
  private open = false; // true from the first loud piece until HANG_MS of quiet
  private quietMs = 0;
  private lead: Piece[] = [];

  get isOpen(): boolean {
    return this.open;
  }

  /** Take one piece of microphone sound; return the pieces to send now, in order. */
  push(pcm: Int16Array, level: number, durationMs: number): Int16Array[] {
    if (this.open) {
      this.quietMs = level > STAYS_ABOVE ? 0 : this.quietMs + durationMs;
      if (this.quietMs < HANG_MS) return [pcm];
      this.open = false;
    }
    if (level > OPENS_ABOVE) {
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
