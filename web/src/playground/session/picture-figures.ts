// The figures of the received picture and sound, read from the browser's WebRTC statistics.

export interface PictureFigures {
  fps: number | null;
  kbps: number | null; // sound and picture together
  jitterMs: number | null; // of the picture's packets
  lostFraction: number | null; // of all packets since the connection began, 0 to 1
  width: number | null; // px
  height: number | null; // px
}

export const NO_FIGURES: PictureFigures = {
  fps: null,
  kbps: null,
  jitterMs: null,
  lostFraction: null,
  width: null,
  height: null,
};

/** The bytes received until one report, for the rate between two reports. */
export interface ByteCount {
  atMs: number;
  bytes: number;
}

/** Read one getStats report. `before` is the byte count of the report before, null for the first. */
export function readStats(
  stats: RTCStatsReport,
  before: ByteCount | null,
): { figures: PictureFigures; count: ByteCount } {
  const count: ByteCount = { atMs: 0, bytes: 0 };
  const figures: PictureFigures = { ...NO_FIGURES };
  let received = 0;
  let lost = 0;
  stats.forEach((entry) => {
    if (entry.type !== "inbound-rtp") return;
    count.atMs = entry.timestamp;
    count.bytes += entry.bytesReceived ?? 0;
    received += entry.packetsReceived ?? 0;
    lost += Math.max(0, entry.packetsLost ?? 0);
    if (entry.kind !== "video") return;
    figures.fps = entry.framesPerSecond ?? null;
    figures.jitterMs = typeof entry.jitter === "number" ? entry.jitter * 1000 : null;
    figures.width = entry.frameWidth ?? null;
    figures.height = entry.frameHeight ?? null;
  });
  if (received + lost > 0) figures.lostFraction = lost / (received + lost);
  if (before !== null && count.atMs > before.atMs) {
    figures.kbps = Math.max(0, ((count.bytes - before.bytes) * 8) / (count.atMs - before.atMs));
  }
  return { figures, count };
}
