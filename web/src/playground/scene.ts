// How the session looks: chosen on the page, given to a session at its creation and changed live. Changes that come faster than answers are gathered.

import { signal } from "@preact/signals";
import { current, phase, say } from "./state";

export type Emotion = "neutral" | "happy" | "sad" | "surprised" | "serious";
export const EMOTIONS: readonly Emotion[] = ["neutral", "happy", "sad", "surprised", "serious"];

export type Background =
  | { type: "photo" }
  | { type: "blur"; strength: number }
  | { type: "color"; color: string }
  | { type: "image"; image: string }
  | { type: "transparent" }
  | { type: "chroma"; color: string };

export interface Output {
  background: Background;
  framing: { zoom: number };
  emotion: { name: Emotion; weight: number };
}

export interface Format {
  name: string;
  width: number;
  height: number;
}

/** The ratios that the channel takes, at sizes that a playground needs. */
export const FORMATS: readonly Format[] = [
  { name: "18:9", width: 1280, height: 640 },
  { name: "16:9", width: 1280, height: 720 },
  { name: "5:3", width: 1200, height: 720 },
  { name: "16:10", width: 1152, height: 720 },
  { name: "3:2", width: 1080, height: 720 },
  { name: "4:3", width: 960, height: 720 },
  { name: "1:1", width: 720, height: 720 },
  { name: "3:4", width: 720, height: 960 },
  { name: "2:3", width: 720, height: 1080 },
  { name: "10:16", width: 720, height: 1152 },
  { name: "3:5", width: 720, height: 1200 },
  { name: "9:16", width: 720, height: 1280 },
  { name: "9:18", width: 640, height: 1280 },
];
export const USUAL_FORMAT: Format = FORMATS.find(({ name }) => name === "4:3")!;
export const AS_EVER: Output = { background: { type: "photo" }, framing: { zoom: 1 }, emotion: { name: "neutral", weight: 1 } };

export const output = signal<Output>(AS_EVER);
export const format = signal<Format>(USUAL_FORMAT);
export const attitude = signal(""); // as the server last told: idle, listening, thinking or speaking

/** What a create request says of it; undefined where everything is as ever. */
export function wantedOutput(wanted: Output = output.value): Partial<Output> | undefined {
  const said: Partial<Output> = {};
  if (wanted.background.type !== "photo") said.background = wanted.background;
  if (wanted.framing.zoom !== 1) said.framing = wanted.framing;
  if (wanted.emotion.name !== "neutral") said.emotion = wanted.emotion;
  return Object.keys(said).length > 0 ? said : undefined;
}

let unsaid: Partial<Output> = {}; // chosen while an update is under way
let underWay = false;

/** Look otherwise, now if a session is live, and in every one that follows. */
export function look(change: Partial<Output>): void {
  output.value = { ...output.value, ...change };
  if (phase.value !== "live") return;
  unsaid = { ...unsaid, ...change };
  if (!underWay) sayUpdate();
}

function sayUpdate(): void {
  if (Object.keys(unsaid).length === 0) return;
  underWay = current.run?.channel?.update(unsaid) ?? false;
  unsaid = {};
}

/** The server has followed an update, or has refused it. */
export function updateAnswered(): void {
  underWay = false;
  sayUpdate();
}

/** A session has begun or ended: nothing is under way any more. */
export function forgetUpdates(): void {
  unsaid = {};
  underWay = false;
  attitude.value = "";
}

export function reshape(wanted: Format): void {
  format.value = wanted;
  if (phase.value === "live") current.run?.channel?.reshape();
}

export function attend(state: "listening" | "thinking"): void {
  current.run?.channel?.attend(state);
}

const LONGEST_SIDE_PX = 1920;

/** Take a picture for the background: made small enough to travel at once, turned upright, and nothing of it kept but its pixels. */
export async function takePicture(file: File): Promise<void> {
  try {
    const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
    const scale = Math.min(1, LONGEST_SIDE_PX / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    canvas.getContext("2d")?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    look({ background: { type: "image", image: canvas.toDataURL("image/jpeg", 0.88) } });
  } catch {
    say("This browser cannot read that picture.", true);
  }
}
