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

/** Whether the element has a stream and is paused: by the browser, by the system, or by the visitor. */
export function standsStill(video: HTMLVideoElement): boolean {
  return video.srcObject !== null && video.paused;
}

/**
 * Call `changed` whenever the element may have begun or ceased to stand still, and play it again when the visitor comes
 * back to the page. A phone pauses it in the background, and refuses to play it at all when it saves power.
 */
export function watchPlaying(video: HTMLVideoElement, changed: () => void, signal: AbortSignal): void {
  for (const kind of ["play", "pause", "emptied"]) video.addEventListener(kind, changed, { signal });
  const goOn = (): void => {
    if (!document.hidden && standsStill(video)) void video.play().catch(() => {});
  };
  document.addEventListener("visibilitychange", goOn, { signal });
}

/** Call `shown` once, when the element shows its next frame. */
export function onNextFrame(video: HTMLVideoElement, shown: () => void): void {
  if ("requestVideoFrameCallback" in video) video.requestVideoFrameCallback(() => shown());
  else (video as HTMLVideoElement).addEventListener("timeupdate", () => shown(), { once: true });
}

/** Show a stream. The last picture of the one before stays until the new one has its first. */
export function showStream(video: HTMLVideoElement, stream: MediaStream): void {
  video.poster = lastPicture(video);
  video.srcObject = stream;
}

function lastPicture(video: HTMLVideoElement): string {
  if (video.srcObject === null || video.videoWidth === 0) return "";
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d")?.drawImage(video, 0, 0);
  return canvas.toDataURL("image/jpeg", 0.9);
}
