// What has been said to the avatar and what has become of it: the client's half of the channel's utterances. Pure: times come in, figures go out.

const UTTERANCE_GAP_MS = 300; // the server ends an unnamed utterance after this much without audio

interface Utterance {
  id: string | null; // null until the server has named it
  startsUnnamed: boolean; // sent without an id, by the microphone
  sentAtMs: number; // its first sample left
  lastSentAtMs: number;
  soundAtMs: number | null; // when its first sound was spoken, its quiet beginning counted off; null while it is quiet
  ontoSilence: boolean; // nothing was queued or playing, so its latency is the system's and not the queue's
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

  /** Audio leaves; `soundAtMs` is when its first sound is due if it plays at once, null for quiet. Without an id it goes on with the open unnamed utterance, or opens one, as the server does. */
  sent(id: string | null, atMs: number, soundAtMs: number | null = atMs): void {
    const last = this.utterances.at(-1);
    const continues = last !== undefined && last.startsUnnamed === (id === null) && (id === null ? atMs - last.lastSentAtMs < UTTERANCE_GAP_MS : last.id === id);
    if (continues) {
      last.lastSentAtMs = atMs;
      last.soundAtMs ??= soundAtMs;
    } else {
      this.utterances.push({
        id,
        startsUnnamed: id === null,
        sentAtMs: atMs,
        lastSentAtMs: atMs,
        soundAtMs,
        ontoSilence: this.utterances.length === 0,
        startedAtMs: null,
        heardAtMs: null,
      });
    }
  }

  /** `agent.playback.started`: returns the milliseconds since its first sample was sent, or null where that says nothing about the system. */
  started(id: string, atMs: number): number | null {
    const utterance = this.find(id) ?? this.utterances.find((candidate) => candidate.id === null);
    if (utterance === undefined) return null;
    utterance.id = id;
    utterance.startedAtMs = atMs;
    return utterance.ontoSilence ? atMs - utterance.sentAtMs : null;
  }

  /** Sound began in the room: returns the milliseconds since the sound was sent that makes it, once an utterance. */
  heard(atMs: number): number | null {
    const utterance = this.utterances.find((candidate) => candidate.heardAtMs === null);
    if (utterance === undefined || !utterance.ontoSilence || utterance.soundAtMs === null || atMs < utterance.soundAtMs) return null;
    utterance.heardAtMs = atMs;
    return atMs - utterance.soundAtMs;
  }

  /** `agent.playback.finished`. */
  finished(id: string): void {
    this.utterances = this.utterances.filter((utterance) => utterance.id !== id);
  }

  /** The channel is gone or was interrupted: nothing of it will play. */
  cleared(): void {
    this.utterances = [];
  }

  private find(id: string): Utterance | undefined {
    return this.utterances.find((utterance) => utterance.id === id);
  }
}

/** The middle of what was measured; null of nothing. */
export function median(values: number[]): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] ?? null) : ((sorted[middle - 1] ?? 0) + (sorted[middle] ?? 0)) / 2;
}
