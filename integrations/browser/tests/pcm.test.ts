import { describe, expect, it } from "vitest";
import { bytesToBase64, splitPcm, floatToPcm16, mixToMono, pcm16Bytes, rms } from "../src/sound/pcm.js";

describe("floats to PCM16", () => {
  it("keeps silence silent and full scale full", () => {
    expect([...floatToPcm16(new Float32Array([0, 1, -1, 0.5]))]).toEqual([0, 32767, -32767, 16384]);
  });
  it("clips values beyond full scale", () => {
    expect([...floatToPcm16(new Float32Array([1.5, -2]))]).toEqual([32767, -32767]);
  });
  it("is sent in little-endian order", () => {
    expect([...pcm16Bytes(new Int16Array([1, -2, 0x1234]))]).toEqual([1, 0, 0xfe, 0xff, 0x34, 0x12]);
  });
  it("survives base64, even longer than one call can take", () => {
    const bytes = Uint8Array.from({ length: 100_001 }, (_, i) => (i * 7) % 256);
    const back = Uint8Array.from(atob(bytesToBase64(bytes)), (letter) => letter.charCodeAt(0));
    expect(back).toEqual(bytes);
  });
});

it("mixes channels to their mean", () => {
  const mono = mixToMono([new Float32Array([1, 0, -1]), new Float32Array([0, 0.5, -1])]);
  expect([...mono]).toEqual([0.5, 0.25, -1]);
});

it("splits into pieces that together are the whole", () => {
  const pcm = Int16Array.from({ length: 25 }, (_, i) => i);
  const pieces = splitPcm(pcm, 10);
  expect(pieces.map((piece) => piece.length)).toEqual([10, 10, 5]);
  expect(pieces.flatMap((piece) => [...piece])).toEqual([...pcm]);
});

it("measures a sine as its amplitude divided by the square root of two", () => {
  const sine = floatToPcm16(
    Float32Array.from({ length: 4800 }, (_, i) => 0.5 * Math.sin((2 * Math.PI * 440 * i) / 48000)),
  );
  expect(rms(sine)).toBeCloseTo(0.5 / Math.SQRT2, 3);
});
