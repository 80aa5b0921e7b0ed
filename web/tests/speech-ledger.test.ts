import { describe, expect, it } from "vitest";
import { median, SpeechLedger } from "../src/playground/session/speech-ledger";

describe("a named utterance", () => {
  it("is measured from its first sample to its start and to its sound", () => {
    const ledger = new SpeechLedger();
    ledger.sent("sample-1", 1000);
    ledger.sent("sample-1", 1040);
    expect(ledger.isSpeaking).toBe(false);
    expect(ledger.started("sample-1", 1150)).toBe(150);
    expect(ledger.heard(1210)).toBe(210);
    expect(ledger.isSpeaking).toBe(true);
    ledger.finished("sample-1");
    expect(ledger.isSpeaking).toBe(false);
    expect(ledger.isBusy).toBe(false);
  });
  it("has one sound latency", () => {
    const ledger = new SpeechLedger();
    ledger.sent("a", 0);
    expect(ledger.heard(90)).toBe(90);
    expect(ledger.heard(500)).toBeNull();
  });
  it("has no latency if it waited behind another one", () => {
    const ledger = new SpeechLedger();
    ledger.sent("a", 0);
    ledger.sent("b", 10);
    expect(ledger.started("a", 100)).toBe(100);
    ledger.finished("a");
    expect(ledger.started("b", 3000)).toBeNull();
    expect(ledger.heard(3050)).toBeNull();
  });
});

describe("microphone speech", () => {
  it("takes the id that the server gives it", () => {
    const ledger = new SpeechLedger();
    ledger.sent(null, 0);
    ledger.sent(null, 20);
    expect(ledger.started("utt_7", 120)).toBe(120);
    ledger.sent(null, 140); // still the same one
    ledger.finished("utt_7");
    expect(ledger.isBusy).toBe(false);
  });
  it("begins a new utterance after the gap at which the server ends one", () => {
    const ledger = new SpeechLedger();
    ledger.sent(null, 0);
    ledger.started("utt_1", 100);
    ledger.finished("utt_1");
    ledger.sent(null, 400);
    expect(ledger.started("utt_2", 510)).toBe(110);
  });
});

it("leaves the leading quiet out of the sound latency", () => {
  const ledger = new SpeechLedger();
  ledger.sent("file-1", 1000, 1250); // a quarter of a second of quiet leads
  expect(ledger.heard(1100)).toBeNull(); // this cannot be its sound
  expect(ledger.heard(1400)).toBe(150);
  ledger.finished("file-1");
  ledger.sent(null, 5000, null); // the microphone is open, nobody speaks yet
  ledger.sent(null, 5040, 5040);
  ledger.sent(null, 5080, 5080);
  expect(ledger.heard(5200)).toBe(160);
});

it("forgets all speech when it is cleared", () => {
  const ledger = new SpeechLedger();
  ledger.sent("a", 0);
  ledger.started("a", 100);
  ledger.clear();
  expect(ledger.isSpeaking).toBe(false);
  expect(ledger.started("a", 200)).toBeNull();
});

it("computes the median", () => {
  expect(median([])).toBeNull();
  expect(median([5, 1, 9])).toBe(5);
  expect(median([1, 2, 3, 10])).toBe(2.5);
});
