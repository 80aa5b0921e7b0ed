import { expect, test } from "vitest";
import { POINTS, startingPoints, movedByKey, insidePicture } from "../src/playground/state/photo-points";

test("the points start in the shape of a face", () => {
  const points = startingPoints();
  expect(Object.keys(points)).toEqual(POINTS.map(({ name }) => name));
  expect(points.left_eye![0]).toBeLessThan(points.right_eye![0]);
  expect(points.upper_lip![1]).toBeLessThan(points.lower_lip![1]);
  expect(points.lower_lip![1]).toBeLessThan(points.chin![1]);
});

test("arrow keys move a point, further with Shift, and never out of the picture", () => {
  expect(movedByKey([0.5, 0.5], "ArrowLeft", false)).toEqual([0.495, 0.5]);
  expect(movedByKey([0.5, 0.5], "ArrowDown", true)).toEqual([0.5, 0.525]);
  expect(movedByKey([0.999, 0], "ArrowRight", true)).toEqual([1, 0]);
  expect(movedByKey([0.5, 0.5], "Tab", false)).toBeNull();
});

test("a point is moved into the picture and rounded to a ten-thousandth", () => {
  expect(insidePicture([-0.2, 0.123456])).toEqual([0, 0.1235]);
});
