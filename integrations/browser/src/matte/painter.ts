// The interface of both painters, and the limits that both apply to a matte.

/** A video codec adds noise. A matte up to MATTE_NONE counts as 0, from MATTE_ALL as 1. */
export const MATTE_NONE = 0.03;
export const MATTE_ALL = 0.97;

/** Draws the video's current frame into its canvas. `release` frees the painter's memory. */
export interface Painter {
  paint(video: HTMLVideoElement): void;
  release(): void;
}
