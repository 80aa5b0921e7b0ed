import { expect, test } from "vitest";
import { type PictureLook, PictureLoss } from "../src/viewer/picture-loss.js";

const LOOK: Omit<PictureLook, "framesDecoded" | "packetsReceived"> = {
  elapsedS: 1,
  connected: true,
  hidden: false,
  live: true,
};

/** Returns after how many seconds without a new frame the connection is lost; null: never within a minute. */
function lostAfter(look: Partial<PictureLook>, packetsPerS: number): number | null {
  const loss = new PictureLoss();
  loss.check({ ...LOOK, ...look, framesDecoded: 25, packetsReceived: 100 });
  for (let second = 1; second <= 60; second++) {
    const packetsReceived = 100 + packetsPerS * second;
    if (loss.check({ ...LOOK, ...look, framesDecoded: 25, packetsReceived })) return second;
  }
  return null;
}

test("a connection on which nothing comes is lost after five seconds", () => {
  expect(lostAfter({}, 0)).toBe(5);
});

test("one that the browser calls disconnected is lost after three", () => {
  expect(lostAfter({ connected: false }, 0)).toBe(3);
});

test("one whose packets arrive, but make no whole picture, is kept for fifteen", () => {
  expect(lostAfter({}, 40)).toBe(15);
});

test("one that never showed a picture gets ten, whatever arrives", () => {
  expect(lostAfter({ live: false }, 0)).toBe(10);
  expect(lostAfter({ live: false }, 40)).toBe(10);
});

test("a page in the background loses nothing", () => {
  expect(lostAfter({ hidden: true }, 0)).toBeNull();
});

test("a frame now and then is enough", () => {
  const loss = new PictureLoss();
  const lost = Array.from({ length: 60 }, (_, second) =>
    loss.check({ ...LOOK, framesDecoded: 1 + Math.floor(second / 4), packetsReceived: 1 + Math.floor(second / 4) }),
  );
  expect(lost).not.toContain(true);
  expect(loss.moving).toBe(false);
  loss.check({ ...LOOK, framesDecoded: 99, packetsReceived: 99 });
  expect(loss.moving).toBe(true);
});
