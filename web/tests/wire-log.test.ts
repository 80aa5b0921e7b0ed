import { describe, expect, it, vi } from "vitest";
import { MAX_ENTRIES, presentable, WireLog } from "../src/playground/wire/wire-log";

const log = (): WireLog =>
  new WireLog(
    () => 0,
    () => {},
  );

it("keeps the newest few hundred entries", () => {
  const wire = log();
  for (let i = 0; i < MAX_ENTRIES + 50; i++) wire.add({ kind: "rest", direction: "out", title: String(i) });
  expect(wire.entries).toHaveLength(MAX_ENTRIES);
  expect(wire.entries.at(-1)?.title).toBe(String(MAX_ENTRIES + 49));
});

it("hides tokens and sound, and keeps all other values", () => {
  const shown = presentable({
    type: "session.init",
    config: {
      session_id: "sess_1",
      access_token: "secret-secret",
      room: { url: "http://x/rooms/y", token: "eyJhbGciOi" },
    },
    audio: "AAAA".repeat(1000),
    sizes: [960, 720],
  });
  expect(shown).toEqual({
    type: "session.init",
    config: { session_id: "sess_1", access_token: "secr…", room: { url: "http://x/rooms/y", token: "eyJh…" } },
    audio: "‹3.0 kB of PCM16›",
    sizes: [960, 720],
  });
});

describe("a run of binary frames", () => {
  it("is one entry that counts them", () => {
    const changed = vi.fn();
    const wire = new WireLog(() => 0, changed);
    for (let i = 0; i < 50; i++) wire.addSound(1920, 48_000);
    expect(wire.entries).toHaveLength(1);
    expect(wire.entries[0]?.note).toBe("50 × PCM16 · 1.0 s · 96 kB");
    expect(changed).toHaveBeenCalledTimes(50);
  });
  it("and their confirmations are two entries", () => {
    const wire = log();
    for (let i = 0; i < 20; i++) {
      wire.addSound(1920, 48_000);
      wire.addConfirmation("agent.speak.confirmed", { audio_samples: i });
    }
    expect(wire.entries.map((entry) => [entry.title, entry.note])).toEqual([
      ["binary", "20 × PCM16 · 0.4 s · 38 kB"],
      ["agent.speak.confirmed", "× 20"],
    ]);
    expect(wire.entries[1]?.body).toEqual({ audio_samples: 19 });
  });
  it("ends with the next message", () => {
    const wire = log();
    wire.addSound(1920, 48_000);
    wire.add({ kind: "channel", direction: "in", title: "agent.playback.started" });
    wire.addSound(1920, 48_000);
    expect(wire.entries.map((entry) => entry.title)).toEqual(["binary", "agent.playback.started", "binary"]);
  });
});
