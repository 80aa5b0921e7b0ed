// Starting a video element where browsers forbid sound before a gesture.

/** Play with sound if the browser allows it, muted otherwise. Returns whether there is sound. */
export async function playWithSound(video: HTMLVideoElement): Promise<boolean> {
  video.muted = false;
  try {
    await video.play();
    return true;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") return !video.muted; // a newer stream took over
    video.muted = true;
    await video.play().catch(() => {});
    return false;
  }
}

/** Call `shown` once, when the element's next frame is on the screen. */
export function onNextFrame(video: HTMLVideoElement, shown: () => void): void {
  if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(() => shown());
  else (video as HTMLVideoElement).addEventListener("timeupdate", () => shown(), { once: true });
}
