// The matte applied px by px, for browsers without WebGL: slower, and the same.

import { MATTE_ALL, MATTE_NONE, type Painter } from "./matte";

export function pixelPainter(canvas: HTMLCanvasElement): Painter | null {
  const shown = canvas.getContext("2d");
  const stacked = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  if (shown === null || stacked === null) return null;
  return {
    paint(video) {
      const { width, height } = canvas;
      if (stacked.canvas.width !== width || stacked.canvas.height !== 2 * height) [stacked.canvas.width, stacked.canvas.height] = [width, 2 * height];
      stacked.drawImage(video, 0, 0, width, 2 * height);
      const colours = stacked.getImageData(0, 0, width, height);
      applyMatte(colours.data, stacked.getImageData(0, height, width, height).data);
      shown.putImageData(colours, 0, 0);
    },
    release() {
      stacked.canvas.width = 0;
    },
  };
}

/** Write the opacity of each px of `matte`, RGBA, into `colours`, RGBA. */
export function applyMatte(colours: Uint8ClampedArray, matte: Uint8ClampedArray): void {
  const scale = 1 / (MATTE_ALL - MATTE_NONE);
  for (let i = 0; i < colours.length; i += 4) colours[i + 3] = ((matte[i + 1] ?? 0) - 255 * MATTE_NONE) * scale;
}
