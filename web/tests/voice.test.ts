import { describe, expect, it } from "vitest";
import { leadingQuietS, SoundOnset } from "../src/playground/sound/sound-onset";
import { VoiceGate } from "@client/sound/voice-gate.js";

const piece = (name: number): Int16Array => new Int16Array([name]);
const QUIET = 0.001;
const LOUD = 0.1;

describe("the gate of a hands-free microphone", () => {
  it("sends nothing in silence", () => {
    const gate = new VoiceGate();
    for (let i = 0; i < 100; i++) expect(gate.push(piece(i), QUIET, 20)).toEqual([]);
  });
  it("opens with the sound just before the voice, in order", () => {
    const gate = new VoiceGate();
    for (let i = 0; i < 30; i++) gate.push(piece(i), QUIET, 20);
    const sent = gate.push(piece(30), LOUD, 20).map((pcm) => pcm[0]);
    expect(sent).toEqual([24, 25, 26, 27, 28, 29, 30]);
  });
  it("passes the pauses within a sentence, and closes after it", () => {
    const gate = new VoiceGate();
    gate.push(piece(0), LOUD, 20);
    for (let i = 0; i < 20; i++) expect(gate.push(piece(i), QUIET, 20)).toHaveLength(1);
    gate.push(piece(0), LOUD, 20);
    let sent = 0;
    for (let i = 0; i < 100; i++) sent += gate.push(piece(i), QUIET, 20).length;
    expect(sent).toBe(34);
    expect(gate.isOpen).toBe(false);
  });
});

describe("the beginning of sound", () => {
  it("is found once, after quiet", () => {
    const onset = new SoundOnset();
    const begun = Array.from({ length: 100 }, (_, i) => onset.push(i < 40 ? 0 : 0.05, i * 10));
    expect(begun.flatMap((yes, i) => (yes ? [i] : []))).toEqual([40]);
  });
  it("is found in a recording as the duration of its leading quiet", () => {
    const pcm = new Int16Array(24_000).fill(8000, 6000);
    expect(leadingQuietS(pcm, 24_000)).toBeCloseTo(0.25, 3);
    expect(leadingQuietS(new Int16Array(24_000), 24_000)).toBe(1);
  });
  it("is not found again in the gaps of speech", () => {
    const onset = new SoundOnset();
    for (let i = 0; i < 30; i++) onset.push(0, i * 10);
    onset.push(0.05, 300);
    for (let i = 31; i < 40; i++) onset.push(0, i * 10);
    expect(onset.push(0.05, 400)).toBe(false);
  });
});
