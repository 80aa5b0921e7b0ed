// The log of requests, answers and messages: limited in length, without secrets, with sizes in place of sound. Pure but
// for the clock, which the caller passes in.

export type WireKind = "rest" | "channel" | "room";
type Direction = "out" | "in";

export interface WireEntry {
  id: number;
  atMs: number; // since the epoch
  kind: WireKind;
  direction: Direction;
  title: string;
  note: string; // status, size or duration
  failed: boolean;
  body: unknown; // shown as JSON; undefined if there is none
}

type NewEntry = Pick<WireEntry, "kind" | "direction" | "title"> & Partial<WireEntry>;

export const MAX_ENTRIES = 300;
const MAX_TEXT_LENGTH = 400;
const SECRET_FIELDS = new Set(["access_token", "session_token", "token", "x-api-key"]);

/** Equal entries that follow each other many times a second in live speech. One entry counts them. */
interface Run {
  entryId: number;
  count: number;
  bytes: number;
}

export class WireLog {
  entries: readonly WireEntry[] = [];
  private lastId = 0;
  private readonly runs = new Map<string, Run>(); // by title; an entry that is in no run ends them all

  constructor(
    private readonly now: () => number,
    private readonly changed: () => void,
  ) {}

  add(entry: NewEntry): void {
    this.runs.clear();
    this.append(entry);
  }

  /** Add a binary frame of live speech. */
  addSound(bytes: number, sampleRateHz: number): void {
    this.addToRun({ kind: "channel", direction: "out", title: "binary" }, bytes, (run) => {
      return `${run.count} × PCM16 · ${(run.bytes / 2 / sampleRateHz).toFixed(1)} s · ${formatBytes(run.bytes)}`;
    });
  }

  /** Add an answer that the server sends once for every piece of speech. */
  addConfirmation(title: string, body: unknown): void {
    const entry: NewEntry = { kind: "channel", direction: "in", title, body };
    this.addToRun(entry, 0, (run) => (run.count === 1 ? "" : `× ${run.count}`));
  }

  clear(): void {
    this.entries = [];
    this.runs.clear();
    this.changed();
  }

  private addToRun(entry: NewEntry, bytes: number, note: (run: Run) => string): void {
    const run = this.runs.get(entry.title) ?? { entryId: 0, count: 0, bytes: 0 };
    run.count += 1;
    run.bytes += bytes;
    if (run.count === 1) {
      this.append({ ...entry, note: note(run) });
      run.entryId = this.lastId;
      this.runs.set(entry.title, run);
    } else {
      const body = presentable(entry.body);
      const replace = (known: WireEntry): WireEntry =>
        known.id === run.entryId ? { ...known, body, note: note(run) } : known;
      this.entries = this.entries.map(replace);
      this.changed();
    }
  }

  private append(entry: NewEntry): void {
    this.lastId += 1;
    const whole = {
      note: "",
      failed: false,
      ...entry,
      body: presentable(entry.body),
      id: this.lastId,
      atMs: this.now(),
    };
    this.entries = [...this.entries.slice(-(MAX_ENTRIES - 1)), whole];
    this.changed();
  }
}

/** Copy a value for display: secrets keep their first letters, sound becomes its size, long text is cut. */
export function presentable(value: unknown, field = ""): unknown {
  if (typeof value === "string") {
    if (SECRET_FIELDS.has(field)) return value.length > 8 ? `${value.slice(0, 4)}…` : "…";
    if (field === "audio") return `‹${formatBytes(Math.floor((value.length * 3) / 4))} of PCM16›`;
    return value.length > MAX_TEXT_LENGTH ? `${value.slice(0, MAX_TEXT_LENGTH)}…` : value;
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

/** The local time of day, to the millisecond. */
export function formatTime(atMs: number): string {
  const at = new Date(atMs);
  const two = (n: number): string => String(n).padStart(2, "0");
  const milliseconds = String(at.getMilliseconds()).padStart(3, "0");
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${milliseconds}`;
}
