import { expect, test } from "vitest";
import { Silence } from "../src/viewer/presence.js";

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

test("another path is looked for after a second of silence, and then every three seconds", () => {
  const silence = new Silence();
  silence.check(100, 0);
  const answers = Array.from({ length: 14 }, () => silence.answered());
  expect(answers.flatMap((stalled, index) => (stalled ? [index + 1] : []))).toEqual([2, 8, 14]);
  silence.check(110, 8000); // packets come again
  expect([silence.answered(), silence.answered()]).toEqual([false, true]);
});
