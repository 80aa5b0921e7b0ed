// Changes how the session looks: the live session at once, and every session that follows.

import { format, output, run } from "../state/signals";
import type { Format } from "../state/output";
import type { Output, SettableState } from "../wire/types";
import { texts } from "../../operator/texts";
import { notify } from "./notice";

const MAX_IMAGE_SIDE_PX = 1920;
const JPEG_QUALITY = 0.88;

export function changeOutput(change: Partial<Output>): void {
  output.value = { ...output.value, ...change };
  run.value?.changeOutput(change);
}

export function changeFormat(chosen: Format): void {
  format.value = chosen;
  run.value?.changeSize(chosen);
}

export function setAgentState(state: SettableState): void {
  run.value?.setState(state);
}

/** Use a picture file as the background. The picture is made smaller for quick sending; its metadata is removed. */
export async function setBackgroundImage(file: File): Promise<void> {
  try {
    const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
    const scale = Math.min(1, MAX_IMAGE_SIDE_PX / Math.max(bitmap.width, bitmap.height));
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(1, Math.round(bitmap.width * scale));
    canvas.height = Math.max(1, Math.round(bitmap.height * scale));
    canvas.getContext("2d")?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    changeOutput({ background: { type: "image", image: canvas.toDataURL("image/jpeg", JPEG_QUALITY) } });
  } catch {
    notify(texts.value.playground.output.unreadableImage, true);
  }
}
