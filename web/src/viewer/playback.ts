// Plays a video element in browsers that block sound until the visitor makes a gesture: a click, a tap or a key press.

/** Play with sound if the browser allows it, else muted. Return whether there is sound. */
export async function playWithSound(video: HTMLVideoElement): Promise<boolean> {
  video.muted = false;
  try {
    await video.play();
    return true;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") return !video.muted; // a newer stream plays
    video.muted = true;
    await video.play().catch(() => {});
    return false;
  }
}

/** Call `shown` once, when the element shows its next frame. */
export function onNextFrame(video: HTMLVideoElement, shown: () => void): void {
  if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(() => shown());
  else (video as HTMLVideoElement).addEventListener("timeupdate", () => shown(), { once: true });
}
