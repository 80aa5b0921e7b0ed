// Applies the matte pixel by pixel, for browsers without WebGL. Slower than WebGL, with the same result.

import { MATTE_ALL, MATTE_NONE, type Painter } from "./painter.js";

/** Return null if the browser has no 2D canvas. */
export function pixelPainter(canvas: HTMLCanvasElement): Painter | null {
  const shown = canvas.getContext("2d");
  const frame = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  if (shown === null || frame === null) return null;
  return {
    paint(video) {
      const { width, height } = canvas;
      if (frame.canvas.width !== width || frame.canvas.height !== 2 * height) {
        [frame.canvas.width, frame.canvas.height] = [width, 2 * height];
      }
      frame.drawImage(video, 0, 0, width, 2 * height);
      const colours = frame.getImageData(0, 0, width, height);
      applyMatte(colours.data, frame.getImageData(0, height, width, height).data);
      shown.putImageData(colours, 0, 0);
    },
    release() {
      frame.canvas.width = 0;
    },
  };
}

/** Write the opacity of each pixel of `matte` (RGBA) into `colours` (RGBA). */
export function applyMatte(colours: Uint8ClampedArray, matte: Uint8ClampedArray): void {
  const scale = 1 / (MATTE_ALL - MATTE_NONE);
  for (let i = 0; i < colours.length; i += 4) colours[i + 3] = ((matte[i + 1] ?? 0) - 255 * MATTE_NONE) * scale;
}
