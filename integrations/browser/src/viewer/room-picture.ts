// Shows a room's video: in the video element as it is, or, for a transparent session, composed into a canvas.

import { composeAlpha, type Composing } from "../matte/compose.js";

/**
 * What a room shows, as `GET /rooms/{name}/picture` answers. The video of a transparent session is twice as high: the
 * lower half carries the matte.
 */
export interface PictureShape {
  video_width: number;
  video_height: number;
  transparent: boolean;
}

/** A video's size, and whether its lower half is a matte. */
interface Video {
  width: number;
  height: number;
  matte: boolean;
}

// The video's size may change a moment before or after the room's answer does.
const ASK_AGAIN_MS = 250;
const MAX_QUESTIONS = 12;

/** Ask a room for its picture's shape; null if it does not answer. Never throws. */
export async function fetchPictureShape(roomUrl: string, token: string): Promise<PictureShape | null> {
  try {
    const headers = { authorization: `Bearer ${token}` };
    const response = await fetch(`${roomUrl}/picture`, { headers, cache: "no-store" });
    return response.ok ? ((await response.json()) as PictureShape) : null;
  } catch {
    return null;
  }
}

/** Whether a video of this size carries a matte; null if the size does not belong to `shape`. */
export function carriesMatte(width: number, height: number, shape: PictureShape): boolean | null {
  if (width !== shape.video_width) return null;
  if (shape.transparent && height === 2 * shape.video_height) return true;
  return !shape.transparent && height === shape.video_height ? false : null;
}

/** Guess whether a video carries a matte, until the room answers: doubling the height alone means that it does. */
export function guessMatte(before: Video | null, width: number, height: number): boolean {
  if (before === null || before.width !== width) return false;
  if (height === 2 * before.height) return true;
  return before.height === height && before.matte;
}

export class RoomPicture {
  private composing: Composing | null = null;
  private last: Video | null = null;
  private question = 0; // numbers the sizes seen, so that a late answer about an earlier one is dropped
  private stopped = false;

  /**
   * `ask` fetches the picture's shape. `changed` is called whenever the picture may have changed: with true while the
   * canvas shows it, with false while the video does.
   */
  constructor(
    private readonly video: HTMLVideoElement,
    private readonly canvas: HTMLCanvasElement,
    private readonly ask: () => Promise<PictureShape | null>,
    private readonly changed: (transparent: boolean) => void,
  ) {
    video.addEventListener("resize", this.resized);
    this.resized();
  }

  stop(): void {
    this.stopped = true;
    this.video.removeEventListener("resize", this.resized);
    this.show(false);
  }

  private readonly resized = (): void => {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (width === 0 || this.stopped) return;
    this.show(guessMatte(this.last, width, height));
    this.last = { width, height, matte: this.composing !== null };
    void this.askRoom(++this.question, width, height);
  };

  private async askRoom(question: number, width: number, height: number): Promise<void> {
    for (let asked = 0; asked < MAX_QUESTIONS; asked += 1) {
      const shape = await this.ask();
      if (question !== this.question || this.stopped || shape === null) return;
      const matte = carriesMatte(width, height, shape);
      if (matte !== null) {
        this.show(matte);
        this.last = { width, height, matte };
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
    }
  }

  private show(matte: boolean): void {
    if (matte) {
      this.composing ??= composeAlpha(this.video, this.canvas);
    } else {
      this.composing?.stop();
      this.composing = null;
    }
    this.changed(matte);
  }
}
