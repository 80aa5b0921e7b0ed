// What a photo taught: the server's report on it, and, where no face was found, seven points that the visitor places.

import { signal } from "@preact/signals";

export interface Remark {
  code: string;
  kind: "found" | "guessed";
  severity: "info" | "warning";
  message: string;
  suggestion: string | null;
}

export interface Report {
  verdict: "good" | "fair" | "poor";
  eye_distance_px: number;
  remarks: Remark[];
}

/** `grip`: on which side of its point a handle lies, so that neither it nor a finger on it hides the place that is meant. */
export const POINTS = [
  { name: "left_eye", label: "Eye on the left", at: [0.4, 0.4], grip: "above" },
  { name: "right_eye", label: "Eye on the right", at: [0.6, 0.4], grip: "above" },
  { name: "mouth_left", label: "Left corner of the mouth", at: [0.43, 0.6], grip: "left" },
  { name: "mouth_right", label: "Right corner of the mouth", at: [0.57, 0.6], grip: "right" },
  { name: "upper_lip", label: "Middle of the upper lip, its upper edge", at: [0.5, 0.58], grip: "above" },
  { name: "lower_lip", label: "Middle of the lower lip, its lower edge", at: [0.5, 0.63], grip: "below" },
  { name: "chin", label: "Chin", at: [0.5, 0.78], grip: "below" },
] as const;

export type Place = [number, number];
export type Points = Record<string, Place>;

/** The last photo's report, until it is dismissed or another photo is sent. */
export const photoReport = signal<{ name: string; report: Report } | null>(null);

/** A photo in which no face was found: it can be sent again with points. `open` while they are being placed; `points` as they were left. */
export interface Unfound {
  file: File;
  open: boolean;
  points: Points;
  problem: string | null; // why these points were refused
}

export const unfound = signal<Unfound | null>(null);

export function startingPoints(): Points {
  return Object.fromEntries(POINTS.map(({ name, at }) => [name, [at[0], at[1]] as Place]));
}

/** A place within the picture, to a ten-thousandth. */
export function within([x, y]: Place): Place {
  const part = (value: number): number => Math.round(Math.min(1, Math.max(0, value)) * 10_000) / 10_000;
  return [part(x), part(y)];
}

const STEPS: Record<string, Place> = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Where an arrow key moves a point: by a two-hundredth of the picture, by a fortieth with Shift; null for other keys. */
export function stepped(place: Place, key: string, far: boolean): Place | null {
  const step = STEPS[key];
  if (step === undefined) return null;
  const by = far ? 0.025 : 0.005;
  return within([place[0] + step[0] * by, place[1] + step[1] * by]);
}
