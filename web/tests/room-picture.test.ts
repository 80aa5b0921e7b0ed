import { describe, expect, it } from "vitest";
import { applyMatte } from "../src/matte/pixel-painter";
import { carriesMatte, guessMatte } from "../src/viewer/room-picture";

const square = { video_width: 512, video_height: 512 };

describe("a video and what its room says of it", () => {
  it("carries a matte when it is twice as high as a transparent picture", () => {
    expect(carriesMatte(512, 1024, { ...square, transparent: true })).toBe(true);
    expect(carriesMatte(512, 512, { ...square, transparent: false })).toBe(false);
  });
  it("is not taken for one by its ratio: 640x1280 is a portrait format of its own", () => {
    expect(carriesMatte(640, 1280, { video_width: 640, video_height: 1280, transparent: false })).toBe(false);
  });
  it("does not fit a shape that the room has had before or will have", () => {
    expect(carriesMatte(512, 512, { ...square, transparent: true })).toBeNull();
    expect(carriesMatte(512, 1024, { ...square, transparent: false })).toBeNull();
    expect(carriesMatte(1280, 720, { ...square, transparent: false })).toBeNull();
  });
});

describe("the guess until the room has answered", () => {
  it("sees a matte come and go", () => {
    expect(guessMatte({ width: 512, height: 512, matte: false }, 512, 1024)).toBe(true);
    expect(guessMatte({ width: 512, height: 1024, matte: true }, 512, 512)).toBe(false);
  });
  it("takes a first picture and one of another width as they are", () => {
    expect(guessMatte(null, 512, 1024)).toBe(false);
    expect(guessMatte({ width: 1280, height: 720, matte: false }, 512, 1024)).toBe(false);
  });
});

describe("the matte applied px by px", () => {
  it("leaves the noise of a codec neither a haze nor a hole", () => {
    const colours = new Uint8ClampedArray([10, 20, 30, 255, 10, 20, 30, 255, 10, 20, 30, 255]);
    const grey = (level: number): number[] => [level, level, level, 255];
    applyMatte(colours, new Uint8ClampedArray([...grey(5), ...grey(128), ...grey(250)]));
    expect([colours[3], colours[7], colours[11]]).toEqual([0, 128, 255]);
    expect([...colours.slice(4, 7)]).toEqual([10, 20, 30]);
  });
});
