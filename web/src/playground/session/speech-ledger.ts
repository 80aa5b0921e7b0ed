// Keeps what was sent to the avatar and what the server and the room reported about it: the client's side of the
// channel's utterances. Pure: times come in, latencies come out.

const UTTERANCE_GAP_MS = 300; // the server ends an utterance without an id after this time without audio

interface Utterance {
  id: string | null; // null until the server has named it
  sentWithoutId: boolean; // by the microphone
  sentAtMs: number; // its first sample
  lastSentAtMs: number; // its last piece
  soundAtMs: number | null; // its first sound, after its leading quiet; null while only quiet was sent
  queueWasEmpty: boolean; // else its latency includes the time in the queue
  startedAtMs: number | null;
  heardAtMs: number | null;
}

export class SpeechLedger {
  private utterances: Utterance[] = []; // sent and not finished, in order

  get isSpeaking(): boolean {
    return this.utterances.some((utterance) => utterance.startedAtMs !== null);
  }

  get isBusy(): boolean {
    return this.utterances.length > 0;
  }

  /**
   * A piece of speech was sent. `soundAtMs` is the time of its first sound if it played at once, null for quiet. A
   * piece without an id continues the open utterance without an id, or begins one, as it does on the server.
   */
  sent(id: string | null, atMs: number, soundAtMs: number | null = atMs): void {
    const last = this.utterances.at(-1);
    if (last !== undefined && continues(last, id, atMs)) {
      last.lastSentAtMs = atMs;
      last.soundAtMs ??= soundAtMs;
      return;
    }
    this.utterances.push({
      id,
      sentWithoutId: id === null,
      sentAtMs: atMs,
      lastSentAtMs: atMs,
      soundAtMs,
      queueWasEmpty: this.utterances.length === 0,
      startedAtMs: null,
      heardAtMs: null,
    });
  }

  /**
   * `agent.playback.started` came. Return the milliseconds since the utterance's first sample was sent, or null if the
   * utterance is unknown or waited in the queue.
   */
  started(id: string, atMs: number): number | null {
    const utterance =
      this.utterances.find((known) => known.id === id) ?? this.utterances.find((known) => known.id === null);
    if (utterance === undefined) return null;
    utterance.id = id;
    utterance.startedAtMs = atMs;
    return utterance.queueWasEmpty ? atMs - utterance.sentAtMs : null;
  }

  /** Sound began in the room. Return the milliseconds since that sound was sent, once for each utterance. */
  heard(atMs: number): number | null {
    const utterance = this.utterances.find((candidate) => candidate.heardAtMs === null);
    if (utterance === undefined || !utterance.queueWasEmpty) return null;
    if (utterance.soundAtMs === null || atMs < utterance.soundAtMs) return null;
    utterance.heardAtMs = atMs;
    return atMs - utterance.soundAtMs;
  }

  /** `agent.playback.finished` came. */
  finished(id: string): void {
    this.utterances = this.utterances.filter((utterance) => utterance.id !== id);
  }

  /** The speech was interrupted or the channel broke: nothing of it will play. */
  clear(): void {
    this.utterances = [];
  }
}

function continues(last: Utterance, id: string | null, atMs: number): boolean {
  if (last.sentWithoutId !== (id === null)) return false;
  return id === null ? atMs - last.lastSentAtMs < UTTERANCE_GAP_MS : last.id === id;
}

/** The median; null without values. */
export function median(values: number[]): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle] ?? null;
  return ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}
