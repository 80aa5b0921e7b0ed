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
