import { expect, test } from "vitest";
import { Silence } from "../src/viewer/presence";

test("the server is not asked while packets come", () => {
  const silence = new Silence();
  const asked = [0, 250, 500, 750, 1000].map((nowMs) => silence.check(nowMs / 20 + 1, nowMs));
  expect(asked).toEqual([false, false, false, false, false]);
});

test("the server is asked after half a second of silence, and then twice a second", () => {
  const silence = new Silence();
  silence.check(90, 0);
  silence.check(100, 250);
  const asked = [500, 750, 1000, 1250, 1500, 1750].filter((nowMs) => silence.check(100, nowMs));
  expect(asked).toEqual([750, 1250, 1750]);
  expect(silence.check(110, 2000)).toBe(false);
  expect(silence.check(110, 2250)).toBe(false);
});

test("a connection that has received nothing yet is not asked about", () => {
  const silence = new Silence();
  expect([0, 1000, 5000].some((nowMs) => silence.check(0, nowMs))).toBe(false);
});
