// True transparency from an ordinary video: colour above, matte below, composed into a canvas of half the height.

import { gpuPainter } from "./gpu";
import type { Painter } from "./matte";
import { pixelPainter } from "./pixels";

const WATCH_EVERY_MS = 250;

export interface Composing {
  stop(): void;
}

/**
 * Keep `canvas` showing what `video` plays, where nobody stands see-through. The canvas gets the video's width and half its height; place and scale it by
 * CSS. The video goes on playing (and sounding); hide it with `opacity: 0` or behind the canvas. Composed by WebGL, or pixel by pixel where there is none.
 */
export function composeAlpha(video: HTMLVideoElement, canvas: HTMLCanvasElement): Composing {
  let painter: Painter | null = gpuPainter(canvas) ?? pixelPainter(canvas);
  let stopped = false;
  let waiting = 0; // of requestVideoFrameCallback or requestAnimationFrame
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
    waiting = byFrame ? video.requestVideoFrameCallback(next) : requestAnimationFrame(next);
  };
  next();
  // Browsers may hold callbacks of a video back that cannot be seen; then the clock does.
  const watch = setInterval(() => {
    if (byFrame && !video.paused && performance.now() - paintedAtMs >= WATCH_EVERY_MS) requestAnimationFrame(() => !stopped && paint());
  }, WATCH_EVERY_MS);
  const lost = (event: Event): void => event.preventDefault(); // or the context never comes back
  const restored = (): void => void (painter = gpuPainter(canvas));
  canvas.addEventListener("webglcontextlost", lost);
  canvas.addEventListener("webglcontextrestored", restored);
  return {
    stop() {
      stopped = true;
      clearInterval(watch);
      if (byFrame) video.cancelVideoFrameCallback(waiting);
      else cancelAnimationFrame(waiting);
      canvas.removeEventListener("webglcontextlost", lost);
      canvas.removeEventListener("webglcontextrestored", restored);
      painter?.release();
      painter = null;
    },
  };
}
