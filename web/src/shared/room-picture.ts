// Shows a room's video as it is meant: as it is, or composed into a canvas where the session's background is transparent.

import { composeAlpha, type Composing } from "../alpha/compose";

/** What `GET /rooms/{name}/picture` answers: the size of what is to be seen. A transparent picture travels with its matte below, twice as high. */
export interface PictureShape {
  video_width: number;
  video_height: number;
  transparent: boolean;
}

const ASK_AGAIN_MS = 250;
const ASK_TIMES = 12; // a picture's size may change a moment before or after the room says so

/** Ask a room for its picture's shape; null where it does not say. Never throws. */
export async function pictureShape(roomUrl: string, token: string): Promise<PictureShape | null> {
  try {
    const response = await fetch(`${roomUrl}/picture`, { headers: { authorization: `Bearer ${token}` }, cache: "no-store" });
    return response.ok ? ((await response.json()) as PictureShape) : null;
  } catch {
    return null;
  }
}

/** Whether a video of this size is a transparent picture of `shape`; null when it is no picture of that shape at all. */
export function carriesMatte(width: number, height: number, shape: PictureShape): boolean | null {
  if (width !== shape.video_width) return null;
  if (shape.transparent && height === 2 * shape.video_height) return true;
  return !shape.transparent && height === shape.video_height ? false : null;
}

/** A guess until the room has been asked: a picture whose height alone doubles or halves has gained or lost its matte. */
export function guessMatte(before: { width: number; height: number; matte: boolean } | null, width: number, height: number): boolean {
  if (before === null || before.width !== width) return false;
  if (height === 2 * before.height) return true;
  return before.height === height && before.matte;
}

export class RoomPicture {
  private composing: Composing | null = null;
  private last: { width: number; height: number; matte: boolean } | null = null;
  private asked = 0;
  private stopped = false;

  /** `ask` says what the room shows; `shown` is called with whether the canvas is what to show, whenever that may have changed. */
  constructor(
    private readonly video: HTMLVideoElement,
    private readonly canvas: HTMLCanvasElement,
    private readonly ask: () => Promise<PictureShape | null>,
    private readonly shown: (transparent: boolean) => void,
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
    void this.settle(++this.asked, width, height);
  };

  private async settle(question: number, width: number, height: number): Promise<void> {
    for (let times = 0; times < ASK_TIMES; times += 1) {
      const shape = await this.ask();
      if (question !== this.asked || this.stopped || shape === null) return;
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
    if (matte && this.composing === null) this.composing = composeAlpha(this.video, this.canvas);
    if (!matte) this.composing?.stop();
    if (!matte) this.composing = null;
    this.shown(matte);
  }
}
