import { expect, it } from "vitest";
import { isFinal, Reconnects } from "../src/channel/reconnects.js";

it("waits longer after each failure, and less after a good connection", () => {
  const reconnects = new Reconnects();
  const waits = Array.from({ length: 8 }, () => {
    const waitMs = reconnects.waitMs(0, 0);
    reconnects.lost(0);
    return waitMs;
  });
  expect(waits).toEqual([0, 250, 500, 1_000, 2_000, 4_000, 8_000, 8_000]);
  reconnects.lost(10_000);
  expect(reconnects.waitMs(0, 0)).toBe(0);
});

it("spreads the waits over a third", () => {
  const reconnects = new Reconnects();
  reconnects.lost(0);
  reconnects.lost(0);
  reconnects.lost(0);
  expect(reconnects.waitMs(0, 0)).toBe(1_000);
  expect(reconnects.waitMs(0, 0.999)).toBeCloseTo(667, 0);
});

it("tries at most eight times a minute, whatever happens", () => {
  const reconnects = new Reconnects();
  let nowMs = 0;
  const tries: number[] = [];
  while (nowMs < 300_000) {
    reconnects.online();
    nowMs += reconnects.waitMs(nowMs, 0);
    reconnects.tries(nowMs);
    tries.push(nowMs);
    nowMs += 1;
  }
  for (const begin of tries) expect(tries.filter((at) => at >= begin && at < begin + 60_000).length).toBeLessThan(9);
  expect(tries.length).toBeGreaterThan(38);
});

it("never returns after a decision of the server", () => {
  expect([1000, 4401, 4404, 4409, 4410].every(isFinal)).toBe(true);
  expect([1001, 1006, 1011, 1012, 1013].some(isFinal)).toBe(false);
});
