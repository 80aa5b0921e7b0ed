import { describe, expect, it } from "vitest";
import { JitterTarget, type NetworkLook } from "../src/viewer/jitter-target.js";

const CLEAN: NetworkLook = { elapsedS: 0.5, nacks: 0, frozenS: 0, jitterS: 0.004, roundTripS: 0.02 };

/** The targets of so many looks that see the same. */
function targets(target: JitterTarget, look: Partial<NetworkLook>, looks: number): number[] {
  return Array.from({ length: looks }, () => target.next({ ...CLEAN, ...look }));
}

describe("the jitter buffer", () => {
  it("keeps nothing on a clean network, and for a single loss", () => {
    const target = new JitterTarget();
    expect(new Set(targets(target, {}, 20))).toEqual(new Set([0]));
    expect(target.next({ ...CLEAN, nacks: 1 })).toBe(0);
  });
  it("waits for packets that are sent again", () => {
    expect(targets(new JitterTarget(), { nacks: 2, roundTripS: 0.1 }, 1)).toEqual([120]);
  });
  it("waits for packets that come late, 400 ms at most", () => {
    expect(targets(new JitterTarget(), { jitterS: 0.05 }, 1)).toEqual([200]);
    expect(targets(new JitterTarget(), { jitterS: 0.07, nacks: 5, roundTripS: 0.2 }, 1)).toEqual([400]);
  });
  it("grows while lost packets freeze the picture", () => {
    expect(targets(new JitterTarget(), { nacks: 2, frozenS: 0.3 }, 5)).toEqual([100, 200, 300, 400, 400]);
  });
  it("does not take a picture that the server holds for a bad network", () => {
    expect(targets(new JitterTarget(), { frozenS: 0.5 }, 3)).toEqual([0, 0, 0]);
  });
  it("calls a network weak while the picture stands still in spite of it", () => {
    const target = new JitterTarget();
    targets(target, { nacks: 2, frozenS: 0.3 }, 3);
    expect(target.weak).toBe(false);
    targets(target, { nacks: 2, frozenS: 0.3 }, 3);
    expect(target.weak).toBe(true);
    targets(target, {}, 4);
    expect(target.weak).toBe(true);
    targets(target, {}, 20);
    expect(target.weak).toBe(false);
  });
  it("falls slowly when the network has been calm for 10 s", () => {
    const target = new JitterTarget();
    targets(target, { jitterS: 0.1 }, 1);
    expect(targets(target, {}, 20).every((ms) => ms === 400)).toBe(true);
    const falling = targets(target, {}, 41);
    expect(falling[1]).toBe(380);
    expect(falling[39]).toBe(0);
  });
});
