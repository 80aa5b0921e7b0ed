// The choices of the Output tab, and what a create request says of them. Pure.

import type { Background, Emotion, Output, PictureSize } from "../wire/types";

export const EMOTIONS: readonly Emotion[] = ["neutral", "happy", "sad", "surprised", "serious"];

export const BACKGROUNDS: readonly Background["type"][] = ["photo", "blur", "color", "image", "transparent"];

export const DEFAULT_COLOR = "#c9d6df";
export const COLORS: readonly string[] = ["#f4f1ea", DEFAULT_COLOR, "#7fa08c", "#345c7d", "#2b2a33"];

export interface Format extends PictureSize {
  name: string; // the aspect ratio
}

export const DEFAULT_FORMAT: Format = { name: "4:3", width: 960, height: 720 };

/** The aspect ratios that the channel takes, each in one size. */
export const FORMATS: readonly Format[] = [
  { name: "18:9", width: 1280, height: 640 },
  { name: "16:9", width: 1280, height: 720 },
  { name: "5:3", width: 1200, height: 720 },
  { name: "16:10", width: 1152, height: 720 },
  { name: "3:2", width: 1080, height: 720 },
  DEFAULT_FORMAT,
  { name: "1:1", width: 720, height: 720 },
  { name: "3:4", width: 720, height: 960 },
  { name: "2:3", width: 720, height: 1080 },
  { name: "10:16", width: 720, height: 1152 },
  { name: "3:5", width: 720, height: 1200 },
  { name: "9:16", width: 720, height: 1280 },
  { name: "9:18", width: 640, height: 1280 },
];

export const DEFAULT_OUTPUT: Output = {
  background: { type: "photo" },
  framing: { zoom: 1 },
  emotion: { name: "neutral", weight: 1 },
};

/** The parts of an output that differ from the default; undefined if none does. */
export function changedOutput(output: Output): Partial<Output> | undefined {
  const changed: Partial<Output> = {};
  if (output.background.type !== "photo") changed.background = output.background;
  if (output.framing.zoom !== 1) changed.framing = output.framing;
  if (output.emotion.name !== "neutral") changed.emotion = output.emotion;
  return Object.keys(changed).length > 0 ? changed : undefined;
}
