// The seven points that the visitor places on a photo in which the server found no face. Pure.

import type { Point, Points } from "../wire/types";

/** `grip`: the side of the point on which its handle lies, so that neither the handle nor a finger covers the point. */
export const POINTS = [
  { name: "left_eye", start: [0.4, 0.4], grip: "above" },
  { name: "right_eye", start: [0.6, 0.4], grip: "above" },
  { name: "mouth_left", start: [0.43, 0.6], grip: "left" },
  { name: "mouth_right", start: [0.57, 0.6], grip: "right" },
  { name: "upper_lip", start: [0.5, 0.58], grip: "above" },
  { name: "lower_lip", start: [0.5, 0.63], grip: "below" },
  { name: "chin", start: [0.5, 0.78], grip: "below" },
] as const;

// Fractions of the picture.
const STEP = 0.005;
const LONG_STEP = 0.025;
const PRECISION = 10_000;

export function startingPoints(): Points {
  return Object.fromEntries(POINTS.map(({ name, start }): [string, Point] => [name, [...start]]));
}

/** Move a point into the picture, and round it to a ten-thousandth. */
export function insidePicture([x, y]: Point): Point {
  const clamped = (value: number): number => Math.round(Math.min(1, Math.max(0, value)) * PRECISION) / PRECISION;
  return [clamped(x), clamped(y)];
}

const DIRECTIONS: Record<string, Point> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** Move a point by an arrow key, further with Shift; null for other keys. */
export function movedByKey([x, y]: Point, key: string, shift: boolean): Point | null {
  const direction = DIRECTIONS[key];
  if (direction === undefined) return null;
  const step = shift ? LONG_STEP : STEP;
  return insidePicture([x + direction[0] * step, y + direction[1] * step]);
}
