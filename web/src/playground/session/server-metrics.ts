// What the server measures of the session, read from the channel's messages `session.metrics` and `utterance.metrics`.

import type { ChannelMessage } from "../wire/types";

export const KEPT_SECONDS = 60;
export const KEPT_UTTERANCES = 16;

/** The figures of one second. */
export interface Second {
  frameRate: number;
  wantedFrameRate: number;
  queuedS: number; // speech that waits to be played
}

/** Read `session.metrics`. Null while nobody watches: then the server draws no frames. */
export function readSecond(message: ChannelMessage): Second | null {
  if (Number(message.viewers) < 1) return null;
  return {
    frameRate: Number(message.frame_rate),
    wantedFrameRate: Number(message.wanted_frame_rate),
    queuedS: Number(message.queued_s),
  };
}

/** Read from `utterance.metrics` how long an utterance took to its first frame; null if it has none. */
export function readLatencyMs({ frame_ms: frameMs, turn_ms: turnMs }: ChannelMessage): number | null {
  return typeof frameMs === "number" && typeof turnMs === "number" ? Math.max(0, frameMs - turnMs) : null;
}
