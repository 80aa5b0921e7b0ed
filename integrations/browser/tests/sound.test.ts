import { describe, expect, it } from "vitest";
import { type GateStep, TrackGate } from "../src/avatar/track-gate.js";
import { LivePieces } from "../src/channel/pieces.js";
import { HalfRate } from "../src/sound/half-rate.js";

const RATE_HZ = 24_000;
const PIECE_MS = 40;
const silence = new Int16Array((RATE_HZ * PIECE_MS) / 1000);
const voice = silence.map((_, i) => Math.round(6_000 * Math.sin(i / 3)));
const soft = silence.map((_, i) => Math.round(140 * Math.sin(i / 3))); // between both levels

/** Push pieces and write what follows: `b` begin, `.` sound, `e` end. */
function written(gate: TrackGate, ...pieces: [Int16Array, number][]): string {
  const letters: Record<GateStep["kind"], string> = { begin: "b", sound: ".", end: "e" };
  return pieces
    .flatMap(([pcm, durationMs]) => Array.from({ length: durationMs / PIECE_MS }, () => gate.push(pcm, RATE_HZ)))
    .flat()
    .map(({ kind }) => letters[kind])
    .join("");
}

describe("a track", () => {
  it("is silent while nobody speaks", () => {
    expect(written(new TrackGate(), [silence, 4_000], [soft, 400])).toBe("");
  });
  it("gives one utterance for each sentence, from just before its beginning", () => {
    const gate = new TrackGate();
    const sentence = `b${".".repeat(3 + 25 + 9)}e`; // 120 ms before, a second, 360 ms of the silence after
    expect(written(gate, [silence, 1_000], [voice, 1_000], [silence, 1_000])).toBe(sentence);
    expect(written(gate, [voice, 1_000], [silence, 1_000])).toBe(sentence);
  });
  it("is not cut by short pauses, nor by a voice that becomes soft", () => {
    const gate = new TrackGate();
    const text = written(gate, [voice, 400], [silence, 360], [voice, 400], [soft, 2_000], [voice, 400]);
    expect(text).toBe(`b${".".repeat(10 + 9 + 10 + 50 + 10)}`);
  });
  it("ends its utterance when it ends", () => {
    const gate = new TrackGate();
    expect(written(gate, [voice, 200])).toBe("b.....");
    expect(gate.end()).toEqual([{ kind: "end" }]);
    expect(gate.end()).toEqual([]);
  });
});

describe("a track after an interrupt", () => {
  it("is dropped until its next silence", () => {
    const gate = new TrackGate();
    written(gate, [voice, 400]);
    gate.interrupt("silence");
    expect(written(gate, [voice, 2_000], [silence, 360], [voice, 400], [silence, 600])).toBe("");
    expect(written(gate, [voice, 80])).toBe("b.....");
  });
  it("is heard at once if it was silent", () => {
    const gate = new TrackGate();
    written(gate, [voice, 400], [silence, 600]);
    gate.interrupt("silence");
    expect(written(gate, [voice, 80])).toBe("b.....");
  });
  it("is dropped until resume, over any silence", () => {
    const gate = new TrackGate();
    written(gate, [voice, 400]);
    gate.interrupt("resume");
    expect(written(gate, [voice, 400], [silence, 2_000], [voice, 400])).toBe("");
    gate.resume();
    expect(written(gate, [voice, 80])).toBe("b..");
  });
  it("goes on in a new utterance if nothing is to be dropped", () => {
    const gate = new TrackGate();
    written(gate, [voice, 400]);
    gate.interrupt("nothing");
    expect(written(gate, [voice, 80])).toBe("b..");
  });
});

describe("half the rate", () => {
  const levelOf = (frequencyHz: number): number => {
    const half = new HalfRate();
    const tone = Float32Array.from({ length: 48_000 }, (_, i) => Math.sin((2 * Math.PI * frequencyHz * i) / 48_000));
    const halved: number[] = [];
    for (let begin = 0; begin < tone.length; begin += 1_920) {
      halved.push(...half.push(tone.subarray(begin, begin + 1_920)));
    }
    expect(halved).toHaveLength(24_000);
    const steady = halved.slice(1_000);
    return 20 * Math.log10(Math.sqrt((2 * steady.reduce((sum, x) => sum + x * x, 0)) / steady.length));
  };
  it("keeps what a voice has", () => {
    for (const frequencyHz of [100, 1_000, 4_000, 8_000]) expect(levelOf(frequencyHz)).toBeCloseTo(0, 1);
  });
  it("lets nothing fold back into it", () => {
    for (const frequencyHz of [14_000, 16_000, 20_000]) expect(levelOf(frequencyHz)).toBeLessThan(-55);
  });
  it("joins its pieces without a click", () => {
    const half = new HalfRate();
    const ramp = Float32Array.from({ length: 4_800 }, (_, i) => i / 4_800);
    const whole = new HalfRate().push(ramp);
    const parts = [...half.push(ramp.subarray(0, 1_920)), ...half.push(ramp.subarray(1_920))];
    expect(parts).toEqual([...whole]);
  });
});

describe("live pieces", () => {
  it("come in order, as they are made", async () => {
    const pieces = new LivePieces(100);
    const taken = (async () => {
      const all: number[] = [];
      for await (const pcm of pieces) all.push((pcm as Int16Array)[0] ?? -1);
      return all;
    })();
    pieces.push(new Int16Array([1]));
    await Promise.resolve();
    pieces.push(new Int16Array([2]));
    pieces.push(new Int16Array([3]));
    pieces.end();
    expect(await taken).toEqual([1, 2, 3]);
  });
  it("are refused when too much waits", () => {
    const pieces = new LivePieces(100);
    expect(pieces.push(new Int16Array(60))).toBe(true);
    expect(pieces.push(new Int16Array(60))).toBe(false);
    expect(pieces.push(new Int16Array(40))).toBe(true);
  });
});
