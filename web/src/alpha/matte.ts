// What both ways of applying a matte share.

/** Video codecs leave a little noise in what was all black or all white: this much of a matte counts as none, and as all. */
export const MATTE_NONE = 0.03;
export const MATTE_ALL = 0.97;

/** Draws the video's present frame into its canvas. `release` frees what it holds. */
export interface Painter {
  paint(video: HTMLVideoElement): void;
  release(): void;
}
