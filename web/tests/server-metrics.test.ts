import { describe, expect, it } from "vitest";
import { readLatencyMs, readSecond } from "../src/playground/session/server-metrics";

describe("the figures of a second", () => {
  const message = { type: "session.metrics", frame_rate: 24.8, wanted_frame_rate: 25, queued_s: 1.5 };
  it("are read while somebody watches", () => {
    expect(readSecond({ ...message, viewers: 1 })).toEqual({ frameRate: 24.8, wantedFrameRate: 25, queuedS: 1.5 });
  });
  it("are left out while nobody does", () => {
    expect(readSecond({ ...message, viewers: 0 })).toBeNull();
  });
});

describe("the latency of an utterance", () => {
  it("does not contain the wait behind other utterances", () => {
    expect(readLatencyMs({ type: "utterance.metrics", frame_ms: 1060.5, turn_ms: 1000 })).toBe(60.5);
  });
  it("is missing without a frame", () => {
    expect(readLatencyMs({ type: "utterance.metrics", frame_ms: null, turn_ms: 0 })).toBeNull();
    expect(readLatencyMs({ type: "utterance.metrics", frame_ms: null, turn_ms: null })).toBeNull();
  });
});
