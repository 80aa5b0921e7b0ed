// The figures under the picture, from what the browser counts and the ledger measures.

export interface PictureFigures {
  fps: number | null;
  kbps: number | null; // sound and picture together
  jitterMs: number | null; // of the picture's packets
  lostPart: number | null; // of all packets, 0 to 1, since joining
  width: number | null;
  height: number | null;
}

export const NO_PICTURE: PictureFigures = { fps: null, kbps: null, jitterMs: null, lostPart: null, width: null, height: null };

export interface Counted {
  atMs: number;
  bytes: number;
}

/** Reads one getStats report; bytes become a rate against the report before. */
export function readStats(stats: RTCStatsReport, before: Counted | null): { figures: PictureFigures; counted: Counted } {
  const counted: Counted = { atMs: 0, bytes: 0 };
  const figures: PictureFigures = { ...NO_PICTURE };
  let received = 0;
  let lost = 0;
  stats.forEach((entry) => {
    if (entry.type !== "inbound-rtp") return;
    counted.atMs = entry.timestamp;
    counted.bytes += entry.bytesReceived ?? 0;
    received += entry.packetsReceived ?? 0;
    lost += Math.max(0, entry.packetsLost ?? 0);
    if (entry.kind !== "video") return;
    figures.fps = entry.framesPerSecond ?? null;
    figures.jitterMs = typeof entry.jitter === "number" ? entry.jitter * 1000 : null;
    figures.width = entry.frameWidth ?? null;
    figures.height = entry.frameHeight ?? null;
  });
  if (received + lost > 0) figures.lostPart = lost / (received + lost);
  if (before !== null && counted.atMs > before.atMs) figures.kbps = Math.max(0, ((counted.bytes - before.bytes) * 8) / (counted.atMs - before.atMs));
  return { figures, counted };
}
