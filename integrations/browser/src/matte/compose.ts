// Makes a transparent picture from an ordinary video. The video has colour in its upper half and the matte in its lower
// half; the canvas has half its height.

import { gpuPainter } from "./gpu-painter.js";
import type { Painter } from "./painter.js";
import { pixelPainter } from "./pixel-painter.js";

const MAX_UNPAINTED_MS = 250;

export interface Composing {
  stop(): void;
}

/**
 * Show in `canvas` what `video` plays, with a transparent background, until `stop`. The canvas gets the video's width
 * and half its height; CSS may place and scale it. Keep the video playing, since it also plays the sound; hide it with
 * `opacity: 0` or behind the canvas. Composed by WebGL, or pixel by pixel without it.
 */
export function composeAlpha(video: HTMLVideoElement, canvas: HTMLCanvasElement): Composing {
  let painter: Painter | null = gpuPainter(canvas) ?? pixelPainter(canvas);
  let stopped = false;
  let callbackId = 0; // of requestVideoFrameCallback or requestAnimationFrame
  let paintedAtMs = 0;
  const byFrame = "requestVideoFrameCallback" in video;

  const paint = (): void => {
    const [width, height] = [video.videoWidth, Math.floor(video.videoHeight / 2)];
    if (width === 0 || height === 0 || painter === null) return;
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    painter.paint(video);
    paintedAtMs = performance.now();
  };
  const next = (): void => {
    if (stopped) return;
    paint();
    callbackId = byFrame ? video.requestVideoFrameCallback(next) : requestAnimationFrame(next);
  };
  next();
  // A browser may hold back the frame callbacks of an invisible video. This timer then paints.
  const timer = setInterval(() => {
    if (!byFrame || video.paused || performance.now() - paintedAtMs < MAX_UNPAINTED_MS) return;
    requestAnimationFrame(() => {
      if (!stopped) paint();
    });
  }, MAX_UNPAINTED_MS);
  const lost = (event: Event): void => event.preventDefault(); // without this the context is not restored
  const restored = (): void => {
    painter = gpuPainter(canvas);
  };
  canvas.addEventListener("webglcontextlost", lost);
  canvas.addEventListener("webglcontextrestored", restored);
  return {
    stop() {
      stopped = true;
      clearInterval(timer);
      if (byFrame) video.cancelVideoFrameCallback(callbackId);
      else cancelAnimationFrame(callbackId);
      canvas.removeEventListener("webglcontextlost", lost);
      canvas.removeEventListener("webglcontextrestored", restored);
      painter?.release();
      painter = null;
    },
  };
}
