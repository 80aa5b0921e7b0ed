import { expect, test } from "vitest";
import { POINTS, startingPoints, movedByKey, insidePicture } from "../src/playground/state/photo-points";

test("points begin as a face, each within the picture", () => {
  const points = startingPoints();
  expect(Object.keys(points)).toEqual(POINTS.map(({ name }) => name));
  expect(points.left_eye![0]).toBeLessThan(points.right_eye![0]);
  expect(points.upper_lip![1]).toBeLessThan(points.lower_lip![1]);
  expect(points.lower_lip![1]).toBeLessThan(points.chin![1]);
});

test("arrow keys move a point, farther with shift, and never out of the picture", () => {
  expect(movedByKey([0.5, 0.5], "ArrowLeft", false)).toEqual([0.495, 0.5]);
  expect(movedByKey([0.5, 0.5], "ArrowDown", true)).toEqual([0.5, 0.525]);
  expect(movedByKey([0.999, 0], "ArrowRight", true)).toEqual([1, 0]);
  expect(movedByKey([0.5, 0.5], "Tab", false)).toBeNull();
});

test("a place is kept to a ten-thousandth, inside", () => {
  expect(insidePicture([-0.2, 0.123456])).toEqual([0, 0.1235]);
});
