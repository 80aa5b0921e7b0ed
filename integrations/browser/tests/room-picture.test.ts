import { describe, expect, it } from "vitest";
import { applyMatte } from "../src/matte/pixel-painter.js";
import { carriesMatte, guessMatte } from "../src/viewer/room-picture.js";

const square = { video_width: 512, video_height: 512 };

describe("a video and the shape that its room reports", () => {
  it("carries a matte if it is twice as high as a transparent picture", () => {
    expect(carriesMatte(512, 1024, { ...square, transparent: true })).toBe(true);
    expect(carriesMatte(512, 512, { ...square, transparent: false })).toBe(false);
  });
  it("carries none in the format 640x1280, which is a format of its own", () => {
    expect(carriesMatte(640, 1280, { video_width: 640, video_height: 1280, transparent: false })).toBe(false);
  });
  it("does not match an earlier or a later shape of the room", () => {
    expect(carriesMatte(512, 512, { ...square, transparent: true })).toBeNull();
    expect(carriesMatte(512, 1024, { ...square, transparent: false })).toBeNull();
    expect(carriesMatte(1280, 720, { ...square, transparent: false })).toBeNull();
  });
});

describe("the guess until the room answers", () => {
  it("notices when a matte comes and goes", () => {
    expect(guessMatte({ width: 512, height: 512, matte: false }, 512, 1024)).toBe(true);
    expect(guessMatte({ width: 512, height: 1024, matte: true }, 512, 512)).toBe(false);
  });
  it("expects no matte in the first picture and after a change of the width", () => {
    expect(guessMatte(null, 512, 1024)).toBe(false);
    expect(guessMatte({ width: 1280, height: 720, matte: false }, 512, 1024)).toBe(false);
  });
});

describe("the matte, applied pixel by pixel", () => {
  it("removes the codec's noise at both ends", () => {
    const colours = new Uint8ClampedArray([10, 20, 30, 255, 10, 20, 30, 255, 10, 20, 30, 255]);
    const grey = (level: number): number[] => [level, level, level, 255];
    applyMatte(colours, new Uint8ClampedArray([...grey(5), ...grey(128), ...grey(250)]));
    expect([colours[3], colours[7], colours[11]]).toEqual([0, 128, 255]);
    expect([...colours.slice(4, 7)]).toEqual([10, 20, 30]);
  });
});
