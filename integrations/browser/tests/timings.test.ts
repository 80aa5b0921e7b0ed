// The samples have the form that each service documents.

import { describe, expect, it } from "vitest";
import {
  fromAzure,
  fromCartesia,
  fromElevenLabs,
  fromInworld,
  fromKokoro,
  ofWords,
  readDictionary,
  type Timings,
} from "../src/timings/index.js";

const pronounce = readDictionary(`;;; # a comment of the dictionary
hello  HH AH0 L OW1
hello(2)  HH EH0 L OW1
HI  HH AY1
it's  IH1 T S # a comment
text  T EH1 K S T
world  W ER1 L D
`);

const written = ({ phonemes }: Timings): string =>
  phonemes.map(({ symbol, start_ms, end_ms }) => `${symbol} ${start_ms}-${end_ms}`).join(", ");

const HELLO_WORLD = [
  "HH 0-50, AH0 50-150, L 150-200, OW1 200-300",
  "W 400-450, ER1 450-550, L 550-600, D 600-650",
].join(", ");

describe("a dictionary", () => {
  it("knows words, whatever their case and apostrophes, and words of words", () => {
    expect(pronounce("hello")).toEqual(["HH", "AH0", "L", "OW1"]);
    expect(pronounce("hi")).toEqual(["HH", "AY1"]);
    expect(pronounce("it’s")).toEqual(["IH1", "T", "S"]);
    expect(pronounce("text-world")).toHaveLength(9);
    expect(pronounce("text-visavis")).toBeNull();
  });
});

describe("words", () => {
  it("share their time among their phones, vowels longer", () => {
    const words = [
      { word: "Hello,", startMs: 0, endMs: 300 },
      { word: "—", startMs: 300, endMs: 400 },
      { word: "world!", startMs: 400, endMs: 650 },
    ];
    expect(written(ofWords(words, pronounce))).toBe(HELLO_WORLD);
  });
  it("leave the lips to the sound if one is not known, or without a dictionary", () => {
    const words = ["hello", "Visavis"].map((word, i) => ({ word, startMs: i * 300, endMs: i * 300 + 300 }));
    expect(ofWords(words, pronounce).phonemes).toEqual([]);
    expect(ofWords(words.slice(0, 1), undefined).phonemes).toEqual([]);
  });
});

describe("ElevenLabs", () => {
  it("times letters over HTTP", () => {
    const characters = [..."Hello world"];
    const starts = [0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6];
    const ends = [0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65];
    const alignment = { characters, character_start_times_seconds: starts, character_end_times_seconds: ends };
    expect(written(fromElevenLabs(alignment, pronounce))).toBe(HELLO_WORLD);
    expect(fromElevenLabs(alignment)).toEqual({ alphabet: "arpabet", phonemes: [] });
  });
  it("times letters over its WebSocket", () => {
    const alignment = {
      chars: ["H", "i", " ", "h", "i", "."],
      charStartTimesMs: [0, 60, 150, 200, 260, 350],
      charDurationsMs: [60, 90, 50, 60, 90, 50],
    };
    expect(written(fromElevenLabs(alignment, pronounce))).toBe("HH 0-50, AY1 50-150, HH 200-267, AY1 267-400");
  });
});

describe("Azure", () => {
  it("times visemes in ticks of 100 ns, each up to the next", () => {
    const visemes = [
      { audioOffset: 500_000, visemeId: 0 },
      { audioOffset: 1_000_000, visemeId: 12 },
      { audioOffset: 1_625_000, visemeId: 4 },
      { audioOffset: 2_500_000, visemeId: 0 },
    ];
    expect(fromAzure(visemes).alphabet).toBe("sapi");
    expect(written(fromAzure(visemes))).toBe("0 50-100, 12 100-163, 4 163-250");
    expect(written(fromAzure(visemes.slice(1, 3), 300))).toBe("12 100-163, 4 163-300");
  });
});

describe("Inworld", () => {
  it("times phones in IPA, and its silence is none", () => {
    const silence = { phoneSymbol: "[silence]", startTimeSeconds: 0, durationSeconds: 0.24, visemeSymbol: "bmp" };
    const phones = [
      { phoneSymbol: "h", startTimeSeconds: 0.24, durationSeconds: 0.14, visemeSymbol: "cdgknstxyz" },
      { phoneSymbol: "ɛ", startTimeSeconds: 0.38, durationSeconds: 0.04, visemeSymbol: "aei" },
      { phoneSymbol: "l", startTimeSeconds: 0.42, durationSeconds: 0.05, visemeSymbol: "l" },
    ];
    const phoneticDetails = [
      { wordIndex: 0, phones: [silence] },
      { wordIndex: 1, phones },
    ];
    const timings = fromInworld({ wordAlignment: { phoneticDetails } });
    expect(timings.alphabet).toBe("ipa");
    expect(written(timings)).toBe("h 240-380, ɛ 380-420, l 420-470");
    expect(fromInworld({}).phonemes).toEqual([]);
  });
});

describe("Cartesia", () => {
  it("times words", () => {
    const words = { words: ["Hello,", "world!"], start: [0, 0.4], end: [0.3, 0.65] };
    expect(written(fromCartesia(words, pronounce))).toBe(HELLO_WORLD);
  });
  it("times phones, and overlaps of rounding are cut", () => {
    const phones = { phonemes: ["h", "ə", "l"], start: [0, 0.06, 0.108], end: [0.0604, 0.11, 0.18] };
    expect(written(fromCartesia(phones))).toBe("h 0-60, ə 60-110, l 110-180");
  });
});

describe("Kokoro", () => {
  it("gives the phones of each word", () => {
    const tokens = [
      { text: "Hello", phonemes: "həlˈO", start_ts: 0.3, end_ts: 0.6 },
      { text: ",", phonemes: ",", start_ts: 0.6, end_ts: 0.7 },
      { text: "—", phonemes: null, start_ts: null, end_ts: null },
    ];
    expect(written(fromKokoro(tokens))).toBe("h 300-350, ə 350-450, l 450-500, oʊ 500-600");
  });
  it("times words, in the server that many use", () => {
    const words = [
      { word: "Hello", start_time: 0, end_time: 0.3 },
      { word: "world", start_time: 0.4, end_time: 0.65 },
    ];
    expect(written(fromKokoro(words, pronounce))).toBe(HELLO_WORLD);
  });
});
