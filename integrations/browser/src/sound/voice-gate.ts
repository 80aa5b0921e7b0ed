// Passes speech and blocks silence, so that a microphone or a track sends utterances that begin and end. Pure.

export interface VoiceGateOptions {
  openLevel: number; // RMS of full scale
  closeLevel: number; // below openLevel: a voice that becomes soft does not flutter
  closeAfterMs: number; // of sound below closeLevel
  leadMs: number; // sent from before the opening, because a word begins softly
}

/** For a microphone: about -38 dBFS, which is speech at arm's length after noise suppression. */
const MICROPHONE: VoiceGateOptions = { openLevel: 0.012, closeLevel: 0.006, closeAfterMs: 700, leadMs: 120 };

interface Piece {
  pcm: Int16Array;
  durationMs: number;
}

export class VoiceGate {
  private open = false; // from the first loud piece until closeAfterMs of quiet
  private quietMs = 0;
  private lead: Piece[] = [];

  constructor(private readonly options: VoiceGateOptions = MICROPHONE) {}

  get isOpen(): boolean {
    return this.open;
  }

  /** Take one piece of sound. Return the pieces to send now, in order. */
  push(pcm: Int16Array, level: number, durationMs: number): Int16Array[] {
    if (this.open) {
      this.quietMs = level > this.options.closeLevel ? 0 : this.quietMs + durationMs;
      if (this.quietMs < this.options.closeAfterMs) return [pcm];
      this.open = false;
    }
    if (level > this.options.openLevel) {
      const sent = [...this.lead.map((piece) => piece.pcm), pcm];
      this.open = true;
      this.quietMs = 0;
      this.lead = [];
      return sent;
    }
    this.lead.push({ pcm, durationMs });
    let keptMs = this.lead.reduce((sum, piece) => sum + piece.durationMs, 0);
    while (keptMs > this.options.leadMs) keptMs -= this.lead.shift()?.durationMs ?? keptMs;
    return [];
  }
}
