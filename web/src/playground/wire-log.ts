// The log of everything that crosses the wire: bounded, without secrets, with sound shown as sizes. Pure, but for the clock that is handed in.

export type WireKind = "rest" | "channel" | "room";
export type Direction = "out" | "in";

export interface WireEntry {
  id: number;
  atMs: number; // epoch
  kind: WireKind;
  direction: Direction;
  title: string;
  note: string; // status, size or duration
  failed: boolean;
  body: unknown; // shown as JSON; undefined where there is nothing to unfold
}

export const MOST_ENTRIES = 300;
const SECRET_KEYS = new Set(["access_token", "session_token", "token", "x-api-key"]);
const LONGEST_TEXT = 400;

/** What comes many times a second in live speech: one entry stands for a run of it, and grows. */
interface Run {
  id: number;
  count: number;
  amount: number;
}

export class WireLog {
  entries: readonly WireEntry[] = [];
  private lastId = 0;
  private runs = new Map<string, Run>(); // entries that still grow, by what they stand for; any other entry closes them all

  constructor(
    private readonly now: () => number,
    private readonly changed: () => void,
  ) {}

  add(entry: Pick<WireEntry, "kind" | "direction" | "title"> & Partial<WireEntry>): void {
    this.runs.clear();
    this.append(entry);
  }

  /** A binary frame of live speech. */
  addSound(bytes: number, sampleRateHz: number): void {
    this.grow({ kind: "channel", direction: "out", title: "binary" }, bytes, (run) => {
      return `${run.count} × PCM16 · ${(run.amount / 2 / sampleRateHz).toFixed(1)} s · ${formatBytes(run.amount)}`;
    });
  }

  /** An answer that comes once for every piece of speech. */
  addConfirmation(title: string, body: unknown): void {
    this.grow({ kind: "channel", direction: "in", title, body }, 0, (run) => (run.count === 1 ? "" : `× ${run.count}`));
  }

  private grow(entry: Pick<WireEntry, "kind" | "direction" | "title"> & Partial<WireEntry>, amount: number, note: (run: Run) => string): void {
    const run = this.runs.get(entry.title) ?? { id: 0, count: 0, amount: 0 };
    run.count += 1;
    run.amount += amount;
    if (run.count === 1) {
      this.append({ ...entry, note: note(run) });
      run.id = this.lastId;
      this.runs.set(entry.title, run);
    } else {
      const body = presentable(entry.body);
      this.entries = this.entries.map((known) => (known.id === run.id ? { ...known, body, note: note(run) } : known));
      this.changed();
    }
  }

  clear(): void {
    this.entries = [];
    this.runs.clear();
    this.changed();
  }

  private append(entry: Pick<WireEntry, "kind" | "direction" | "title"> & Partial<WireEntry>): void {
    this.lastId += 1;
    const whole: WireEntry = { note: "", failed: false, body: undefined, ...entry, id: this.lastId, atMs: this.now() };
    this.entries = [...this.entries.slice(-(MOST_ENTRIES - 1)), { ...whole, body: presentable(whole.body) }];
    this.changed();
  }
}

/** A copy for the eye: secrets cut to their first letters, sound to its size, other long text to its beginning. */
export function presentable(value: unknown, key = ""): unknown {
  if (typeof value === "string") {
    if (SECRET_KEYS.has(key)) return value.length > 8 ? `${value.slice(0, 4)}…` : "…";
    if (key === "audio") return `‹${formatBytes(Math.floor((value.length * 3) / 4))} of PCM16›`;
    return value.length > LONGEST_TEXT ? `${value.slice(0, LONGEST_TEXT)}…` : value;
  }
  if (Array.isArray(value)) return value.map((item) => presentable(item));
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, presentable(item, name)]));
  }
  return value;
}

export function formatBytes(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`;
  if (bytes < 1_000_000) return `${(bytes / 1_000).toFixed(bytes < 10_000 ? 1 : 0)} kB`;
  return `${(bytes / 1_000_000).toFixed(1)} MB`;
}

export function formatTime(atMs: number): string {
  const at = new Date(atMs);
  const two = (n: number): string => String(n).padStart(2, "0");
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}
