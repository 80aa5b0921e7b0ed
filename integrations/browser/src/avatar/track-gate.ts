// Cuts the sound of a track into utterances: a voice begins one, silence ends it. After an interrupt it drops what the
// voice still says. Pure.

import { rms } from "../sound/pcm.js";
import { VoiceGate, type VoiceGateOptions } from "../sound/voice-gate.js";

/** What is dropped after an interrupt: what comes until the next silence, until `resume`, or nothing. */
export type DropUntil = "silence" | "resume" | "nothing";

/** A voice service sends clean speech: its silence is silent, apart from what its codec leaves (about -60 dBFS). */
export const SERVICE_VOICE: VoiceGateOptions = { openLevel: 0.004, closeLevel: 0.002, closeAfterMs: 400, leadMs: 120 };

export type GateStep = { kind: "begin" } | { kind: "sound"; pcm: Int16Array } | { kind: "end" };

export class TrackGate {
  private readonly gate: VoiceGate;
  private speaking = false; // within an utterance
  private dropping: DropUntil = "nothing";

  constructor(options: VoiceGateOptions = SERVICE_VOICE) {
    this.gate = new VoiceGate(options);
  }

  /** Take the next sound of the track. Return what to do, in order. */
  push(pcm: Int16Array, sampleRateHz: number): GateStep[] {
    const pieces = this.gate.push(pcm, rms(pcm), (pcm.length / sampleRateHz) * 1000);
    if (this.dropping === "silence" && !this.gate.isOpen) this.dropping = "nothing";
    if (this.dropping !== "nothing") return [];
    const steps: GateStep[] = [];
    if (pieces.length > 0 && !this.speaking) {
      this.speaking = true;
      steps.push({ kind: "begin" });
    }
    for (const piece of pieces) steps.push({ kind: "sound", pcm: piece });
    if (!this.gate.isOpen) steps.push(...this.end());
    return steps;
  }

  /** The avatar was interrupted: its utterance is over. */
  interrupt(dropUntil: DropUntil): void {
    this.speaking = false;
    this.dropping = dropUntil === "silence" && !this.gate.isOpen ? "nothing" : dropUntil; // it is silent already
  }

  /** Speak again what the track gives from now on. */
  resume(): void {
    this.dropping = "nothing";
  }

  /** The track gives no more. */
  end(): GateStep[] {
    if (!this.speaking) return [];
    this.speaking = false;
    return [{ kind: "end" }];
  }
}
